//! What a mail server's negative reply means, in words of our own.
//!
//! The reply's text is not passed on: servers like to repeat the address in it. Its codes say enough: the reply code
//! (RFC 5321, section 4.2) and the enhanced status code (RFC 3463), where the server gives one.

use std::error::Error as _;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::response::Severity;

/// A negative reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The reply code, 400 to 599.
    pub code: u16,
    /// The enhanced status code: class, subject, detail.
    pub enhanced: Option<(u16, u16, u16)>,
}

impl Reply {
    /// The reply behind `error`, if the server gave one.
    pub fn of(error: &Error) -> Option<Self> {
        let code = error.status()?;
        // The source of such an error is the reply's text.
        let text = error.source().map(ToString::to_string).unwrap_or_default();
        let negative =
            matches!(code.severity, Severity::TransientNegativeCompletion | Severity::PermanentNegativeCompletion);
        negative.then(|| Self { code: code.into(), enhanced: enhanced(&text) })
    }

    /// Whether the same may succeed later.
    pub fn is_transient(self) -> bool {
        self.code < 500
    }

    /// Whether it is about the connection or the login rather than about the mail: the service is closing (421), or wants
    /// to be logged in to, or into, in another way (RFC 4954, section 6; RFC 3207, section 4).
    pub fn is_about_the_connection(self) -> bool {
        matches!(self.code, 421 | 454 | 530 | 534 | 535 | 538)
    }

    /// For operators: `550 5.1.1 to RCPT TO: no such mailbox`.
    pub fn describe(self, command: &str) -> String {
        let enhanced = self.enhanced.map(|(class, subject, detail)| format!(" {class}.{subject}.{detail}"));
        format!("{}{} to {command}: {}", self.code, enhanced.unwrap_or_default(), self.meaning())
    }

    fn meaning(self) -> &'static str {
        match self.enhanced {
            Some((_, 1, 1)) => "no such mailbox",
            Some((_, 1, 2 | 10)) => "no such mail domain",
            Some((_, 1, 3)) => "not a valid address",
            Some((_, 1, 7 | 8)) => "the sender's address is not accepted",
            Some((_, 2, 1)) => "the mailbox is disabled",
            Some((_, 2, 2)) => "the mailbox is full",
            Some((_, 3 | 5, 3 | 4)) => "the message is too large or not understood",
            Some((_, 7, 1)) => "not authorized, or rejected as unwanted",
            Some((_, 7, _)) => "rejected by policy",
            Some((_, 4, _)) => "the server has trouble on the way to the recipient",
            _ => self.meaning_of_code(),
        }
    }

    fn meaning_of_code(self) -> &'static str {
        match self.code {
            421 => "the server is closing",
            450 | 550 => "the mailbox is unavailable",
            451 => "an error of the server",
            452 => "the server has no room",
            500..=504 => "the server does not take this command",
            530 | 534 | 535 | 538 => "the server does not accept the login",
            552 => "the mailbox is full",
            553 => "the mailbox name is not allowed",
            400..=499 => "not now",
            _ => "refused",
        }
    }
}

/// The enhanced status code at the start of a reply's text: `5.1.1 …`.
fn enhanced(text: &str) -> Option<(u16, u16, u16)> {
    let word = text.split_whitespace().next()?;
    let mut parts = word.split('.').map(|part| part.parse::<u16>().ok().filter(|number| *number <= 999));
    let code = (parts.next()??, parts.next()??, parts.next()??);
    (parts.next().is_none() && matches!(code.0, 4 | 5)).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_described_without_the_text() {
        for (code, text, expected) in [
            (550, "5.1.1 <ada@example.com>: user unknown", "550 5.1.1 to RCPT TO: no such mailbox"),
            (550, "ada@example.com unknown", "550 to RCPT TO: the mailbox is unavailable"),
            (452, "4.2.2 over quota", "452 4.2.2 to RCPT TO: the mailbox is full"),
            (451, "4.7.1 greylisted, ada", "451 4.7.1 to RCPT TO: not authorized, or rejected as unwanted"),
            (599, "", "599 to RCPT TO: refused"),
        ] {
            assert_eq!(Reply { code, enhanced: enhanced(text) }.describe("RCPT TO"), expected);
        }
    }

    #[test]
    fn enhanced_codes_are_read_strictly() {
        assert_eq!(enhanced("4.7.28 slow down"), Some((4, 7, 28)));
        for none in ["", "5.1", "5.1.1.1", "2.0.0 fine", "5.1.x", "5.1.99999", "ada@example.com"] {
            assert_eq!(enhanced(none), None, "{none}");
        }
    }

    #[test]
    fn some_replies_are_about_the_connection() {
        for (code, connection, transient) in
            [(421, true, true), (450, false, true), (535, true, false), (550, false, false)]
        {
            let reply = Reply { code, enhanced: None };
            assert_eq!((reply.is_about_the_connection(), reply.is_transient()), (connection, transient), "{code}");
        }
    }
}
