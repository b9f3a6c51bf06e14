//! From a rendered mail to the message that travels: headers and two bodies (RFC 5322, RFC 2046).

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};

use crate::mail::harmless;
use crate::templates::Rendered;
use crate::transport::Letter;

/// Puts a mail into its envelope. The `Date` is now.
///
/// Everything goes through the library's encoders: a text of somebody else's cannot start a header of its own.
///
/// # Errors
/// In a few words, when it cannot be written as a message.
pub fn compose(rendered: &Rendered, from: &Mailbox, to: Mailbox, message_id: &str) -> Result<Letter, String> {
    let (from_address, to_address) = (from.email.clone(), to.email.clone());
    // RFC 3834, section 5: nobody's vacation is to answer this.
    let auto_submitted = HeaderName::new_from_ascii_str("Auto-Submitted");
    let message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(
            to.name.map(|name| harmless(&name).trim().to_owned()).filter(|name| !name.is_empty()),
            to.email,
        ))
        .subject(rendered.subject.clone())
        .message_id(Some(message_id.to_owned()))
        .date_now()
        .raw_header(HeaderValue::new(auto_submitted, "auto-generated".to_owned()))
        .multipart(MultiPart::alternative_plain_html(rendered.text.clone(), rendered.html.clone()))
        .map_err(|_| "it cannot be written as a message".to_owned())?;
    let message = String::from_utf8(message.formatted()).map_err(|_| "it is not UTF-8 as a message".to_owned())?;
    Ok(Letter { from: from_address, to: to_address, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(name: &str, subject: &str) -> Letter {
        let rendered = Rendered {
            subject: subject.to_owned(),
            html: "<p>Grüße</p>\n".to_owned(),
            text: "Grüße\n.\nfrom us\n".to_owned(),
        };
        let from = "Märkt <shop@example.com>".parse().unwrap();
        let to = Mailbox::new(Some(name.to_owned()), "ada@example.com".parse().unwrap());
        compose(&rendered, &from, to, "<1.welcome@example.com>").unwrap()
    }

    #[test]
    fn what_was_written_can_be_read_back() {
        let letter = letter("Ada \"Count\" Lovelace, Ltd. ♥", "Grüße an Ada");
        let message = mail_parser::MessageParser::default().parse(&letter.message).unwrap();
        assert_eq!(message.subject(), Some("Grüße an Ada"));
        assert_eq!(message.message_id(), Some("1.welcome@example.com"));
        let to = message.to().unwrap().first().unwrap();
        assert_eq!((to.name(), to.address()), (Some("Ada \"Count\" Lovelace, Ltd. ♥"), Some("ada@example.com")));
        assert_eq!(message.from().unwrap().first().unwrap().name(), Some("Märkt"));
        assert_eq!(message.header("Auto-Submitted").unwrap().as_text(), Some("auto-generated"));
        assert!(message.date().is_some());
        assert_eq!(message.body_text(0).unwrap().trim_end(), "Grüße\n.\nfrom us".replace('\n', "\r\n"));
        assert!(message.body_html(0).unwrap().contains("<p>Grüße</p>"));
        assert!(!letter.message.to_ascii_lowercase().contains("\r\nlist-"));
    }

    #[test]
    fn nothing_can_be_injected() {
        for hostile in [
            "Ada\r\nBcc: eve@example.net",
            "Ada\nBcc: eve@example.net",
            "Ada\u{2028}Bcc: eve@example.net\u{0}",
            "\"><eve@example.net>",
            "=?utf-8?q?x?= <eve@example.net>",
            "",
            "   ",
            &"é".repeat(500),
        ] {
            let letter = letter(hostile, hostile);
            assert!(letter.message.is_ascii());
            let message = mail_parser::MessageParser::default().parse(&letter.message).unwrap();
            assert!(message.bcc().is_none(), "{hostile:?}");
            let to: Vec<_> = message.to().unwrap().iter().filter_map(|to| to.address()).collect();
            assert_eq!(to, ["ada@example.com"], "{hostile:?}");
        }
    }
}
