//! Payment webhooks, signed as their standard asks (Standard Webhooks 1.0, symmetric signatures).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use reqwest::Method;
use serde_json::Value;
use sha2::Sha256;

use crate::http::{Answer, Api, Call};
use crate::token::in_seconds;

/// A payment provider that calls back.
#[derive(Debug, Clone)]
pub struct Provider {
    api: Api,
    key: Vec<u8>,
}

impl Provider {
    /// One that signs with `secret` (`whsec_…`).
    ///
    /// # Panics
    /// When that is no such secret.
    pub fn new(api: Api, secret: &str) -> Self {
        let key = secret.strip_prefix("whsec_").and_then(|key| STANDARD.decode(key).ok());
        Self { api: api.without_token(), key: key.expect("whsec_ and base64") }
    }

    /// Calls now, with a right signature.
    pub async fn call(&self, webhook_id: &str, body: &Value) -> Answer {
        self.call_at(webhook_id, in_seconds(0), body).await
    }

    /// Calls a service that may be away, with a right signature.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn try_call(&self, webhook_id: &str, body: &Value) -> Result<Answer, String> {
        let (timestamp, body) = (in_seconds(0), body.to_string());
        let signature = self.sign(webhook_id, timestamp, &body);
        self.request(webhook_id, timestamp, &signature, body).try_send().await
    }

    /// Calls as of another time, with a right signature.
    pub async fn call_at(&self, webhook_id: &str, timestamp: i64, body: &Value) -> Answer {
        let body = body.to_string();
        let signature = self.sign(webhook_id, timestamp, &body);
        self.send(webhook_id, timestamp, &signature, body).await
    }

    /// Calls with any signature.
    pub async fn send(&self, webhook_id: &str, timestamp: i64, signature: &str, body: String) -> Answer {
        self.request(webhook_id, timestamp, signature, body).send().await
    }

    fn request(&self, webhook_id: &str, timestamp: i64, signature: &str, body: String) -> Call {
        self.api
            .call(Method::POST, "/v1/payments/webhook")
            .header("webhook-id", webhook_id)
            .header("webhook-timestamp", &timestamp.to_string())
            .header("webhook-signature", signature)
            .body("application/json", body)
    }

    /// The signature of a call.
    ///
    /// # Panics
    /// Never: any key does for HMAC.
    pub fn sign(&self, webhook_id: &str, timestamp: i64, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(format!("{webhook_id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}
