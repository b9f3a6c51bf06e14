//! Plays the payment provider: signs a webhook as Standard Webhooks have it, so that an order of `sandbox:manual` can be paid
//! from the page `Try it`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::failure::Usage;

/// Signs as the provider would.
pub(super) struct Provider(Vec<u8>);

impl Provider {
    /// By the first of the secrets, if there are two.
    ///
    /// # Errors
    /// [`Usage`] when it is no such secret.
    pub(super) fn new(secret: &str) -> Result<Self, Usage> {
        let key = secret.split_whitespace().next().and_then(|secret| secret.strip_prefix("whsec_"));
        let key = key.and_then(|key| STANDARD.decode(key).ok()).filter(|key| (24..=64).contains(&key.len()));
        key.map(Self)
            .ok_or_else(|| Usage("PAYMENT_WEBHOOK_SECRET: not whsec_ and the base64 of 24 to 64 bytes".to_owned()))
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length is taken");
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_the_specification_has_it() {
        let provider = Provider::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").ok().unwrap();
        let body = r#"{"email":"test@example.com","username":"test_user"}"#;
        let signature = provider.sign("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body);
        assert_eq!(signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
        for bad in ["", "whsec_", "whsec_c2hvcnQ=", "secret"] {
            assert!(Provider::new(bad).is_err(), "{bad}");
        }
    }
}
