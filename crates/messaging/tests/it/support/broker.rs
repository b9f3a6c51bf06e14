//! A vhost for one test, and the broker's management interface.

use std::env;
use std::time::Duration;

use contracts::values::EventId;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use messaging::settings::AmqpUrls;
use messaging::topology::{EVENTS, Topology};
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};

use super::{SOON, eventually, is};

/// How long one answer of the management interface may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A vhost of its own for one test; deleted with the value.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) vhost: String,
    uri: AMQPUri,
    users: Vec<String>,
}

impl Broker {
    /// An empty vhost.
    pub(crate) async fn empty() -> Self {
        let url = env::var("AMQP_URL").expect("set AMQP_URL to an administrator's URL of a RabbitMQ");
        let mut uri: AMQPUri = url.parse().expect("AMQP_URL is an AMQP URL");
        uri.vhost = format!("test_{}", EventId::new().0.simple());
        let broker = Self { vhost: uri.vhost.clone(), uri, users: Vec::new() };
        broker.manage(Method::PUT, &format!("vhosts/{}", broker.vhost), json!({})).await;
        broker.permit(&broker.uri.authority.userinfo.username, ".*", ".*", ".*").await;
        broker
    }

    /// A vhost with the topology of the catalogue.
    pub(crate) async fn with(topology: &Topology) -> Self {
        let broker = Self::empty().await;
        let (connection, channel) = broker.channel().await;
        topology.declare(&channel).await.expect("a new vhost takes the topology");
        connection.close(200, "declared".into()).await.expect("closed");
        broker
    }

    /// Where it is, for a service.
    pub(crate) fn urls(&self) -> AmqpUrls {
        self.uri.to_string().parse().expect("an AMQP URL")
    }

    /// Where it is, for a service that connects as `user`.
    pub(crate) fn urls_of(&self, user: &str, password: &str) -> AmqpUrls {
        let mut uri = self.uri.clone();
        (uri.authority.userinfo.username, uri.authority.userinfo.password) = (user.to_owned(), password.to_owned());
        uri.to_string().parse().expect("an AMQP URL")
    }

    /// A connection and a channel of the test's own.
    pub(crate) async fn channel(&self) -> (Connection, Channel) {
        let properties = ConnectionProperties::default().with_connection_name("test".into());
        let connection = Connection::connect(&self.uri.to_string(), properties).await.expect("AMQP_URL answers");
        let channel = connection.create_channel().await.expect("a channel");
        (connection, channel)
    }

    /// Publishes to `events`, in one window, and waits until queues have all of it.
    pub(crate) async fn publish(&self, messages: &[(&str, Vec<u8>, BasicProperties)]) {
        let (connection, channel) = self.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        let mut confirms = Vec::new();
        for (key, body, properties) in messages {
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            let publish = channel.basic_publish(EVENTS.into(), (*key).into(), options, body, properties.clone());
            confirms.push(publish.await.expect("published"));
        }
        for confirm in confirms {
            assert_eq!(confirm.await.expect("an answer"), Confirmation::Ack(None));
        }
        connection.close(200, "published".into()).await.expect("closed");
    }

    /// How many messages wait in a queue, beside those that are delivered and not acknowledged.
    pub(crate) async fn waiting_in(&self, queue: &str) -> u32 {
        let (connection, channel) = self.channel().await;
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let queue = channel.queue_declare(queue.into(), options, FieldTable::default()).await.expect("it is there");
        connection.close(200, "counted".into()).await.expect("closed");
        queue.message_count()
    }

    /// Until the queues of `topology` have all their bindings, the one to the default exchange included.
    pub(crate) async fn is_bound(&self, topology: &Topology) {
        let all = topology.bindings.len() + topology.queues.len();
        eventually(SOON, async || is(self.list("bindings").await.len(), all)).await;
    }

    /// What the management interface says of this vhost's `queues`, `exchanges`, `bindings` or `connections`.
    pub(crate) async fn list(&self, what: &str) -> Vec<Value> {
        let path = match what {
            "connections" => format!("vhosts/{}/connections", self.vhost),
            _ => format!("{what}/{}", self.vhost),
        };
        match self.manage(Method::GET, &path, Value::Null).await {
            Value::Array(items) => items,
            other => panic!("{path} is no list: {other}"),
        }
    }

