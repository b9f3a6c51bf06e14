//! Bearer tokens, made here as an identity provider would make them.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// Every scope that there is.
pub const ALL_SCOPES: &str = "orders:read orders:write inventory:read inventory:write emails:read ops";

/// Makes tokens with the key of one system.
#[derive(Clone)]
pub struct Tokens {
    secret: String,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    /// Signs with the raw bytes of `secret`, as `AUTH_HS256_SECRET` is used.
    pub fn new(secret: &str) -> Self {
        Self { secret: secret.to_owned() }
    }

    /// Somebody of the staff, who may do everything.
    pub fn staff(&self) -> String {
        self.scopes(ALL_SCOPES)
    }

    /// Somebody of the staff with these scopes.
    pub fn scopes(&self, scopes: &str) -> String {
        self.claims(&json!({"sub": "staff", "scope": scopes, "exp": in_seconds(3600)}))
    }

    /// A customer's own token, with every scope.
    pub fn customer(&self, customer_id: &str) -> String {
        let subject = format!("customer-{customer_id}");
        self.claims(&json!({"sub": subject, "scope": ALL_SCOPES, "customer_id": customer_id, "exp": in_seconds(3600)}))
    }

    /// Any claims.
    pub fn claims(&self, claims: &Value) -> String {
        let key = EncodingKey::from_secret(self.secret.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).expect("claims can be signed")
    }
}

/// The time in so many seconds, as JWTs count it.
pub fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    now.cast_signed() + seconds
}
