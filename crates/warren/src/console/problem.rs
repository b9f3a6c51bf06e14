//! Errors of the console's own, in the form in which the services tell theirs (RFC 9457).

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::client::error::CallError;
use crate::client::problem::Problem as Told;

/// Why a request was not done.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
}

impl Problem {
    /// A problem of that kind.
    pub(super) fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, title, detail: detail.into() }
    }

    /// Nobody is signed in, or not any more.
    pub(super) fn signed_out() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "signed-out", "Signed out", "Sign in with a token.")
    }

    /// The token does not permit it.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not permitted", detail)
    }

    /// What was asked for is not there.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// The body or the query is wrong.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-body", "Not valid", detail)
    }

    /// Something else is under way.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "Not now", detail)
    }

    /// What a service refused to somebody who is signed in: as it said it, where the page can make something of that.
    pub(super) fn of_service(told: &Told) -> Self {
        match told.status {
            401 => Self::new(StatusCode::UNAUTHORIZED, "bad-token", "The token is not accepted", told.told()),
            403 => Self::forbidden(told.told()),
            404 => Self::not_found(told.told()),
            400..500 => Self::conflict(told.told()),
            _ => Self::away(told.told()),
        }
    }

    /// Why a call to a service gave no good answer.
    pub(super) fn of_call(error: &CallError) -> Self {
        error.problem().map_or_else(|| Self::away(error.to_string()), Self::of_service)
    }

    /// Who would have to do it does not answer.
    pub(super) fn away(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "away", "No answer", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, kind, title, detail } = self;
        let body =
            json!({"type": format!("/problems/{kind}"), "title": title, "status": status.as_u16(), "detail": detail});
        (status, [(CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_refuses_keeps_its_status() {
        let body = br#"{"type": "/problems/not-found", "title": "Not found", "detail": "There is no such order."}"#;
        for (status, expected) in [(404, 404), (403, 403), (401, 401), (409, 409), (422, 409), (503, 502), (500, 502)] {
            let problem = Problem::of_service(&Told::read(status, None, body).unwrap());
            assert_eq!(problem.status.as_u16(), expected, "{status}");
            assert_eq!(problem.detail, "Not found: There is no such order.");
        }
        let lost = CallError::Lost { service: "order", reason: "it took too long".to_owned(), changes: false };
        assert_eq!(Problem::of_call(&lost).status, StatusCode::BAD_GATEWAY);
    }
}
