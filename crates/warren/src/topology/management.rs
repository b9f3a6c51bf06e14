//! The broker's management interface: what AMQP cannot tell, arguments and bindings.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use messaging::inspect::Account;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::found::{Binding, Found, Queue};
use crate::client::error::root_cause;
use crate::failure::Usage;

/// How long one list may take; a broker with very many queues is slow.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct ExchangeInfo {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct QueueInfo {
    name: String,
    // an empty table may come as an empty list
    #[serde(default)]
    arguments: Value,
    messages: Option<u64>,
    consumers: Option<u64>,
    // likewise
    #[serde(default)]
    effective_policy_definition: Value,
}

#[derive(Deserialize)]
struct BindingInfo {
    source: String,
    routing_key: String,
    destination: String,
    destination_type: String,
}

/// The interface of one broker, seen by one user.
struct Api<'a> {
    http: reqwest::Client,
    base: Url,
    user: String,
    password: String,
    vhost: &'a str,
}

/// Reads all exchanges, queues and bindings of the virtual host.
///
/// # Errors
/// [`Usage`] for an address that is none; else when it cannot be reached or does not let us in.
pub(crate) async fn read(url: &str, account: &Account) -> anyhow::Result<Found> {
    let api = Api::new(url, account)?;
    Ok(Found {
        exchanges: exchanges(api.list("exchanges").await?),
        queues: queues(api.list("queues").await?),
        bindings: Some(bindings(api.list("bindings").await?).collect()),
    })
}

impl<'a> Api<'a> {
    /// The interface at that address, as the user named in it, else as the user of `AMQP_URL`.
    fn new(url: &str, account: &'a Account) -> anyhow::Result<Self> {
        let refused = || Usage("RABBITMQ_MANAGEMENT_URL: not an address such as http://127.0.0.1:15672".to_owned());
        let mut base: Url = url.parse().map_err(|_| refused())?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(refused().into());
        }
        let (user, password) = match base.username() {
            "" => (account.user.clone(), account.password.clone()),
            user => (decode(user), decode(base.password().unwrap_or_default())),
        };
        base.set_username("").and_then(|()| base.set_password(None)).map_err(|()| refused())?;
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        Ok(Self { http, base, user, password, vhost: &account.vhost })
    }

    async fn list<T: DeserializeOwned>(&self, what: &str) -> anyhow::Result<Vec<T>> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            // what is added is encoded: the usual virtual host is "/"
            path.pop_if_empty().extend(["api", what, self.vhost]);
        }
        let answer = self.http.get(url).basic_auth(&self.user, Some(&self.password)).send().await;
        let answer = answer.map_err(|error| {
            let why = root_cause(&error);
            anyhow!("cannot reach the management interface: {why}; unset RABBITMQ_MANAGEMENT_URL to compare names only")
        })?;
        match answer.status() {
            status if status.is_success() => {
                let json = answer.text().await.context("the management interface stops in the middle of its answer")?;
                serde_json::from_str(&json).context("the management interface answers something unexpected")
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                bail!("the management interface does not let {} in: the user needs the tag `monitoring`", self.user)
            }
            status => bail!("the management interface answers {status}"),
        }
    }
}

fn exchanges(infos: Vec<ExchangeInfo>) -> BTreeMap<String, Option<String>> {
    infos.into_iter().map(|exchange| (exchange.name, Some(exchange.kind))).collect()
}

fn queues(infos: Vec<QueueInfo>) -> BTreeMap<String, Queue> {
    let queue = |info: QueueInfo| {
        let arguments = match info.arguments {
            Value::Object(arguments) => arguments,
            _ => Map::new(),
        };
        let limit = info.effective_policy_definition["max-length"].as_u64();
        (info.name, Queue { arguments: Some(arguments), messages: info.messages, consumers: info.consumers, limit })
    };
    infos.into_iter().map(queue).collect()
}

/// Bindings from an exchange to a queue; each queue's binding to the nameless exchange is the broker's own.
fn bindings(infos: Vec<BindingInfo>) -> impl Iterator<Item = Binding> {
    infos
        .into_iter()
        .filter(|binding| !binding.source.is_empty() && binding.destination_type == "queue")
        .map(|binding| Binding { exchange: binding.source, key: binding.routing_key, queue: binding.destination })
}

/// Undoes percent-encoding (RFC 3986, section 2.1).
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_the_broker_writes_them() {
        let infos = r#"[{"name":"order","arguments":{"x-queue-type":"quorum"},"messages":3,"consumers":1,"state":"running"},
            {"name":"new","arguments":[],"effective_policy_definition":[]},
            {"name":"short","arguments":{},"effective_policy_definition":{"max-length":2}}]"#;
        let queues = queues(serde_json::from_str(infos).unwrap());
        assert_eq!((queues["order"].messages, queues["new"].messages), (Some(3), None));
        assert_eq!((queues["order"].limit, queues["new"].limit, queues["short"].limit), (None, None, Some(2)));
        assert_eq!(queues["order"].arguments.as_ref().unwrap()["x-queue-type"], "quorum");
        let infos = r#"[{"source":"","vhost":"/","destination":"order","destination_type":"queue","routing_key":"order","arguments":{}},
            {"source":"events","vhost":"/","destination":"order","destination_type":"queue","routing_key":"product.changed","arguments":{}}]"#;
        let bindings: Vec<_> = bindings(serde_json::from_str(infos).unwrap()).collect();
        assert_eq!(
            bindings,
            [Binding { exchange: "events".into(), key: "product.changed".into(), queue: "order".into() }]
        );
    }

    #[test]
    fn user_and_password_are_decoded() {
        assert_eq!(decode("a%40b%2f%zz%"), "a@b/%zz%");
    }
}
