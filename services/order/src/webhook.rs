//! Standard Webhooks (standardwebhooks.com): who signed a message, and when.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use service_kit::http::extract::whole_number;
use sha2::Sha256;

/// How far the sender's clock may be off, and how long a message may be on its way, in seconds.
const TOLERANCE: i64 = 5 * 60;

/// The longest `webhook-id`.
const MAX_ID: usize = 255;

/// The secrets that messages may be signed with: one, or two while one replaces the other.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets(Vec<Vec<u8>>);

impl FromStr for Secrets {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let wrong = "not whsec_ and the base64 of 24 to 64 bytes; two are separated by a space";
        let key = |secret: &str| secret.strip_prefix("whsec_").and_then(|key| STANDARD.decode(key).ok());
        let keys: Vec<Vec<u8>> = text.split_whitespace().map(key).collect::<Option<_>>().ok_or(wrong)?;
        let good = (1..=2).contains(&keys.len()) && keys.iter().all(|key| (24..=64).contains(&key.len()));
        if good { Ok(Self(keys)) } else { Err(wrong) }
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// The headers of a message, as they came.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// `webhook-id`: the message, however often it is sent.
    pub id: &'a str,
    /// `webhook-timestamp`: when this sending was signed, in seconds.
    pub timestamp: &'a str,
    /// `webhook-signature`: one or more of `v1,BASE64`, separated by spaces.
    pub signatures: &'a str,
}

impl Secrets {
    /// Whether one of the secrets made one of the signatures over this very body, within five minutes of `now`.
    pub fn verify(&self, signed: Signed<'_>, body: &[u8], now: i64) -> bool {
        let Signed { id, timestamp, signatures } = signed;
        let fresh = whole_number::<i64>(timestamp).is_some_and(|time| now.abs_diff(time) <= TOLERANCE.unsigned_abs());
        if !fresh || id.is_empty() || id.len() > MAX_ID || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return false;
        }
        let made_by = |key: &Vec<u8>, signature: &[u8]| {
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
            for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
                mac.update(part);
            }
            mac.verify_slice(signature).is_ok()
        };
        signatures
            .split(' ')
            .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
            .any(|signature| self.0.iter().any(|key| made_by(key, &signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    const TIME: &str = "1649367553";
    const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
    const SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";

    fn verify(secret: &str, id: &str, timestamp: &str, signatures: &str, body: &[u8], now: i64) -> bool {
        let secrets: Secrets = secret.parse().unwrap();
        secrets.verify(Signed { id, timestamp, signatures }, body, now)
    }

    #[test]
    fn the_specifications_example_verifies() {
        assert!(verify(SECRET, ID, TIME, SIGNATURE, BODY, 1_649_367_553));
    }

    #[test]
    fn any_of_the_signatures_and_any_of_the_secrets_will_do() {
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert!(verify(
            &format!("{other} {SECRET}"),
            ID,
            TIME,
            &format!("v1,AAAA v2,x {SIGNATURE}"),
            BODY,
            1_649_367_553
        ));
        assert!(!verify(other, ID, TIME, SIGNATURE, BODY, 1_649_367_553));
    }

    #[test]
    fn five_minutes_either_way_and_not_a_byte_changed() {
        let now = 1_649_367_553;
        for (shift, good) in [(-301, false), (-300, true), (300, true), (301, false)] {
            assert_eq!(verify(SECRET, ID, TIME, SIGNATURE, BODY, now + shift), good, "{shift}");
        }
        assert!(!verify(SECRET, "msg_other", TIME, SIGNATURE, BODY, now));
        assert!(!verify(SECRET, ID, "1649367554", SIGNATURE, BODY, now));
        assert!(!verify(SECRET, ID, TIME, SIGNATURE, b"{}", now));
        for signature in ["", "v1,", "v1,%%%", "v2,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="] {
            assert!(!verify(SECRET, ID, TIME, signature, BODY, now), "{signature}");
        }
    }

    #[test]
    fn secrets_are_checked() {
        for bad in
            ["", "whsec_", "whsec_short", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD", &format!("{SECRET} {SECRET} {SECRET}")]
        {
            assert!(bad.parse::<Secrets>().is_err(), "{bad}");
        }
    }
}
