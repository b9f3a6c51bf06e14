//! What names a request to others: its id, and its place in a distributed trace.

use std::fmt::Write;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use uuid::Uuid;

use super::problem::Problem;

/// The header that carries a request's id, both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A longer id is replaced: it is repeated in each log line and each event of the request.
const MAX_REQUEST_ID: usize = 128;

/// What names this request to others. An extractor, on routes that [`super::finish`] has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestContext {
    /// The caller's `x-request-id` if it is 1 to 128 visible ASCII characters, else a new UUIDv7.
    pub request_id: String,
    /// W3C Trace Context of this request's own span: in the trace of the caller's `traceparent` if that is valid, else in a new one.
    pub traceparent: String,
}

impl RequestContext {
    /// The context of a request with these headers.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = match text(REQUEST_ID) {
            Some(id) if is_visible_ascii(id, MAX_REQUEST_ID) => id.to_owned(),
            _ => Uuid::now_v7().to_string(),
        };
        let (trace_id, flags) = match text(TRACEPARENT).and_then(parse) {
            Some((trace_id, _, flags)) => (trace_id.to_owned(), flags),
            None => (Uuid::new_v4().simple().to_string(), SAMPLED),
        };
        RequestContext { request_id, traceparent: format!("00-{trace_id}-{}-{flags:02x}", span_id()) }
    }
}

/// The caller's place in a trace, if it sent a valid one.
pub(super) fn caller(headers: &HeaderMap) -> Option<SpanContext> {
    let (trace_id, span_id, flags) = parse(headers.get(TRACEPARENT)?.to_str().ok()?)?;
    let (trace_id, span_id) = (TraceId::from_hex(trace_id).ok()?, SpanId::from_hex(span_id).ok()?);
    Some(SpanContext::new(trace_id, span_id, TraceFlags::new(flags), true, TraceState::NONE))
}

/// A place in a trace, as the standard writes it.
pub(super) fn traceparent(span: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags() & TraceFlags::SAMPLED)
}

/// The trace flag that asks for the trace to be recorded.
const SAMPLED: u8 = 0x01;

/// Whether `text` has 1 to `max` characters, all visible ASCII.
pub(crate) fn is_visible_ascii(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Trace id, parent id and flags of a `traceparent`; a version after 00 may have more parts, which are ignored as the standard asks.
fn parse(header: &str) -> Option<(&str, &str, u8)> {
    let mut parts = header.split('-');
    let (version, trace_id, parent_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, len| text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |text: &str, len| is_hex(text, len) && text.bytes().any(|b| b != b'0');
    let version_fits = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    if !(version_fits && is_id(trace_id, 32) && is_id(parent_id, 16) && is_hex(flags, 2)) {
        return None;
    }
    // Only the flag that version 00 defines goes on.
    Some((trace_id, parent_id, u8::from_str_radix(flags, 16).ok()? & SAMPLED))
}

fn span_id() -> String {
    let random = Uuid::new_v4();
    // The first eight bytes: six random ones with the UUID's version between them, never all zero.
    random.as_bytes()[..8].iter().fold(String::with_capacity(16), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

impl<S: Send + Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // A route outside of `finish` has no context yet; its headers say the same.
        let context = parts.extensions.get::<RequestContext>();
        Ok(context.cloned().unwrap_or_else(|| RequestContext::from_headers(&parts.headers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn context(headers: &[(HeaderName, &str)]) -> RequestContext {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("header value")));
        RequestContext::from_headers(&headers.collect())
    }

    #[test]
    fn a_valid_request_id_is_kept_and_another_replaced() {
        assert_eq!(context(&[(REQUEST_ID, "order-7")]).request_id, "order-7");
        for bad in ["", "with blank", &"x".repeat(129)] {
            let id = context(&[(REQUEST_ID, bad)]).request_id;
            assert_eq!(id.parse::<Uuid>().expect("a UUID").get_version_num(), 7);
        }
    }

    #[test]
    fn a_valid_trace_is_continued_with_a_span_of_its_own() {
        let parent = format!("00-{TRACE}-b7ad6b7169203331-00");
        let traceparent = context(&[(TRACEPARENT, &parent)]).traceparent;
        assert!(traceparent.starts_with(&format!("00-{TRACE}-")) && traceparent.ends_with("-00"));
        assert_ne!(traceparent, parent);
        assert!(parse(&traceparent).is_some());
        let later = context(&[(TRACEPARENT, &format!("cc-{TRACE}-b7ad6b7169203331-01-what"))]).traceparent;
        assert!(later.starts_with(&format!("00-{TRACE}-")) && later.ends_with("-01"));
    }

    #[test]
    fn a_bad_trace_is_replaced() {
        let zero = "0".repeat(32);
        for bad in [
            format!("00-{zero}-b7ad6b7169203331-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("ff-{TRACE}-b7ad6b7169203331-01"),
            format!("00-{TRACE}-b7ad6b7169203331-01-more"),
            format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            "nonsense".to_owned(),
        ] {
            let traceparent = context(&[(TRACEPARENT, &bad)]).traceparent;
            assert!(parse(&traceparent).is_some() && !traceparent.contains(TRACE), "{bad}");
        }
    }
}
