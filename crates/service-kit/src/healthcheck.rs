//! Asks a running service how it is: the `healthcheck` command of each binary, since their images have no curl.

use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An orchestrator counts a slow answer as none.
const TIMEOUT: Duration = Duration::from_secs(5);
/// More of an answer than any health report has.
const MAX_ANSWER_BYTES: u64 = 16 * 1024;

/// Asks the service that listens on `http_addr` for `path` (`/livez`, or `/readyz?role=http`).
///
/// Success when it answers 200 within five seconds; else failure, with one line on standard error.
pub async fn run(http_addr: &str, path: &str) -> ExitCode {
    let answer = tokio::time::timeout(TIMEOUT, ask(http_addr, path));
    let line = match answer.await {
        Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 200 ") => return ExitCode::SUCCESS,
        Ok(Ok(answer)) => answer.lines().last().unwrap_or("an empty answer").to_owned(),
        Ok(Err(error)) => format!("{http_addr}: {error}"),
        Err(_) => format!("{http_addr}: no answer within {} seconds", TIMEOUT.as_secs()),
    };
    eprintln!("{line}");
    ExitCode::FAILURE
}

async fn ask(http_addr: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(reachable(http_addr)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {http_addr}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The address to reach who listens on all of them.
fn reachable(http_addr: &str) -> String {
    match http_addr.rsplit_once(':') {
        Some(("0.0.0.0", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => http_addr.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn all_addresses_are_reached_by_loopback() {
        assert_eq!(reachable("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(reachable("[::]:8080"), "[::1]:8080");
        assert_eq!(reachable("10.0.0.7:8080"), "10.0.0.7:8080");
    }

    async fn against(answer: &'static str) -> ExitCode {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound").to_string();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            stream.write_all(answer.as_bytes()).await.expect("answered");
        });
        let code = run(&addr, "/readyz?role=http").await;
        server.await.expect("served");
        code
    }

    #[tokio::test]
    async fn only_200_is_healthy() {
        assert_eq!(against("HTTP/1.1 200 OK\r\n\r\n{}").await, ExitCode::SUCCESS);
        assert_eq!(against("HTTP/1.1 503 Service Unavailable\r\n\r\n{}").await, ExitCode::FAILURE);
        assert_eq!(run("127.0.0.1:1", "/livez").await, ExitCode::FAILURE);
    }
}
