//! Who calls, and what they may do: bearer tokens that are JWTs (RFC 6750, RFC 7519).
//!
//! A handler's first argument is [`Authorized`] or [`Staff`], with the scope it needs as a type, so that callers without
//! the right get 401 or 403 before anything else about their request is looked at:
//!
//! ```
//! # use service_kit::http::auth::{Authorized, scope};
//! # use service_kit::http::extract::Path;
//! async fn show(caller: Authorized<scope::OrdersRead>, Path(id): Path<uuid::Uuid>) { /* … */ }
//! ```

mod caller;
mod keys;
mod permission;

#[cfg(test)]
mod tests;

pub use caller::{Caller, Scope};
pub use permission::{Authorized, Permission, Staff, scope};

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderValue;

use super::problem::Problem;
use keys::Keys;

/// Verifies bearer tokens; clones share the keys.
///
/// A token needs a signature by a key whose kind fits its `alg`, and an `exp`; `nbf` is honoured, both with 30 seconds of leeway.
#[derive(Clone)]
pub struct Authenticator(Arc<Mode>);

enum Mode {
    Keys(Keys),
    Disabled,
}

impl Authenticator {
    /// Tokens signed with HS256 and these bytes; `iss` and `aud` must be these where given.
    pub fn hs256(secret: &[u8], issuer: Option<&str>, audience: Option<&str>) -> Self {
        Authenticator(Arc::new(Mode::Keys(Keys::hs256(secret, issuer, audience))))
    }

    /// Tokens signed with RS256, ES256, EdDSA (or their kin) by one of the public keys of a JWKS document (RFC 7517).
    ///
    /// Keys of other kinds or for encryption are skipped. The error is a line for the operator: no JSON, or no usable key.
    pub fn jwks(document: &[u8], issuer: Option<&str>, audience: Option<&str>) -> Result<Self, String> {
        let keys = Keys::jwks(document, issuer, audience)?;
        Ok(Authenticator(Arc::new(Mode::Keys(keys))))
    }

    /// No tokens: every caller is the same, and may do everything.
    pub fn disabled() -> Self {
        Authenticator(Arc::new(Mode::Disabled))
    }

    /// Who sends this `Authorization` header.
    pub fn authenticate(&self, authorization: Option<&HeaderValue>) -> Result<Caller, Problem> {
        let keys = match &*self.0 {
            Mode::Keys(keys) => keys,
            Mode::Disabled => return Ok(Caller::anyone()),
        };
        let Some(authorization) = authorization else {
            return Err(Problem::unauthorized("Send a bearer token.").with_challenge(challenge(None)));
        };
        let token = bearer(authorization).ok_or_else(|| bad_token("the Authorization header is no bearer token"))?;
        keys.verify(token).and_then(Caller::from_claims).map_err(bad_token)
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self.0 {
            Mode::Keys(_) => "Authenticator(keys)",
            Mode::Disabled => "Authenticator(disabled)",
        })
    }
}

/// The token of `Bearer TOKEN`; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(authorization: &HeaderValue) -> Option<&str> {
    let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn bad_token(why: &'static str) -> Problem {
    Problem::unauthorized(format!("The token is not accepted: {why}."))
        .with_challenge(challenge(Some(&format!("error=\"invalid_token\", error_description=\"{why}\""))))
}

/// The `WWW-Authenticate` of RFC 6750, section 3.
fn challenge(parameters: Option<&str>) -> HeaderValue {
    let value = match parameters {
        Some(parameters) => format!("Bearer realm=\"warren\", {parameters}"),
        None => "Bearer realm=\"warren\"".to_owned(),
    };
    HeaderValue::try_from(value).expect("our own ASCII is a valid header value")
}
