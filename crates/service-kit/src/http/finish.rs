//! Everything around a service's own routes.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router, middleware};
use tokio::sync::Semaphore;

use super::auth::Authenticator;
use super::extract::NoQuery;
use super::problem::Problem;
use super::{detach, observe};
use crate::health::{Health, Role};
use crate::metrics::{Format, Metrics};

/// What [`finish`] wires into a router.
#[derive(Clone, Debug)]
pub struct Plumbing {
    /// Verifies callers.
    pub auth: Authenticator,
    /// Answers `/livez` and `/readyz`.
    pub health: Health,
    /// Answers `/metrics`, and counts the answers.
    pub metrics: Metrics,
}

/// Adds to a service's routes what every service has. Call once, last.
///
/// - `/livez`, `/readyz`, `/metrics`, which need no token, and `/docs`, which shows the service's own `/openapi.json`
/// - the [`Authenticator`] behind the extractors of [`super::auth`]
/// - 404 and 405 as problems; a panic of a handler is a 500 and harms nobody else
/// - a handler runs to its end even when its caller goes away, so no transaction is dropped half-way
/// - a limit on the requests under way, beyond which the answer is 503 `overloaded`
/// - `x-request-id` on every answer, the trace context, `http_server_request_duration_seconds`, and an access log at level debug
pub fn finish(routes: Router, plumbing: Plumbing) -> Router {
    let Plumbing { auth, health, metrics } = plumbing;
    metrics.register(|registry| health.register(registry));
    let under_way = Arc::new(Semaphore::new(detach::MAX_UNDER_WAY));
    routes
        .layer(middleware::from_fn_with_state(under_way, detach::run))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz).with_state(health))
        .route("/metrics", get(exposition).with_state(metrics.clone()))
        .route("/docs", get(docs))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(Extension(auth))
        .layer(middleware::from_fn_with_state(metrics, observe::run))
}

async fn no_such_route() -> Problem {
    Problem::not_found("There is no such route.")
}

async fn no_such_method() -> Problem {
    Problem::method_not_allowed()
}

/// The process answers: nothing else, since a restart mends nothing that is away.
async fn livez(_: NoQuery) -> Json<serde_json::Value> {
    Json(serde_json::json!({"status": "ok"}))
}

async fn readyz(State(health): State<Health>, RawQuery(query): RawQuery) -> Response {
    let role = match query.as_deref() {
        None | Some("") => Role::All,
        Some("role=http") => Role::Http,
        Some(_) => return Problem::invalid_query("The only parameter is role=http.").into_response(),
    };
    let report = health.report(role);
    let status = if report.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

/// A page that reads `/openapi.json` and needs nothing else: no network, no package. Its one script and style are in it.
async fn docs(_: NoQuery) -> impl IntoResponse {
    const PAGE: &str = include_str!("docs.html");
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    ([(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)], PAGE)
}

async fn exposition(State(metrics): State<Metrics>, _: NoQuery, headers: HeaderMap) -> Response {
    let format = Format::accepted(headers.get_all(ACCEPT));
    ([(CONTENT_TYPE, format.media_type())], metrics.render(format).await).into_response()
}

#[cfg(test)]
mod tests;
