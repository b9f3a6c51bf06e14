//! `Idempotency-Key`: a POST that is sent twice has one effect, and the second gets the answer of the first.
//!
//! As the IETF draft *The Idempotency-Key HTTP Header Field* has it: the same key with another body is 422, and 409
//! while the first request is under way. There is no "in progress" row that a crash could leave behind: the key is an advisory lock for
//! the length of the transaction, and the answer is a row that commits with the effect.
//!
//! ```no_run
//! # #[derive(serde::Deserialize)] struct NewThing {}
//! # impl service_kit::http::extract::Validate for NewThing {
//! #     fn validate(&self, _: &mut service_kit::http::extract::Errors) {}
//! # }
//! # use axum::http::StatusCode;
//! # use service_kit::http::{auth::{Authorized, scope}, extract::Body, problem::Problem};
//! use service_kit::http::idempotency::{self, Answer, Claim, IdempotencyKey};
//!
//! async fn create(
//!     pool: sqlx::PgPool, caller: Authorized<scope::OrdersWrite>, key: IdempotencyKey, body: Body<NewThing>,
//! ) -> Result<Answer, Problem> {
//!     let key = key.of(&caller, &body.raw);
//!     let mut tx = pool.begin().await?;
//!     if let Claim::Replay(answer) = idempotency::claim(&mut tx, key.as_ref()).await? {
//!         return Ok(answer);
//!     }
//!     // … the effect, in the same transaction …
//!     let answer = Answer::json(StatusCode::CREATED, &"done").with_location("/v1/things/7");
//!     idempotency::keep(&mut tx, key.as_ref(), &answer).await?;
//!     tx.commit().await?;
//!     Ok(answer)
//! }
//! ```
//!
//! Whoever refuses after the claim rolls back before the answer is given: a transaction that is only dropped is undone some
//! time later, and who asks again at once would find the key in use.
//!
//! Where many requests share one transaction, [`claim_many`] and [`keep_many`] do the same for all of them. The table and
//! the function that claims are `idempotency.sql` and `idempotency_claim.sql` of this crate; the services' migrations copy them.

mod store;

#[cfg(test)]
mod tests;

pub use store::{claim, claim_many, keep, keep_many, prune};

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::auth::Caller;
use super::context::is_visible_ascii;
use super::extract::etag;
use super::problem::Problem;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The longest key; the longest that a standard client library makes is a UUID.
const MAX_KEY: usize = 255;
/// When to ask again about a request that is under way.
const RETRY_IN_USE: Duration = Duration::from_secs(1);

/// The request's `Idempotency-Key`, if it has one, with its route. Other than once, with 1 to 255 visible ASCII characters, it is 400 `invalid-header`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    key: Option<String>,
    route: String,
}

impl IdempotencyKey {
    /// The full key of this request, with who sent it and what; `None` when the caller sent none.
    pub fn of(self, caller: &Caller, body: &[u8]) -> Option<Key> {
        let caller = match caller.customer_id {
            // A newline is in no subject, so no subject can be taken for a customer's own caller.
            Some(customer) => format!("{}\ncustomer:{customer}", caller.subject),
            None => caller.subject.clone(),
        };
        self.key.map(|key| Key::new(caller, self.route, key, body))
    }
}

impl IdempotencyKey {
    /// [`of`](Self::of), for a sender that has no token but is known otherwise, by `name`.
    pub fn of_sender(self, name: &str, body: &[u8]) -> Option<Key> {
        // A newline is in no subject, so no token can be taken for this sender.
        self.key.map(|key| Key::new(format!("\n{name}"), self.route, key, body))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let key = match (values.next(), values.next()) {
            (None, _) => None,
            (Some(value), None) => value
                .to_str()
                .ok()
                .filter(|key| is_visible_ascii(key, MAX_KEY))
                .map(str::to_owned)
                .map(Some)
                .ok_or_else(invalid_key)?,
            (Some(_), Some(_)) => return Err(invalid_key()),
        };
        Ok(IdempotencyKey { key, route: format!("{} {}", parts.method, parts.uri.path()) })
    }
}

fn invalid_key() -> Problem {
    Problem::invalid_header(format!("Idempotency-Key must be sent once, with 1 to {MAX_KEY} visible ASCII characters."))
}

/// A request as its caller means it: two with the same caller, route and key are one, if their bodies are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    caller: String,
    route: String,
    key: String,
    fingerprint: [u8; 32],
}

impl Key {
    /// For requests that do not come from a [`Caller`]; others are made by [`IdempotencyKey::of`].
    pub fn new(caller: impl Into<String>, route: impl Into<String>, key: impl Into<String>, body: &[u8]) -> Self {
        Key { caller: caller.into(), route: route.into(), key: key.into(), fingerprint: Sha256::digest(body).into() }
    }

    /// The number of the advisory lock: 64 bits of a hash, so that two different keys meet once in ages, and are then only told to retry.
    fn lock(&self) -> i64 {
        let mut hash = Sha256::new();
        // NUL is in none of the three.
        for part in ["idempotency", &self.caller, &self.route, &self.key] {
            hash.update(part);
            hash.update([0]);
        }
        let hash: [u8; 32] = hash.finalize().into();
        i64::from_be_bytes(hash[..8].try_into().expect("a hash has more than eight bytes"))
    }

    fn is_same_request(&self, other: &Key) -> bool {
        (&self.caller, &self.route, &self.key) == (&other.caller, &other.route, &other.key)
    }
}

/// What a claimed key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing was done under it: do the work, and [`keep`] the answer, in this transaction.
    New,
    /// The work was done: this was the answer, and is now.
    Replay(Answer),
}

/// 409: another request with this key has not been answered yet.
fn in_use() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "idempotency-key-in-use",
        "The idempotency key is in use",
        "The first request with this key is still under way.",
    )
    .with_retry_after(RETRY_IN_USE)
}

/// 422: the key was used for something else.
fn reused() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "The idempotency key was used before",
        "The first request with this key had another body.",
    )
}

/// A 2xx answer that can be kept and given again: status, `Location`, `ETag` and a JSON body, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: StatusCode,
    location: Option<String>,
    etag: Option<String>,
    body: Bytes,
    replayed: bool,
}

impl Answer {
    /// A JSON body under this status, which must be 2xx.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("an answer is made of plain values");
        Answer { status, location: None, etag: None, body: body.into(), replayed: false }
    }

    /// No body, under this status, which must be 2xx.
    pub fn empty(status: StatusCode) -> Self {
        Answer { status, location: None, etag: None, body: Bytes::new(), replayed: false }
    }

    /// Adds `Location`: a path, in ASCII.
    #[must_use]
    pub fn with_location(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// Adds the `ETag` of this version.
    #[must_use]
    pub fn with_etag(mut self, version: i64) -> Self {
        self.etag = etag(version).to_str().ok().map(str::to_owned);
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = if self.body.is_empty() {
            self.status.into_response()
        } else {
            (self.status, [(CONTENT_TYPE, "application/json")], self.body).into_response()
        };
        let headers = response.headers_mut();
        for (name, value) in [(LOCATION, self.location), (ETAG, self.etag)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        if self.replayed {
            headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}
