//! How long it takes to read: one request after the other, over one connection.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a service that stays open.
pub(super) struct Reader {
    stream: BufReader<TcpStream>,
    address: String,
    token: String,
}

impl Reader {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(super) fn connect(address: &str, token: &str) -> Result<Reader> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Reader { stream: BufReader::new(stream), address: address.to_owned(), token: token.to_owned() })
    }

    /// The median time of reading these paths, in milliseconds. All are read once before, as what is read often is at hand.
    ///
    /// # Errors
    /// When one is not answered with 200.
    pub(super) fn median(&mut self, paths: &[String]) -> Result<f64> {
        for path in paths {
            self.get(path)?;
        }
        let mut times = Vec::new();
        for path in paths {
            let start = Instant::now();
            self.get(path)?;
            times.push(start.elapsed().as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().context("nothing to read")
    }

    fn get(&mut self, path: &str) -> Result<()> {
        let (address, token) = (&self.address, &self.token);
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut status = String::new();
        self.stream.read_line(&mut status)?;
        let mut length = None;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? <= 2 {
                break;
            }
            if let Some((name, value)) =
                line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            {
                length = Some(value.trim().parse().with_context(|| format!("{name}: {value}"))?);
            }
        }
        let mut body = vec![0; length.with_context(|| format!("{path}: {} without a length", status.trim()))?];
        self.stream.read_exact(&mut body)?;
        if !status.starts_with("HTTP/1.1 200") {
            bail!("{path}: {} {}", status.trim(), String::from_utf8_lossy(&body));
        }
        Ok(())
    }
}
