//! What goes to standard output: lines, tables, JSON. Nothing else does; progress and errors go to standard error.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{Table, presets};
use serde::Serialize;

/// Writes one line, or several, with a newline at the end.
///
/// # Errors
/// When standard output is closed, which [`crate::failure::report`] takes for the end of the reader's interest.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Writes a value as indented JSON.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print(&serde_json::to_string_pretty(value)?)?)
}

/// Columns under their headings, without lines: easy to read and to cut.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings.map(str::to_uppercase));
    for row in rows {
        table.add_row(row);
    }
    // the padding of the last column would be trailing blanks
    table.to_string().lines().map(|line| format!("{}\n", line.trim().to_owned())).collect()
}

/// A span of time in its two largest units, which is what people remember: `3m 12s`; below a minute with milliseconds.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.3}s", duration.as_secs_f64()),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Colours, where a person sees them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    /// Colours if that stream is a terminal and `NO_COLOR` is not set (<https://no-color.org>).
    pub(crate) fn on(terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(terminal && !refused)
    }

    /// Colours for standard output.
    pub(crate) fn stdout() -> Self {
        Self::on(io::stdout().is_terminal())
    }

    /// Something wrong.
    pub(crate) fn red(self, text: &str) -> String {
        self.code("31", text)
    }

    /// Something right.
    pub(crate) fn green(self, text: &str) -> String {
        self.code("32", text)
    }

    /// Something under way.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.code("33", text)
    }

    /// Something that matters less.
    pub(crate) fn dim(self, text: &str) -> String {
        self.code("2", text)
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_plain_columns() {
        let text = table(["id", "note"], [["1".to_owned(), "one".to_owned()], ["22".to_owned(), String::new()]]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("ID") && lines[0].ends_with("NOTE"));
        assert_eq!(lines[2], "22");
    }

    #[test]
    fn durations_have_two_units() {
        let told = [0, 59, 60, 3_599, 3_600, 90_061].map(|seconds| duration(Duration::from_secs(seconds)));
        assert_eq!(told, ["0.000s", "59.000s", "1m 0s", "59m 59s", "1h 0m", "1d 1h"]);
    }

    #[test]
    fn colours_only_where_wanted() {
        assert_eq!(Paint(false).red("x"), "x");
        assert_eq!(Paint(true).red("x"), "\x1b[31mx\x1b[0m");
    }
}
