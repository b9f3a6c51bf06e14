//! Errors of the services as they send them (problem details, RFC 9457), and as a person reads them.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// An error that a service answered with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Problem {
    #[serde(rename = "type", default)]
    type_uri: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    errors: Vec<FieldError>,
    /// The HTTP status.
    #[serde(skip)]
    pub(crate) status: u16,
    /// When to try again, as the answer's `Retry-After` says.
    #[serde(skip)]
    pub(crate) retry_after: Option<Duration>,
}

/// What is wrong with one field of the request's body.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct FieldError {
    pointer: String,
    detail: String,
}

impl Problem {
    /// Reads an answer's body; `None` when it is no problem document.
    pub(crate) fn read(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Option<Self> {
        let problem: Self = serde_json::from_slice(body).ok()?;
        (!problem.title.is_empty()).then_some(Self { status, retry_after, ..problem })
    }

    /// What it is, in the service's words alone.
    pub(crate) fn told(&self) -> String {
        if self.detail.is_empty() { self.title.clone() } else { format!("{}: {}", self.title, self.detail) }
    }

    /// What kind of problem: the last part of its type, such as `unknown-sku`.
    pub(crate) fn kind(&self) -> &str {
        self.type_uri.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Problem {
    /// Title, detail and kind on one line, then a line for each field, then what one can do where that is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.title)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        write!(f, " ({} {})", self.status, self.kind())?;
        for error in &self.errors {
            let place = if error.pointer.is_empty() { "the body" } else { &error.pointer };
            write!(f, "\n  {place}: {}", error.detail)?;
        }
        match (self.status, self.retry_after) {
            (401, _) => {
                write!(f, "\n  set WARREN_TOKEN, or AUTH_HS256_SECRET to have a token made (`. .dev/env` sets both)")
            }
            (_, Some(after)) => write!(f, "\n  try again in {} s", after.as_secs()),
            _ => Ok(()),
        }
    }
}

/// The value of a `Retry-After` header, which our services send in seconds.
pub(crate) fn retry_after(value: Option<&[u8]>) -> Option<Duration> {
    std::str::from_utf8(value?).ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_title_detail_and_fields() {
        let body =
            br#"{"type":"/problems/invalid-body","title":"The body is invalid","status":422,"detail":"See errors.",
            "errors":[{"pointer":"/lines/0/quantity","detail":"too large"},{"pointer":"","detail":"not an object"}]}"#;
        let problem = Problem::read(422, None, body).unwrap();
        assert_eq!(problem.kind(), "invalid-body");
        assert_eq!(
            problem.to_string(),
            "The body is invalid: See errors. (422 invalid-body)\n  /lines/0/quantity: too large\n  the body: not an object"
        );
    }

    #[test]
    fn it_says_when_to_try_again_and_how_to_get_a_token() {
        let busy =
            Problem::read(503, retry_after(Some(b"5")), br#"{"type":"/problems/overloaded","title":"Overloaded"}"#);
        assert_eq!(busy.unwrap().to_string(), "Overloaded (503 overloaded)\n  try again in 5 s");
        let stranger = Problem::read(401, None, br#"{"type":"/problems/unauthorized","title":"Who?"}"#).unwrap();
        assert!(stranger.to_string().contains("set WARREN_TOKEN"));
    }

    #[test]
    fn other_bodies_are_no_problems() {
        for body in ["", "oops", "{}", "[]"] {
            assert_eq!(Problem::read(502, None, body.as_bytes()), None, "{body}");
        }
    }
}
