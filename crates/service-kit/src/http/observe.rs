//! Names each request, and sees how it was answered.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context as Otel, KeyValue};
use tracing::Instrument;

use super::context::{self, REQUEST_ID, RequestContext};
use crate::metrics::Metrics;
use crate::traces::tracer;

pub(super) async fn run(State(metrics): State<Metrics>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let mut context = RequestContext::from_headers(request.headers());
    let request_id = HeaderValue::try_from(&context.request_id).expect("visible ASCII is a valid header value");
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut traced = trace(method, route.as_ref(), &request);
    if let Some(traced) = traced.as_ref().map(BoxedSpan::span_context).filter(|traced| traced.is_valid()) {
        context.traceparent = context::traceparent(traced);
    }
    // What this request sets off, here and in other services, is correlated by its id.
    let span = tracing::info_span!("request", correlation_id = context.request_id);
    request.extensions_mut().insert(context);

    let mut response = next.run(request).instrument(span.clone()).await;

    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    metrics.answered(method, route, status, elapsed);
    if let Some(traced) = &mut traced {
        answered(traced, status);
    }
    let elapsed_ms = (elapsed.as_secs_f64() * 1e5).round() / 1e2;
    // The route, not the path: a path holds whatever its caller has put into it.
    span.in_scope(|| tracing::debug!(method, route, status, elapsed_ms, "answered"));
    response.headers_mut().insert(REQUEST_ID, request_id);
    response
}

/// Routes that are asked every few seconds by machines. A trace of each would bury the others.
const UNTRACED: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// The request as a span, if spans are recorded: in the caller's trace, or the first of a new one. It says which route it
/// was, not which path: a path holds whatever its caller has put into it.
fn trace(method: &'static str, route: Option<&MatchedPath>, request: &Request) -> Option<BoxedSpan> {
    let tracer = tracer()?;
    let route = route.map(|route| route.as_str().to_owned()).filter(|route| !UNTRACED.contains(&route.as_str()))?;
    let parent = match context::caller(request.headers()) {
        Some(caller) => Otel::new().with_remote_span_context(caller),
        None => Otel::new(),
    };
    let name = format!("{method} {route}");
    let mut span = tracer.build_with_context(SpanBuilder::from_name(name).with_kind(SpanKind::Server), &parent);
    span.set_attributes([KeyValue::new("http.request.method", method), KeyValue::new("http.route", route)]);
    Some(span)
}

fn answered(span: &mut BoxedSpan, status: u16) {
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
    if status >= 500 {
        span.set_attribute(KeyValue::new("error.type", status.to_string()));
        span.set_status(Status::error(""));
    }
}

/// The label of requests that no route matched: their paths are anybody's, and would be as many time series.
const NO_ROUTE: &str = "none";

/// The method as a label; those that no route of ours has are one, for the same reason.
fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}
