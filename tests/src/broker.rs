//! A vhost of the broker, and its raw messages.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use reqwest::Method;
use serde_json::{Value, json};

use crate::environment::environment;
use crate::waiting::{PATIENCE, eventually};

/// A vhost of one test.
#[derive(Debug, Clone)]
pub struct Vhost {
    name: String,
}

/// A message as it is published.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// Its body.
    pub body: Vec<u8>,
    /// Its properties.
    pub properties: BasicProperties,
}

/// A message as it was found in a queue.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its body.
    pub body: Vec<u8>,
    /// Its properties.
    pub properties: BasicProperties,
    /// Its headers; numbers as text.
    pub headers: BTreeMap<String, String>,
}

impl Found {
    /// A header that must be there.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name} in {:?}", self.headers))
    }

    /// The message id, or nothing.
    pub fn message_id(&self) -> &str {
        self.properties.message_id().as_ref().map_or("", |id| id.as_str())
    }

    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Message {
    /// An event in its envelope, with the properties that a publisher of Warren's gives it.
    ///
    /// # Panics
    /// When the envelope has no id or type.
    pub fn event(envelope: &Value) -> Self {
        let text = |field: &str| envelope[field].as_str().unwrap_or_else(|| panic!("no {field}: {envelope}"));
        let properties = BasicProperties::default()
            .with_message_id(text("id").into())
            .with_type(text("type").into())
            .with_correlation_id(text("correlationid").into())
            .with_content_type("application/cloudevents+json".into())
            .with_delivery_mode(2);
        Self { body: envelope.to_string().into_bytes(), properties }
    }
}

impl Vhost {
    /// Makes an empty one, in which the administrator may do everything.
    pub async fn create(name: &str) -> Self {
        manage(Method::PUT, &format!("/api/vhosts/{name}"), json!({})).await;
        let permissions = json!({"configure": ".*", "write": ".*", "read": ".*"});
        manage(Method::PUT, &format!("/api/permissions/{name}/{}", administrator()), permissions).await;
        Self { name: name.to_owned() }
    }

    /// Deletes it with all that is in it.
    pub async fn delete(&self) {
        manage(Method::DELETE, &format!("/api/vhosts/{}", self.name), Value::Null).await;
    }

    /// Its URL, with the broker at `address` (`host:port`) where that is given.
    pub fn url(&self, address: Option<&str>) -> String {
        let (credentials, host) = split(&environment().amqp_url);
        format!("amqp://{credentials}{}/{}", address.unwrap_or(host), self.name)
    }

    /// Limits a queue's length by a policy, as an operator would.
    pub async fn limit(&self, queue: &str, messages: u32) {
        let policy =
            json!({"pattern": format!("^{queue}$"), "definition": {"max-length": messages}, "apply-to": "queues"});
        manage(Method::PUT, &format!("/api/policies/{}/limit-{queue}", self.name), policy).await;
    }

    /// Takes that limit away.
    pub async fn unlimit(&self, queue: &str) {
        manage(Method::DELETE, &format!("/api/policies/{}/limit-{queue}", self.name), Value::Null).await;
    }

    /// Takes a queue's binding to `events` away, as an accident would.
    ///
    /// # Panics
    /// When the broker refuses.
    pub async fn unbind(&self, queue: &str, routing_key: &str) {
        let (connection, channel) = self.channel().await;
        let unbound = channel.queue_unbind(queue.into(), "events".into(), routing_key.into(), FieldTable::default());
        unbound.await.expect("unbound");
        let _ = connection.close(200, "done".into()).await;
    }

    /// Makes a queue of somebody else's, which hears of every event.
    ///
    /// # Panics
    /// When the broker refuses.
    pub async fn listen(&self, queue: &str) {
        let (connection, channel) = self.channel().await;
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(queue.into(), options, FieldTable::default()).await.expect("declared");
        let _ = connection.close(200, "done".into()).await;
        self.bind(queue, "#").await;
    }

    /// Binds a queue to `events`.
    ///
    /// # Panics
    /// When the broker refuses.
    pub async fn bind(&self, queue: &str, routing_key: &str) {
        let (connection, channel) = self.channel().await;
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        let bound = channel.queue_bind(queue.into(), "events".into(), routing_key.into(), options, arguments);
        bound.await.expect("bound");
        let _ = connection.close(200, "done".into()).await;
    }

    async fn channel(&self) -> (Connection, Channel) {
        let connected = Connection::connect(&self.url(None), ConnectionProperties::default()).await;
        let connection = connected.unwrap_or_else(|error| panic!("AMQP_URL: cannot connect: {error}"));
        let channel = connection.create_channel().await.expect("a channel");
        (connection, channel)
    }

    /// Publishes to the `events` exchange; returns when the broker has them.
    pub async fn publish(&self, routing_key: &str, messages: &[Message]) {
        self.publish_to("events", routing_key, messages).await;
    }

    /// Puts messages straight into a queue.
    pub async fn put(&self, queue: &str, messages: &[Message]) {
        self.publish_to("", queue, messages).await;
    }

    async fn publish_to(&self, exchange: &str, routing_key: &str, messages: &[Message]) {
        let (connection, channel) = self.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        let confirms = try_join_all(messages.iter().map(|message| {
            let Message { body, properties } = message;
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            channel.basic_publish(exchange.into(), routing_key.into(), options, body, properties.clone())
        }));
        for confirm in confirms.await.expect("published") {
            let confirmation = confirm.await.expect("confirmed");
            assert!(
                matches!(confirmation, Confirmation::Ack(None)),
                "{routing_key} reached no queue: {confirmation:?}"
            );
        }
        let _ = connection.close(200, "done".into()).await;
    }

