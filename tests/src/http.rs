//! A client of the REST interfaces.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// What any answer may take; one that takes longer is a fault.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A service's REST interface, as one caller sees it.
#[derive(Debug, Clone)]
pub struct Api {
    client: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Api {
    /// The interface at `base`, such as `http://127.0.0.1:8080`, called with `token`.
    pub fn new(base: String, token: Option<String>) -> Self {
        // Given explicitly, since more than one could be compiled in; there is one already from the second call on.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client =
            reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().expect("a plain client can be built");
        Self { client, base, token }
    }

    /// The same interface as another caller sees it.
    #[must_use]
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// The same interface as somebody without a token sees it.
    #[must_use]
    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// A request that is still to be filled in.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        Call { what: format!("{method} {path}"), request }
    }

    /// GETs.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).send().await
    }

    /// POSTs JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path).json(body).send().await
    }

    /// PUTs JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PUT, path).json(body).send().await
    }

    /// PATCHes with JSON.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PATCH, path).json(body).send().await
    }

    /// All items of a list, page by page. `path` may have a query.
    ///
    /// # Panics
    /// When a page is no page.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut next = format!("{path}{separator}limit=200");
        loop {
            let page = self.get(&next).await.expect(200);
            items.extend(page["items"].as_array().expect("a page has items").iter().cloned());
            match page["next_cursor"].as_str() {
                Some(cursor) => next = format!("{path}{separator}limit=200&cursor={cursor}"),
                None => return items,
            }
        }
    }
}

/// A request that is being filled in.
#[derive(Debug)]
pub struct Call {
    what: String,
    request: reqwest::RequestBuilder,
}

impl Call {
    /// Sets a header.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a header's name");
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value");
        self.request = self.request.header(name, value);
        self
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sets any body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.request = self.request.header("content-type", content_type).body(body.into());
        self
    }

    /// Sets a body that says nothing of what it is.
    #[must_use]
    pub fn untyped_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.request = self.request.body(body.into());
        self
    }

    /// Sends it.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(self) -> Answer {
        let what = self.what.clone();
        self.try_send().await.unwrap_or_else(|error| panic!("{what}: no answer: {error}"))
    }

    /// Sends it to a service that may be away.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn try_send(self) -> Result<Answer, String> {
        let text = |error: reqwest::Error| format!("{error:?}");
        let response = self.request.send().await.map_err(text)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await.map_err(text)?;
        Ok(Answer { what: self.what, status, headers, body })
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// To which request: method and path.
    pub what: String,
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// A header that can stand once.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON; `null` where it is empty.
    ///
    /// # Panics
    /// When it is something else.
    #[track_caller]
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{self}: not JSON: {error}"))
    }

    /// The body of an answer with this status.
    ///
    /// # Panics
    /// When it has another.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self}");
        assert!(self.header("x-request-id").is_some(), "an answer without x-request-id: {self}");
        self.json()
    }

    /// The problem document (RFC 9457) of an answer with this status and kind.
    ///
    /// # Panics
    /// When it is another, or none.
    #[track_caller]
    pub fn problem(&self, status: u16, kind: &str) -> Value {
        match self.find_fault(status, &[kind]) {
            None => self.json(),
            Some(fault) => panic!("{fault}"),
        }
    }

    /// What is wrong with this answer if it is to be a problem document with this status and one of these kinds.
    pub fn find_fault(&self, status: u16, kinds: &[&str]) -> Option<String> {
        let expected = format!("expected {status} {}", kinds.join(" or "));
        if self.status != status {
            return Some(format!("{expected}, got {self}"));
        }
        let Ok(document) = serde_json::from_str::<Value>(&self.body) else {
            return Some(format!("{expected}, but the body is not JSON: {self}"));
        };
        let is = |field: &str, value: Value| document[field] == value;
        let text = |field: &str| document[field].as_str().is_some_and(|text| !text.is_empty());
        let well_formed = kinds.iter().any(|kind| is("type", format!("/problems/{kind}").into()))
            && is("status", status.into())
            && text("title")
            && text("detail")
            && self.header("content-type") == Some("application/problem+json")
            && self.header("x-request-id").is_some();
        if well_formed {
            None
        } else {
            Some(format!("{expected} as a problem document, got {self} {:?}", self.headers))
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown: String = self.body.chars().take(500).collect();
        write!(f, "{} → {} {shown}", self.what, self.status)
    }
}
