//! One HTTP/1.1 connection, and a stack of them: as little as a POST needs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::http::uri::Authority;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use uuid::Uuid;

use crate::client::problem;
use crate::failure::Usage;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take before it counts as lost.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Where orders are posted to, and what all requests have in common.
#[derive(Debug)]
pub(super) struct Target {
    /// One per copy of the service.
    addresses: Vec<String>,
    path: Uri,
    headers: HeaderMap,
}

impl Target {
    /// The order service at that address.
    ///
    /// # Errors
    /// [`Usage`] for anything but plain HTTP: encryption would measure this program.
    pub(super) fn new(base: &str, bearer: Option<&str>) -> anyhow::Result<Self> {
        let (uri, authority) = plain("ORDER_URL", base)?;
        let path = format!("{}/v1/orders", uri.path().trim_end_matches('/')).parse()?;
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(authority.as_str())?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = bearer {
            headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().context("WARREN_TOKEN cannot be sent")?);
        }
        Ok(Self { addresses: vec![address(&authority)], path, headers })
    }

    /// The same orders, to these copies of the service, too: each new connection goes to the next of them.
    ///
    /// # Errors
    /// As [`Target::new`].
    pub(super) fn with_copies(mut self, bases: &[String]) -> anyhow::Result<Self> {
        for base in bases {
            self.addresses.push(address(&plain("--order-copy", base)?.1));
        }
        Ok(self)
    }
}

fn plain(name: &str, base: &str) -> Result<(Uri, Authority), Usage> {
    let refused = || Usage(format!("{name}: load speaks plain HTTP, not {base}; go behind what ends TLS"));
    let uri: Uri = base.parse().map_err(|_| refused())?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).cloned().ok_or_else(refused)?;
    Ok((uri, authority))
}

fn address(authority: &Authority) -> String {
    format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80))
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The order exists.
    Accepted(Uuid),
    /// Not now: too busy, or our own first try is still under way. To be sent again after that time.
    NotNow(String, Duration),
    /// Never: the problem's kind.
    Refused(String),
}

/// Connections that are not in use; the one used last is used next, so that few are needed at low rates.
#[derive(Debug)]
pub(super) struct Pool {
    target: Target,
    idle: Mutex<Vec<Connection>>,
    /// How many connections were made, by which the copies take turns.
    made: AtomicUsize,
}

#[derive(Debug)]
struct Connection(SendRequest<Full<Bytes>>);

impl Pool {
    /// A pool without connections.
    pub(super) fn new(target: Target) -> Self {
        Self { target, idle: Mutex::new(Vec::new()), made: AtomicUsize::new(0) }
    }

    /// Opens connections before they are needed. One that cannot be opened will be missed when it is needed.
    pub(super) async fn open(&self, count: u16) {
        for _ in 0..count {
            match self.connect().await {
                Ok(connection) => self.put_back(connection),
                Err(_) => return,
            }
        }
    }

    /// Posts an order.
    ///
    /// # Errors
    /// When there is no connection or its answer was lost, in a word or two.
    pub(super) async fn post(&self, key: &str, body: Bytes) -> Result<Answer, &'static str> {
        let mut connection = match self.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let mut request = Request::post(self.target.path.clone()).body(Full::new(body)).map_err(|_| "bad request")?;
        *request.headers_mut() = self.target.headers.clone();
        request.headers_mut().insert(IDEMPOTENCY_KEY, HeaderValue::from_str(key).map_err(|_| "bad key")?);
        // a connection whose request failed is dropped, and closed with it
        match timeout(ANSWER_TIMEOUT, connection.send(request)).await {
            Err(_) => Err("no answer in time"),
            Ok(Err(_)) => Err("connection lost"),
            Ok(Ok((head, body))) => {
                self.put_back(connection);
                Ok(read(head.status, &head.headers, &body))
            }
        }
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if !connection.0.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    fn put_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(connection);
    }

    async fn connect(&self) -> Result<Connection, &'static str> {
        let addresses = &self.target.addresses;
        // there is at least one
        let address = &addresses[self.made.fetch_add(1, Ordering::Relaxed) % addresses.len()];
        let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect(address));
        let stream = connecting.await.map_err(|_| "no connection in time")?.map_err(|_| "cannot connect")?;
        stream.set_nodelay(true).map_err(|_| "cannot connect")?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| "cannot connect")?;
        // it ends with its sender
        tokio::spawn(connection);
        Ok(Connection(sender))
    }
}

impl Connection {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<(hyper::http::response::Parts, Bytes)> {
        self.0.ready().await?;
        let (head, body) = self.0.send_request(request).await?.into_parts();
        // the next request can only follow when this answer has been read to its end
        Ok((head, body.collect().await?.to_bytes()))
    }
}

/// When to send again if the answer does not say.
const RETRY: Duration = Duration::from_secs(1);

fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
    if status.is_success() {
        // "/v1/orders/ID": cheaper than the body
        let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let id = location.and_then(|location| location.rsplit('/').next()?.parse().ok());
        return id.map_or_else(|| Answer::Refused("no-location".to_owned()), Answer::Accepted);
    }
    let after = problem::retry_after(headers.get(RETRY_AFTER).map(HeaderValue::as_bytes));
    let kind = problem::Problem::read(status.as_u16(), after, body)
        .map_or_else(|| status.as_u16().to_string(), |problem| problem.kind().to_owned());
    if status == StatusCode::SERVICE_UNAVAILABLE || kind == "idempotency-key-in-use" {
        Answer::NotNow(kind, after.unwrap_or(RETRY))
    } else {
        Answer::Refused(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(HeaderName, &'static str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        read(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
    }

    #[test]
    fn answers_are_read() {
        let id = "0199c2b0-5a3e-7c11-9d51-2f4b8a6e0c77";
        let location = [(LOCATION, "/v1/orders/0199c2b0-5a3e-7c11-9d51-2f4b8a6e0c77")];
        assert_eq!(answer(201, &location, ""), Answer::Accepted(id.parse().unwrap()));
        assert_eq!(answer(201, &[], "{}"), Answer::Refused("no-location".to_owned()));
        let busy = r#"{"type":"/problems/overloaded","title":"Overloaded"}"#;
        assert_eq!(
            answer(503, &[(RETRY_AFTER, "7")], busy),
            Answer::NotNow("overloaded".to_owned(), Duration::from_secs(7))
        );
        assert_eq!(answer(503, &[], "<html>"), Answer::NotNow("503".to_owned(), RETRY));
        let in_use = r#"{"type":"/problems/idempotency-key-in-use","title":"In use"}"#;
        assert_eq!(answer(409, &[], in_use), Answer::NotNow("idempotency-key-in-use".to_owned(), RETRY));
        let unknown = r#"{"type":"/problems/unknown-sku","title":"Unknown sku"}"#;
        assert_eq!(answer(422, &[], unknown), Answer::Refused("unknown-sku".to_owned()));
    }

    #[test]
    fn only_plain_http_is_measured() {
        assert!(Target::new("https://host", None).unwrap_err().is::<Usage>());
        let target = Target::new("http://[::1]:8080/shop", Some("t")).unwrap();
        assert_eq!((target.addresses.join(","), target.path.path()), ("[::1]:8080".to_owned(), "/shop/v1/orders"));
        assert_eq!(Target::new("http://host", None).unwrap().addresses, ["host:80"]);
        let copies = target.with_copies(&["http://host:1".to_owned()]).unwrap();
        assert_eq!(copies.addresses, ["[::1]:8080", "host:1"]);
        assert!(copies.with_copies(&["host:1".to_owned()]).is_err());
    }
}
