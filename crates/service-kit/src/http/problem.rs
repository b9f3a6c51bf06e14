//! Errors as callers see them: RFC 9457 problem documents with a stable `type`.
//!
//! What a caller reads and what the log says are separate. A problem's detail is written for the caller and
//! never holds the text of a source error; who turns a source error into a problem logs it, once.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::database::{self, Fault};

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// When to come back to something that is away: long enough not to hammer it, short enough to notice its return.
const RETRY_SOON: Duration = Duration::from_secs(5);

/// An error as its caller sees it.
// Boxed, since it is the error half of most results and rarely made.
#[derive(Clone, Debug)]
pub struct Problem(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    headers: HeaderMap,
}

/// One entry of `errors`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the request's body; empty for the body itself.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// A problem of any kind; its `type` is `/problems/KIND`. `title` is the same for all of a kind, `detail` says what happened this time.
    pub fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Problem(Box::new(Inner {
            status,
            kind,
            title,
            detail: detail.into(),
            errors: Vec::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// Adds an entry to `errors`; `pointer` is a JSON pointer (RFC 6901) into the body.
    #[must_use]
    pub fn with_error(self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.with_errors([FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    /// Adds entries to `errors`.
    #[must_use]
    pub fn with_errors(mut self, errors: impl IntoIterator<Item = FieldError>) -> Self {
        self.0.errors.extend(errors);
        self
    }

    /// Adds `Retry-After`, in whole seconds, rounded up.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        self.0.headers.insert(RETRY_AFTER, seconds.into());
        self
    }

    /// Adds `WWW-Authenticate` (RFC 6750, section 3).
    #[must_use]
    pub fn with_challenge(mut self, challenge: HeaderValue) -> Self {
        self.0.headers.insert(WWW_AUTHENTICATE, challenge);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The last part of the `type`.
    pub fn kind(&self) -> &'static str {
        self.0.kind
    }

    /// The entries of `errors`.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// 400: the body is not JSON.
    pub fn malformed_json(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-json", "The body is not valid JSON", detail)
    }

    /// 400: a query parameter is unknown, doubled, missing or wrong.
    pub fn invalid_query(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-query", "A query parameter is invalid", detail)
    }

    /// 400: a part of the path is not what it should be, such as an id that is no UUID.
    pub fn invalid_path(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-path", "The path is invalid", detail)
    }

    /// 400: the cursor was not made by this list with these filters.
    pub fn invalid_cursor() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-cursor",
            "The cursor is invalid",
            "This cursor was not made by this list with these filters; start again without one.",
        )
    }

    /// 400: a header's value is malformed.
    pub fn invalid_header(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-header", "A header is invalid", detail)
    }

    /// 401: no token, or a bad one. The challenge is added by [`super::auth`].
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Authentication is required", detail)
            .with_challenge(HeaderValue::from_static("Bearer"))
    }

    /// 403: the token does not permit this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The token does not permit this", detail)
    }

    /// 404: there is no such thing, or this caller may not know of it.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
            "This resource does not have this method; see the Allow header.",
        )
    }

    /// 409: the state of the resource does not permit this.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "Conflict with the current state", detail)
    }

    /// 412: the resource has another version than `If-Match` asks for.
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", "The precondition does not hold", detail)
    }

    /// 413: the body is larger than [`super::MAX_BODY_BYTES`].
    pub fn payload_too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload-too-large",
            "The body is too large",
            format!("A body may have at most {} bytes.", super::MAX_BODY_BYTES),
        )
    }

    /// 415: the body is not declared as JSON in UTF-8.
    pub fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The body's media type is not supported",
            "Send the body as application/json, in UTF-8.",
        )
    }

    /// 422: the body is JSON, but not what this route takes. `errors` says where ([`with_errors`](Self::with_errors)).
    pub fn invalid_body(errors: impl IntoIterator<Item = FieldError>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-body",
            "The body is invalid",
            "The body is not what this route takes; see errors.",
        )
        .with_errors(errors)
    }

    /// 500. The cause belongs into the log and never into the answer.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            "Something went wrong on our side; the log has it under this answer's x-request-id.",
        )
    }

    /// 503: something this request needs is away.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable", detail)
            .with_retry_after(RETRY_SOON)
    }

    /// 503: there is more to do than can be done.
    pub fn overloaded(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Overloaded", detail).with_retry_after(RETRY_SOON)
    }
}

/// Logs the error. What passes by itself (an outage, a deadlock) becomes 503, anything else 500.
impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        match database::classify(&error) {
            Fault::Outage => {
                tracing::warn!(%error, "the database is away");
                Problem::unavailable("The database is away.")
            }
            Fault::Transient => {
                tracing::warn!(%error, "the transaction lost against others");
                Problem::unavailable("Others changed the same at the same time.")
            }
            Fault::Permanent => {
                tracing::error!(%error, "a database statement failed");
                Problem::internal()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Inner { status, kind, title, detail, errors, headers } = *self.0;
        let document = Document {
            r#type: format!("/problems/{kind}"),
            title,
            status: status.as_u16(),
            detail: &detail,
            errors: &errors,
        };
        let body = serde_json::to_vec(&document).expect("strings and numbers always serialize");
        let mut response = (status, headers, body).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.0.status.as_u16(), self.0.kind, self.0.detail)
    }
}

impl std::error::Error for Problem {}