    /// The names of the connections that a service opened for `role` (`publisher` or `consumer`), once there are some.
    pub(crate) async fn connections(&self, role: &str) -> Vec<String> {
        eventually(TIMEOUT, async || {
            let connections = self.list("connections").await;
            let of_role = connections.iter().filter(|connection| {
                let name = connection["client_properties"]["connection_name"].as_str().unwrap_or_default();
                name.split(' ').nth(1) == Some(role)
            });
            let names: Vec<String> =
                of_role.filter_map(|connection| connection["name"].as_str()).map(str::to_owned).collect();
            if names.is_empty() { Err(format!("no connection of a {role}")) } else { Ok(names) }
        })
        .await
    }

    /// Closes all of a service's connections of that role, as an operator would.
    pub(crate) async fn close_connections(&self, role: &str) {
        for name in self.connections(role).await {
            self.manage(Method::DELETE, &format!("connections/{name}"), Value::Null).await;
        }
    }

    /// Lets a queue hold so many messages only.
    pub(crate) async fn limit(&self, queue: &str, messages: u32) {
        let policy =
            json!({ "pattern": format!("^{queue}$"), "definition": { "max-length": messages }, "apply-to": "queues" });
        self.manage(Method::PUT, &format!("policies/{}/limit", self.vhost), policy).await;
    }

    /// Deletes a `queues`, `exchanges` entry of that name.
    pub(crate) async fn delete(&self, what: &str, name: &str) {
        self.manage(Method::DELETE, &format!("{what}/{}/{name}", self.vhost), Value::Null).await;
    }

    /// Creates a user with these rights in this vhost, and returns its password.
    pub(crate) async fn user(&mut self, configure: &str, write: &str, read: &str) -> (String, String) {
        let (user, password) = (self.vhost.clone(), "a password".to_owned());
        self.users.push(user.clone());
        self.manage(Method::PUT, &format!("users/{user}"), json!({ "password": password, "tags": "" })).await;
        self.permit(&user, configure, write, read).await;
        (user, password)
    }

    async fn permit(&self, user: &str, configure: &str, write: &str, read: &str) {
        let rights = json!({ "configure": configure, "write": write, "read": read });
        self.manage(Method::PUT, &format!("permissions/{}/{user}", self.vhost), rights).await;
    }

    async fn manage(&self, method: Method, path: &str, body: Value) -> Value {
        manage(&self.uri, method, path, body).await
    }
}

/// Asks the management interface. What is deleted may be gone already.
async fn manage(uri: &AMQPUri, method: Method, path: &str, body: Value) -> Value {
    // The first one wins; the library itself brings none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let base = env::var("RABBITMQ_MANAGEMENT_URL")
        .expect("set RABBITMQ_MANAGEMENT_URL to that RabbitMQ's management interface");
    let mut url: Url = base.parse().expect("RABBITMQ_MANAGEMENT_URL is an HTTP URL");
    let account = &uri.authority.userinfo;
    let (user, password) = match url.username() {
        "" => (account.username.clone(), account.password.clone()),
        user => (user.to_owned(), url.password().unwrap_or_default().to_owned()),
    };
    url.set_username("").expect("an HTTP URL");
    url.set_password(None).expect("an HTTP URL");
    url.path_segments_mut().expect("an HTTP URL").pop_if_empty().push("api").extend(path.split('/'));
    let client = Client::builder().no_proxy().timeout(TIMEOUT).build().expect("a plain client");
    let request = client.request(method.clone(), url).basic_auth(user, Some(password));
    let request = if body.is_null() { request } else { request.json(&body) };
    let answer = request.send().await.expect("the management interface answers");
    let status = answer.status();
    let text = answer.text().await.expect("an answer has a text");
    assert!(status.is_success() || method == Method::DELETE && status == 404, "{method} {path}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

impl Drop for Broker {
    /// On a thread of its own, since the test's runtime may be gone.
    fn drop(&mut self) {
        let (uri, users) = (self.uri.clone(), std::mem::take(&mut self.users));
        let delete = async move {
            for user in users {
                manage(&uri, Method::DELETE, &format!("users/{user}"), Value::Null).await;
            }
            manage(&uri, Method::DELETE, &format!("vhosts/{}", uri.vhost), Value::Null).await
        };
        let thread = std::thread::spawn(|| {
            tokio::runtime::Builder::new_current_thread().enable_all().build().map(|runtime| runtime.block_on(delete))
        });
        // a vhost that stays behind is no reason to fail the test
        let _ = thread.join();
    }
}
