//! One command and its answer.

use std::fmt;
use std::io;
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::response::Response;
use tokio::time::timeout;

use crate::transport::reply::Reply;

/// Why a command did not succeed.
pub(super) enum Failure {
    /// The server said no.
    Reply(Reply),
    /// There is no answer, or none that is one. `unwritten` where it is certain that the command did not get through.
    Broken { why: String, unwritten: bool },
}

/// Sends one command in one piece and waits for its answer. After a [`Failure::Broken`] the connection is of no use.
pub(super) async fn ask(
    connection: &mut AsyncSmtpConnection,
    command: impl fmt::Display,
    name: &str,
    within: Duration,
) -> Result<Response, Failure> {
    match timeout(within, connection.command(command)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(match Reply::of(&error) {
            Some(reply) => Failure::Reply(reply),
            None => broken(&error, name),
        }),
        Err(_) => Err(Failure::Broken { why: format!("no answer to {name} within {within:?}"), unwritten: false }),
    }
}

fn broken(error: &Error, name: &str) -> Failure {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            // Only writing fails in this way: the end of what was to be written did not get through.
            let unwritten = io.kind() == io::ErrorKind::BrokenPipe;
            return Failure::Broken { why: format!("the connection was lost at {name}: {}", io.kind()), unwritten };
        }
        source = inner.source();
    }
    Failure::Broken { why: format!("the connection was closed at {name}, or the answer was none"), unwritten: false }
}

/// The message and its end, as one command: dots that start a line are doubled (RFC 5321, section 4.5.2).
///
/// In one piece, because a second small write would wait for the acknowledgement of the first (RFC 896).
pub(super) struct Message<'a>(pub(super) &'a str);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.0.split_inclusive("\r\n") {
            if line.starts_with('.') {
                f.write_str(".")?;
            }
            f.write_str(line)?;
        }
        if !self.0.ends_with("\r\n") {
            f.write_str("\r\n")?;
        }
        f.write_str(".\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_transparent() {
        for (message, expected) in
            [("a\r\nb", "a\r\nb\r\n.\r\n"), ("a\r\n", "a\r\n.\r\n"), (".\r\n..\r\na.\r\n", "..\r\n...\r\na.\r\n.\r\n")]
        {
            assert_eq!(Message(message).to_string(), expected);
        }
    }
}