    /// Takes all messages out of a queue.
    pub async fn take(&self, queue: &str) -> Vec<Found> {
        self.get(queue, true).await
    }

    /// Looks at all messages in a queue, and leaves them there.
    pub async fn peek(&self, queue: &str) -> Vec<Found> {
        self.get(queue, false).await
    }

    /// A queue whose broker has just crashed gives nothing until it has a leader again.
    async fn get(&self, queue: &str, take: bool) -> Vec<Found> {
        let what = format!("the broker gives what is in {queue}");
        eventually(&what, PATIENCE, async || self.try_get(queue, take).await).await
    }

    /// Gets all; an error if there was not even the first.
    async fn try_get(&self, queue: &str, take: bool) -> Result<Vec<Found>, lapin::Error> {
        let (connection, channel) = self.channel().await;
        let mut found = Vec::new();
        loop {
            let message = match channel.basic_get(queue.into(), BasicGetOptions::default()).await {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(error) if found.is_empty() => return Err(error),
                Err(error) => panic!("only a part of {queue} was given: {error}"),
            };
            let delivery = message.delivery;
            found.push(Found {
                headers: headers(delivery.properties.headers().as_ref()),
                properties: delivery.properties,
                body: delivery.data,
            });
            if take {
                delivery.acker.ack(BasicAckOptions::default()).await.expect("taken");
            }
        }
        // What was not taken goes back with the connection.
        let _ = connection.close(200, "done".into()).await;
        Ok(found)
    }

    /// Takes up to `count` messages from the front of a queue and puts them to its end as `change` has left them. They are
    /// there twice for a moment, and stay so when the broker goes away meanwhile.
    pub async fn requeue(&self, queue: &str, count: usize, change: impl FnOnce(&mut Vec<Message>)) {
        let (connection, channel) = self.channel().await;
        let (mut messages, mut last) = (Vec::new(), None);
        while messages.len() < count
            && let Some(message) =
                channel.basic_get(queue.into(), BasicGetOptions::default()).await.expect("the queue is there")
        {
            let delivery = message.delivery;
            messages.push(Message { body: delivery.data, properties: delivery.properties });
            last = Some(delivery.acker);
        }
        change(&mut messages);
        self.put(queue, &messages).await;
        if let Some(last) = last {
            last.ack(BasicAckOptions { multiple: true }).await.expect("taken");
        }
        let _ = connection.close(200, "done".into()).await;
    }

    /// Has the broker close all connections to this vhost, as an operator would.
    pub async fn close_connections(&self) {
        let open = manage(Method::GET, &format!("/api/vhosts/{}/connections", self.name), Value::Null).await;
        for connection in open.as_array().into_iter().flatten() {
            let name = connection["name"].as_str().unwrap_or_default().replace(' ', "%20");
            // It may have ended by itself.
            let api = crate::http::Api::new(environment().management_url.clone(), None);
            let _ = api.call(Method::DELETE, &format!("/api/connections/{name}")).try_send().await;
        }
    }

    /// How many messages wait in a queue, beside those that were delivered and not acknowledged; `None` when there is no such queue.
    pub async fn waiting(&self, queue: &str) -> Option<u32> {
        let (connection, channel) = self.channel().await;
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let count = channel
            .queue_declare(queue.into(), options, FieldTable::default())
            .await
            .ok()
            .map(|queue| queue.message_count());
        let _ = connection.close(200, "done".into()).await;
        count
    }

    /// Deletes a queue or an exchange, `queues/{}/NAME` or `exchanges/{}/NAME`, with all that is in it.
    pub async fn remove(&self, path: &str) {
        manage(Method::DELETE, &format!("/api/{}", path.replace("{}", &self.name)), Value::Null).await;
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the management interface says about `path` below this vhost: `queues`, `exchanges`, `bindings`.
    pub async fn describe(&self, path: &str) -> Value {
        manage(Method::GET, &format!("/api/{path}/{}", self.name), Value::Null).await
    }
}

/// Where the broker is: `host:port`.
pub fn broker_address() -> String {
    split(&environment().amqp_url).1.to_owned()
}

/// `user:password@` and `host:port` of an AMQP URL.
fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("amqp://").unwrap_or_else(|| panic!("AMQP_URL must begin with amqp://"));
    let authority = rest.split(['/', '?', ',']).next().unwrap_or_default();
    authority.split_at(authority.rfind('@').map_or(0, |at| at + 1))
}

/// The name of the administrator whose URL the tests have.
fn administrator() -> &'static str {
    let (credentials, _) = split(&environment().amqp_url);
    match credentials.split_once(':') {
        Some((name, _)) => name,
        None => "guest",
    }
}

/// Calls the management interface.
///
/// # Panics
/// When it does not do as it is told.
pub(crate) async fn manage(method: Method, path: &str, body: Value) -> Value {
    let api = crate::http::Api::new(environment().management_url.clone(), None);
    let call = api.call(method, path);
    let call = if body.is_null() { call } else { call.json(&body) };
    let answer = call.send().await;
    assert!(answer.status < 300, "RABBITMQ_MANAGEMENT_URL: {answer}");
    answer.json()
}

fn headers(table: Option<&FieldTable>) -> BTreeMap<String, String> {
    let Some(table) = table else { return BTreeMap::new() };
    let text = |value: &AMQPValue| match value {
        AMQPValue::LongString(text) => text.to_string(),
        AMQPValue::ShortShortInt(number) => number.to_string(),
        AMQPValue::ShortInt(number) => number.to_string(),
        AMQPValue::LongInt(number) => number.to_string(),
        AMQPValue::LongUInt(number) => number.to_string(),
        AMQPValue::LongLongInt(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    table.inner().iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}
