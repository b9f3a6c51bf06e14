//! What every request has to pass, and what every answer carries, so that no other page can use a browser that is signed
//! in here.
//!
//! A page of somebody else's may send requests here with the user's cookie: `SameSite` keeps other sites out, but not other
//! ports of the same host, and a name that suddenly means 127.0.0.1 would make any page one of ours. So the name by which
//! we are called has to be one of ours; what changes something has to come from the very origin that served the page, and
//! with a header that no form can send.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::problem::Problem;

/// Scripts and styles from here alone, none within the page; no markup from texts (trusted types); no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// A mail may style itself and nothing else, in a frame of ours.
const PREVIEW_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'self'; sandbox";

/// The header that our own scripts send: a request with it needs a permission across origins that nobody has.
pub(super) const OWN_HEADER: &str = "x-warren-console";

/// Marks an answer as a mail's page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Preview;

/// Refuses what does not come from our own page, and adds the headers.
pub(super) async fn run(State(console): State<Shared>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let refused = refuse(request.method(), request.headers(), is_api, &console.hosts);
    let mut response = match refused {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    let is_preview = response.extensions().get::<Preview>().is_some() && response.status().is_success();
    let (policy, frames) = if is_preview { (PREVIEW_POLICY, "SAMEORIGIN") } else { (POLICY, "DENY") };
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    set(CONTENT_SECURITY_POLICY, policy);
    set(X_FRAME_OPTIONS, frames);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
    if is_api {
        set(CACHE_CONTROL, "no-store");
    }
    response
}

fn refuse(method: &Method, headers: &HeaderMap, is_api: bool, hosts: &[String]) -> Option<Problem> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text(HOST) else {
        return Some(Problem::new(StatusCode::BAD_REQUEST, "host-missing", "No Host", "Say whom you call."));
    };
    if !is_ours(host, hosts) {
        let detail = "The console is not reached by this name. If it should be, add the name to CONSOLE_HOSTS.";
        return Some(Problem::new(StatusCode::MISDIRECTED_REQUEST, "host-unknown", "Unknown name", detail));
    }
    let foreign = || Some(Problem::forbidden("Only the console's own page may ask for this."));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    if matches!(*method, Method::GET | Method::HEAD) {
        // a page of elsewhere learns nothing from such a request, but it would cost us work
        return if is_api && matches!(site, Some("cross-site" | "same-site")) { foreign() } else { None };
    }
    let same_origin = text(ORIGIN)
        .and_then(|origin| origin.split_once("://"))
        .is_some_and(|(scheme, authority)| matches!(scheme, "http" | "https") && authority.eq_ignore_ascii_case(host));
    let own = headers.contains_key(OWN_HEADER) && matches!(site, None | Some("same-origin"));
    if same_origin && own { None } else { foreign() }
}

/// Whether a `Host` is a name of loopback or one of those that the operator gave, whatever the port: other ports may be
/// forwarded to ours.
fn is_ours(host: &str, hosts: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.to_lowercase();
    matches!(name.as_str(), "127.0.0.1" | "localhost" | "::1") || hosts.contains(&name)
}

/// Whether the browser reached us by TLS, through a proxy that ends it.
pub(super) fn is_encrypted(headers: &HeaderMap) -> bool {
    headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

/// The state as middleware takes it.
pub(super) fn state(console: &Shared) -> Shared {
    Arc::clone(console)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn passes(method: Method, pairs: &[(&'static str, &'static str)]) -> bool {
        refuse(&method, &headers(pairs), true, &["ops.example.com".to_owned()]).is_none()
    }

    #[test]
    fn only_our_own_names_are_answered() {
        for host in ["127.0.0.1:8090", "localhost", "LOCALHOST:1", "[::1]:8090", "ops.example.com"] {
            assert!(passes(Method::GET, &[("host", host)]), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example:8090", "10.0.0.7:8090", "ops.example.com.evil", ""] {
            assert!(!passes(Method::GET, &[("host", host)]), "{host}");
        }
        assert!(!passes(Method::GET, &[]));
    }

    #[test]
    fn what_changes_something_comes_from_our_own_page() {
        let host = ("host", "127.0.0.1:8090");
        let (origin, own) = (("origin", "http://127.0.0.1:8090"), (OWN_HEADER, "1"));
        assert!(passes(Method::POST, &[host, origin, own]));
        assert!(passes(Method::DELETE, &[host, origin, own, ("sec-fetch-site", "same-origin")]));
        assert!(!passes(Method::POST, &[host, own]), "no origin");
        assert!(!passes(Method::POST, &[host, origin]), "a form");
        for other in ["http://127.0.0.1:9999", "http://localhost:8090", "null", "https://evil.example", "file://"] {
            assert!(!passes(Method::POST, &[host, own, ("origin", other)]), "{other}");
        }
        assert!(!passes(Method::POST, &[host, origin, own, ("sec-fetch-site", "same-site")]));
    }

    #[test]
    fn other_sites_do_not_even_ask() {
        let host = ("host", "127.0.0.1:8090");
        assert!(passes(Method::GET, &[host, ("sec-fetch-site", "same-origin")]));
        assert!(passes(Method::GET, &[host, ("sec-fetch-site", "none")]));
        assert!(!passes(Method::GET, &[host, ("sec-fetch-site", "cross-site")]));
        assert!(!passes(Method::GET, &[host, ("sec-fetch-site", "same-site")]));
    }
}
