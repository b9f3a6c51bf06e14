//! The services' own routes, for the page: a request goes to its service with the token of whoever is signed in, and the
//! answer comes back as it is. Only what the page has a use for is forwarded.

use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use contracts::event::Service;

use super::guard::Preview;
use super::problem::Problem;
use super::{PATIENCE, Shared};
use crate::client::error::root_cause;

/// What is forwarded; `*` is any one part of a path.
const ROUTES: &[(&str, Service, &str)] = &[
    ("GET", Service::Order, "v1/orders"),
    ("POST", Service::Order, "v1/orders"),
    ("GET", Service::Order, "v1/orders/*"),
    ("GET", Service::Order, "v1/orders/*/events"),
    ("GET", Service::Order, STREAM),
    ("POST", Service::Order, "v1/orders/*/cancel"),
    ("POST", Service::Order, "v1/ops/orders/*/nudge"),
    ("POST", Service::Order, "v1/customers"),
    ("GET", Service::Order, "v1/customers/*"),
    ("GET", Service::Order, "v1/reports/daily-sales"),
    ("GET", Service::Inventory, "v1/products"),
    ("GET", Service::Inventory, "v1/products/*"),
    ("GET", Service::Inventory, "v1/products/*/movements"),
    ("POST", Service::Inventory, "v1/products/*/stock"),
    ("GET", Service::Inventory, "v1/reservations/*"),
    ("GET", Service::Email, "v1/emails"),
    ("GET", Service::Email, PREVIEW),
];

const STREAM: &str = "v1/orders/*/stream";
const PREVIEW: &str = "v1/emails/*/preview";

/// Headers of a request that its service has a use for.
const ASKED: [HeaderName; 4] =
    [CONTENT_TYPE, IF_MATCH, HeaderName::from_static("idempotency-key"), HeaderName::from_static("last-event-id")];

/// Headers of an answer that the page has a use for.
const ANSWERED: [HeaderName; 6] = [
    CONTENT_TYPE,
    ETAG,
    LOCATION,
    RETRY_AFTER,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("idempotent-replayed"),
];

/// `/api/s/SERVICE/PATH`
pub(super) async fn run(
    State(console): State<Shared>,
    Path((service, path)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let session = console.sessions.of(&headers)?;
    let route = Service::named(&service).and_then(|service| route(&method, service, &path));
    let Some((service, pattern)) = route else { return Err(Problem::not_found("The console does not forward this.")) };
    let client = console.services.iter().find(|(known, _)| *known == service).map(|(_, client)| client);
    let client = session.client(client.ok_or_else(|| Problem::not_found("There is no such service."))?)?;
    let target = query.map_or_else(|| format!("/{path}"), |query| format!("/{path}?{query}"));
    let mut request = client.request(method, &target).body(body);
    for name in ASKED {
        if let Some(value) = headers.get(&name) {
            request = request.header(name, value);
        }
    }
    if pattern != STREAM {
        request = request.timeout(PATIENCE);
    }
    let answer = request.send().await.map_err(|error| {
        let why = if error.is_timeout() { "it took too long".to_owned() } else { root_cause(&error) };
        Problem::away(format!("{service} does not answer: {why}."))
    })?;
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = (status, Body::empty()).into_response();
    for name in ANSWERED {
        if let Some(value) = answer.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    *response.body_mut() = Body::from_stream(answer.bytes_stream());
    response.headers_mut().insert(CACHE_CONTROL, axum::http::HeaderValue::from_static("no-store"));
    if pattern == PREVIEW {
        response.extensions_mut().insert(Preview);
    }
    Ok(response)
}

fn route(method: &Method, service: Service, path: &str) -> Option<(Service, &'static str)> {
    let parts: Vec<&str> = path.split('/').collect();
    // ids and skus are made of these; a sku may consist of dots alone, which a path cannot say
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let safe = |part: &&str| !part.is_empty() && part.chars().all(plain) && part.chars().any(|c| c != '.');
    if !parts.iter().all(safe) {
        return None;
    }
    let fits = |pattern: &str| {
        let mut wanted = pattern.split('/');
        wanted.clone().count() == parts.len()
            && parts.iter().all(|part| matches!(wanted.next(), Some(want) if want == "*" || want == *part))
    };
    let found = ROUTES.iter().find(|(known, of, pattern)| *known == method.as_str() && *of == service && fits(pattern));
    found.map(|(_, service, pattern)| (*service, *pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_page_needs_is_forwarded() {
        let goes = |method: Method, service, path: &str| route(&method, service, path).is_some();
        assert!(goes(Method::GET, Service::Order, "v1/orders"));
        assert!(goes(Method::POST, Service::Order, "v1/orders/0199c2b0/cancel"));
        assert!(goes(Method::GET, Service::Inventory, "v1/products/a.b_c-1/movements"));
        assert!(!goes(Method::DELETE, Service::Order, "v1/orders"));
        assert!(!goes(Method::GET, Service::Inventory, "v1/orders"));
        assert!(!goes(Method::POST, Service::Order, "v1/payments/webhook"));
        assert!(!goes(Method::PUT, Service::Inventory, "v1/products/tea"));
    }

    #[test]
    fn no_path_leads_out_of_its_pattern() {
        for path in [
            "v1/orders/..",
            "v1/orders/../emails",
            "v1/orders/%2e%2e",
            "v1/orders/",
            "/v1/orders",
            "v1/orders/a?b",
            "v1/orders/a#b",
            "v1//orders",
            "metrics",
        ] {
            assert!(route(&Method::GET, Service::Order, path).is_none(), "{path}");
        }
    }
}
