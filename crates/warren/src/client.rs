//! One service over HTTP: requests with our token, answers as text, errors as a person can use them.

pub(crate) mod error;
pub(crate) mod problem;

use std::time::{Duration, Instant};

use contracts::event::Service;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::failure::Usage;
use error::CallError;
use problem::Problem;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take as a whole. Services give up on a request after less.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an answer may take to a question that is put to all services at once: one that hangs must not hold up what the
/// others know, and whoever asks is in a hurry.
const BRIEF_TIMEOUT: Duration = Duration::from_secs(5);

/// A stream on which nothing comes for so long is dead; its sender writes heartbeats far more often.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a request is repeated whose answer was lost, and the pause in between: a service restarts in less.
const REPEAT: (Duration, Duration) = (Duration::from_secs(15), Duration::from_millis(300));

/// The most items that a service puts on one page.
pub(crate) const MAX_PAGE: usize = 200;

/// The services, each with its client.
pub(crate) type Services = Vec<(Service, Client)>;

/// A service.
pub(crate) struct Client {
    service: &'static str,
    variable: &'static str,
    base: String,
    http: reqwest::Client,
    bearer: Option<String>,
    authorization: Option<HeaderValue>,
    patience: Duration,
}

/// An answer with a 2xx status.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its body.
    pub(crate) body: String,
}

impl Answer {
    /// The body as a value.
    ///
    /// # Errors
    /// When it is not what the interface says.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_str(&self.body)
            .map_err(|error| CallError::Unexpected(format!("an answer that this program cannot read: {error}")))
    }
}

/// One page of a list, its items as the service wrote them.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    /// The items.
    pub(crate) items: Vec<Box<RawValue>>,
    /// Where the next page begins.
    pub(crate) next_cursor: Option<String>,
}

impl Client {
    /// The service at that address; `variable` is what the address was taken from, for messages.
    ///
    /// # Errors
    /// [`Usage`] when the address is no URL, or the token cannot be sent.
    pub(crate) fn new(
        service: &'static str,
        variable: &'static str,
        base: &str,
        bearer: Option<String>,
    ) -> anyhow::Result<Self> {
        let base = address(variable, base)?;
        let authorization = authorization(bearer.as_deref())?;
        let http = reqwest::Client::builder()
            .user_agent(concat!("warren/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT)
            // the services are addressed directly, as they address each other's broker and databases
            .no_proxy()
            // services redirect nobody; what does is something else, and must not send us on
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { service, variable, base, http, bearer, authorization, patience: ANSWER_TIMEOUT })
    }

    /// The same service, over the same connections, called with somebody else's token, or with none.
    ///
    /// # Errors
    /// [`Usage`] when the token cannot be sent.
    pub(crate) fn called_with(&self, bearer: Option<String>) -> Result<Self, Usage> {
        let authorization = authorization(bearer.as_deref())?;
        let Self { service, variable, base, http, patience, .. } = self;
        let (service, variable, patience) = (*service, *variable, *patience);
        Ok(Self { service, variable, base: base.clone(), http: http.clone(), bearer, authorization, patience })
    }

    /// The same service, given up after a few seconds without an answer.
    #[must_use]
    pub(crate) fn briefly(self) -> Self {
        self.with_patience(BRIEF_TIMEOUT)
    }

    /// With another limit to how long an answer may take as a whole.
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// A request that carries our token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        }
    }

