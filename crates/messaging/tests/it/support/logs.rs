//! What is logged while the tests run, to see that nothing personal is in it.

use std::io::{self, Write};
use std::sync::{Mutex, Once};

use tracing_subscriber::fmt::MakeWriter;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static START: Once = Once::new();

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;
    fn make_writer(&'a self) -> Lines {
        Lines
    }
}

/// Keeps what this crate logs from here on, of all tests of this process.
pub(crate) fn keep() {
    START.call_once(|| {
        let log = tracing_subscriber::fmt().with_env_filter("messaging=trace").with_ansi(false).with_writer(Lines);
        log.init();
    });
}

/// All lines that hold `text`.
pub(crate) fn with(text: &str) -> Vec<String> {
    let lines = String::from_utf8_lossy(&LINES.lock().unwrap()).into_owned();
    lines.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}
