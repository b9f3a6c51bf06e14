//! Ports, and the first words of three protocols: enough to know that a server is ready, and to load a catalogue.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context, Result, bail};

const PATIENCE: Duration = Duration::from_secs(5);

/// Private servers listen here: below the range from which systems take ports for outgoing connections (from 32768
/// on Linux), so that no stranger's connection holds a server's port while a test has it stopped.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port of 127.0.0.1 that nobody listens on.
pub(crate) fn free_port() -> Result<u16> {
    for _ in 0..1000 {
        let port = PORTS.start + u16::from_le_bytes(random()?) % (PORTS.end - PORTS.start);
        if is_free(port) {
            return Ok(port);
        }
    }
    bail!("no free port between {} and {}", PORTS.start, PORTS.end);
}

/// Whether a server could listen on this port of 127.0.0.1.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Random bytes of the system, good enough for secrets.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut source = fs::File::open("/dev/urandom").context("no source of random bytes")?;
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Random bytes as hexadecimal digits: names and passwords that need no quoting anywhere.
pub(crate) fn random_hex<const N: usize>() -> Result<String> {
    Ok(random::<N>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn connect(address: &str) -> Result<TcpStream> {
    let target = address.to_socket_addrs().with_context(|| format!("cannot resolve {address}"))?.next();
    let target = target.with_context(|| format!("{address} has no address"))?;
    let stream =
        TcpStream::connect_timeout(&target, PATIENCE).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Whether somebody listens on `host:port`.
pub(crate) fn listens(address: &str) -> bool {
    connect(address).is_ok()
}

/// Whether an AMQP 0-9-1 broker answers the protocol header. A proxy in front may accept connections before.
pub(crate) fn broker_answers(port: u16) -> bool {
    const METHOD_FRAME: u8 = 1;
    answer_begins(port, b"AMQP\x00\x00\x09\x01") == Some(METHOD_FRAME)
}

/// Whether PostgreSQL takes sessions: it then asks for authentication, while it starts, recovers or stops it
/// answers with an error.
pub(crate) fn database_answers(port: u16) -> bool {
    const PROTOCOL_3: [u8; 4] = [0, 3, 0, 0];
    const PARAMETERS: &[u8] = b"user\0postgres\0database\0postgres\0\0";
    let length = u32::try_from(4 + PROTOCOL_3.len() + PARAMETERS.len()).expect("a short message");
    let startup = [&length.to_be_bytes()[..], &PROTOCOL_3, PARAMETERS].concat();
    answer_begins(port, &startup) == Some(b'R')
}

fn answer_begins(port: u16, greeting: &[u8]) -> Option<u8> {
    let mut stream = connect(&format!("127.0.0.1:{port}")).ok()?;
    stream.write_all(greeting).ok()?;
    let mut first = [0];
    stream.read_exact(&mut first).ok()?;
    Some(first[0])
}

/// An HTTP answer.
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// The body, as text.
    pub(crate) body: String,
}

/// Sends one HTTP request. HTTP/1.0, so that the answer ends with the connection and comes in one piece.
///
/// # Errors
/// When there is no connection or the answer is not HTTP.
pub(crate) fn http(
    method: &str,
    address: &str,
    path: &str,
    authorization: Option<&str>,
    body: Option<&str>,
) -> Result<Response> {
    let mut request = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\n");
    if let Some(value) = authorization {
        request += &format!("Authorization: {value}\r\n");
    }
    if let Some(body) = body {
        request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    request += "\r\n";
    request += body.unwrap_or_default();

    let mut stream = connect(address)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse_response(&String::from_utf8_lossy(&answer)).with_context(|| format!("{address} did not answer in HTTP"))
}

fn parse_response(answer: &str) -> Option<Response> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Response { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_has_a_status_and_a_body() {
        let response = parse_response("HTTP/1.1 201 Created\r\nContent-Type: a/b\r\n\r\n{\"a\": 1}").unwrap();
        assert_eq!((response.status, response.body.as_str()), (201, "{\"a\": 1}"));
        assert!(parse_response("AMQP").is_none());
        assert!(parse_response("").is_none());
    }

    #[test]
    fn free_ports_lie_below_those_of_outgoing_connections() {
        let port = free_port().unwrap();
        assert!(PORTS.contains(&port));
        let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert!(!is_free(port));
        assert!(listens(&format!("127.0.0.1:{port}")));
    }

    #[test]
    fn a_listener_that_says_nothing_is_no_server() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent = std::thread::spawn(move || drop(listener.accept()));
        assert!(!broker_answers(port));
        silent.join().unwrap();
    }
}
