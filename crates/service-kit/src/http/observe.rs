//! Names each request, and sees how it was answered.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use super::context::{REQUEST_ID, RequestContext};
use crate::metrics::Metrics;

pub(super) async fn run(State(metrics): State<Metrics>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let context = RequestContext::from_headers(request.headers());
    let request_id = HeaderValue::try_from(&context.request_id).expect("visible ASCII is a valid header value");
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    // What this request sets off, here and in other services, is correlated by its id.
    let span = tracing::info_span!("request", correlation_id = context.request_id);
    request.extensions_mut().insert(context);

    let mut response = next.run(request).instrument(span.clone()).await;

    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    metrics.answered(method, route, status, elapsed);
    let elapsed_ms = (elapsed.as_secs_f64() * 1e5).round() / 1e2;
    // The route, not the path: a path holds whatever its caller has put into it.
    span.in_scope(|| tracing::debug!(method, route, status, elapsed_ms, "answered"));
    response.headers_mut().insert(REQUEST_ID, request_id);
    response
}

/// The label of requests that no route matched: their paths are anybody's, and would be as many time series.
const NO_ROUTE: &str = "none";

/// The method as a label; those that no route of ours has are one, for the same reason.
fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}