    /// Its address, without a slash at the end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The token it is called with.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.bearer.as_deref()
    }

    /// GET.
    ///
    /// # Errors
    /// When there is no answer, or none with a 2xx status.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, CallError> {
        let request = self.request(Method::GET, path).query(query).timeout(self.patience);
        let answered = async { self.answer(self.check(request.send().await).await?).await };
        answered.await.map_err(CallError::of_a_question)
    }

    /// One page of a list: at most `limit` items from `cursor` on.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn page(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page, CallError> {
        let limit = limit.clamp(1, MAX_PAGE).to_string();
        let mut query = query.to_vec();
        query.push(("limit", &limit));
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        self.get(path, &query).await?.read()
    }

    /// A whole list, page by page.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn all<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, CallError> {
        let mut items = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.page(path, query, MAX_PAGE, cursor.as_deref()).await?;
            for item in page.items {
                items.push(Answer { body: item.get().to_owned() }.read()?);
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(items);
            }
        }
    }

    /// PUT. It may be repeated, so it is when its answer was lost.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Answer, CallError> {
        self.until_answered(Method::PUT, path, body, None).await
    }

    /// POST under an `Idempotency-Key` of its own, so that it has one effect although it is repeated when its answer
    /// was lost.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Answer, CallError> {
        let key = Uuid::now_v7().to_string();
        self.until_answered(Method::POST, path, body, Some(&key)).await
    }

    async fn until_answered(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<Answer, CallError> {
        let give_up = Instant::now() + REPEAT.0;
        let mut perhaps_taken = false;
        loop {
            let error = match self.send(method.clone(), path, body, key).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let again = match &error {
                CallError::Lost { .. } => true,
                // a service that was never there is told at once; one that went away in between is waited for
                CallError::Unreachable { .. } => perhaps_taken,
                // our own first try is still under way
                CallError::Problem(problem) => perhaps_taken && problem.kind() == "idempotency-key-in-use",
                CallError::Unexpected(_) => false,
            };
            if !again || Instant::now() > give_up {
                return Err(error);
            }
            perhaps_taken = true;
            tokio::time::sleep(REPEAT.1).await;
        }
    }

    async fn send(&self, method: Method, path: &str, body: &Value, key: Option<&str>) -> Result<Answer, CallError> {
        let mut request = self.request(method, path).json(body).timeout(self.patience);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.answer(self.check(request.send().await).await?).await
    }

    /// Opens a stream of server-sent events, from the event after `last_event_id` on.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn stream(&self, path: &str, last_event_id: Option<&str>) -> Result<Response, CallError> {
        let mut request = self.request(Method::GET, path).header(ACCEPT, "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        self.check(request.send().await).await
    }

    async fn check(&self, sent: reqwest::Result<Response>) -> Result<Response, CallError> {
        let response = sent.map_err(|error| self.failed(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = problem::retry_after(response.headers().get(RETRY_AFTER).map(HeaderValue::as_bytes));
        let body = response.bytes().await.map_err(|error| self.failed(&error))?;
        Err(match Problem::read(status.as_u16(), retry_after, &body) {
            Some(problem) => CallError::Problem(Box::new(problem)),
            None => CallError::Unexpected(format!(
                "{} answers {status}, but not as {} does; is that the right address? ({} says where it is)",
                without_account(&self.base),
                self.service,
                self.variable
            )),
        })
    }

    fn failed(&self, error: &reqwest::Error) -> CallError {
        CallError::transport(error, self.service, self.variable, &without_account(&self.base))
    }

    async fn answer(&self, response: Response) -> Result<Answer, CallError> {
        let body = response.text().await.map_err(|error| self.failed(&error))?;
        Ok(Answer { body })
    }
}

/// The header of a token, which no log shows.
fn authorization(bearer: Option<&str>) -> Result<Option<HeaderValue>, Usage> {
    let Some(token) = bearer else { return Ok(None) };
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Usage("WARREN_TOKEN: not a token that can be sent".to_owned()))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// An address without a slash at its end.
fn address(variable: &str, base: &str) -> Result<String, Usage> {
    let url = Url::parse(base).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match url {
        Some(_) => Ok(base.trim_end_matches('/').to_owned()),
        None => Err(Usage(format!("{variable}: {base:?} is not an address such as http://127.0.0.1:8080"))),
    }
}

/// An address as messages may tell it: without a user and a password, which it may hold.
fn without_account(base: &str) -> String {
    let Ok(mut url) = Url::parse(base) else { return base.to_owned() };
    // neither fails where there is a host, which an address has
    let _ = (url.set_username(""), url.set_password(None));
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_tell_no_password() {
        assert_eq!(without_account("http://ada:secret@host:1/a"), "http://host:1/a");
        assert_eq!(without_account("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
    }

    #[test]
    fn only_addresses_are_taken() {
        for bad in ["", "127.0.0.1:8080", "ftp://host", "http://", "/v1"] {
            let Usage(why) = address("ORDER_URL", bad).expect_err(bad);
            assert!(why.starts_with("ORDER_URL"), "{why}");
        }
        assert_eq!(address("ORDER_URL", "http://host:1/").unwrap(), "http://host:1");
    }
}
