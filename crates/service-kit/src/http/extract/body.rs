//! Request bodies: read with a limit and a deadline, then parsed and validated.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use super::errors::{Errors, Validate};
use super::json;
use crate::http::MAX_BODY_BYTES;
use crate::http::problem::Problem;

/// How long a caller may take to send its body: 256 KiB over a very slow line.
const BODY_DEADLINE: Duration = Duration::from_secs(20);
/// Of a body that is too large, this much is read and dropped before the answer, since most clients read only after they have
/// written all; a larger one loses its connection instead.
const MAX_DISCARDED_BYTES: usize = 4 * 1024 * 1024;

/// A JSON body: parsed strictly, and valid.
///
/// `T` and all structs in it need `#[serde(deny_unknown_fields)]`. In the order of the complaints: not declared as JSON
/// 415, too large 413, not JSON 400 `malformed-json`, JSON but not a `T`, or invalid, 422 `invalid-body`.
#[derive(Clone, Debug)]
pub struct Body<T> {
    /// The valid value.
    pub value: T,
    /// The bytes as sent, for fingerprints.
    pub raw: Bytes,
}

/// [`Body`] for routes where an absent or empty one means `{}`.
#[derive(Clone, Debug)]
pub struct OptionalBody<T> {
    /// The valid value.
    pub value: T,
    /// The bytes as sent, for fingerprints.
    pub raw: Bytes,
}

/// A body as it was sent, within the limit and the deadline: for signatures.
#[derive(Clone, Debug)]
pub struct RawBody {
    /// The bytes as sent.
    pub raw: Bytes,
    declared_json: bool,
}

impl RawBody {
    /// The body as a `T`, strictly and validated, once its signature has been checked. The complaints are those of [`Body`].
    pub fn parse<T: DeserializeOwned + Validate>(&self) -> Result<T, Problem> {
        if self.declared_json { parse(&self.raw) } else { Err(Problem::unsupported_media_type()) }
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Validate> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::unsupported_media_type());
        }
        let raw = read(request).await?;
        Ok(Body { value: parse(&raw)?, raw })
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Validate> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let declared_json = is_json(request.headers());
        let raw = read(request).await?;
        match (raw.is_empty(), declared_json) {
            (true, _) => Ok(OptionalBody { value: parse(b"{}")?, raw }),
            (false, true) => Ok(OptionalBody { value: parse(&raw)?, raw }),
            (false, false) => Err(Problem::unsupported_media_type()),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let declared_json = is_json(request.headers());
        read(request).await.map(|raw| RawBody { raw, declared_json })
    }
}

fn parse<T: DeserializeOwned + Validate>(raw: &[u8]) -> Result<T, Problem> {
    let value: T = json::parse(raw)?;
    let mut errors = Errors::default();
    value.validate(&mut errors);
    errors.into_result().map(|()| value)
}

/// `application/json` or `application/*+json` in UTF-8, not compressed.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let encoded =
        headers.get(CONTENT_ENCODING).is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    let mut parts = content_type.split(';').map(|part| part.trim().to_ascii_lowercase());
    let is_json = parts.next().is_some_and(|media_type| {
        media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
    });
    let is_utf8 = parts
        .filter_map(|part| part.strip_prefix("charset=").map(|set| set.trim_matches('"') == "utf-8"))
        .all(|fits| fits);
    is_json && is_utf8 && !encoded
}

async fn read(request: Request) -> Result<Bytes, Problem> {
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    // A caller that waits for "100 Continue" has not begun to send, and reading would tell it to.
    let waits = request.headers().contains_key(EXPECT);
    if announced.is_some_and(|length| length > MAX_DISCARDED_BYTES || (waits && length > MAX_BODY_BYTES)) {
        return Err(Problem::payload_too_large());
    }
    tokio::time::timeout(BODY_DEADLINE, collect(request.into_body(), announced.unwrap_or(0))).await.unwrap_or_else(
        |_| {
            Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "request-timeout",
                "The body took too long",
                format!("A body must arrive within {} seconds.", BODY_DEADLINE.as_secs()),
            ))
        },
    )
}

async fn collect(mut body: axum::body::Body, announced: usize) -> Result<Bytes, Problem> {
    let mut all = BytesMut::with_capacity(announced.min(MAX_BODY_BYTES));
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::malformed_json("The body ended before its announced length."))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen <= MAX_BODY_BYTES {
            all.extend_from_slice(&data);
        } else if seen > MAX_DISCARDED_BYTES {
            break;
        }
    }
    if seen > MAX_BODY_BYTES {
        return Err(Problem::payload_too_large());
    }
    Ok(all.freeze())
}
