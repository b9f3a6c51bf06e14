//! Events to publish, from a service's transaction or straight to the broker.

use contracts::envelope::CONTENT_TYPE;
use contracts::event::{Event, Service};
use contracts::order::{CustomerChanged, CustomerRegistered};
use contracts::values::{CustomerId, EventId};
use lapin::BasicProperties;
use messaging::context::Context;
use messaging::event_log::LoggedEvent;
use messaging::tx::{Database, Head};
use sqlx::PgPool;
use tokio::sync::Mutex;

/// What requests of these tests set off.
pub(crate) fn context() -> Context {
    Context::of_request("a-request", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
}

/// A registration; `name` is for the test's own use.
pub(crate) fn registered(customer_id: CustomerId, name: &str) -> CustomerRegistered {
    CustomerRegistered { customer_id, name: name.to_owned(), email: "ada@example.com".to_owned() }
}

/// A change of name.
pub(crate) fn changed(customer_id: CustomerId, name: &str) -> CustomerChanged {
    CustomerChanged { customer_id, name: name.to_owned(), email: "ada@example.com".to_owned() }
}

/// A customer of `order` as far as publishing needs it.
#[derive(Debug)]
pub(crate) struct Customer {
    pub(crate) id: CustomerId,
    head: Mutex<Head>,
}

impl Customer {
    pub(crate) fn new() -> Self {
        Self { id: CustomerId::new(), head: Mutex::new(Head::NONE) }
    }

    pub(crate) fn several(count: usize) -> Vec<Self> {
        (0..count).map(|_| Self::new()).collect()
    }

    /// Publishes in a transaction of its own, under the subject's lock.
    pub(crate) async fn publish<E: Event>(&self, database: &Database, event: E) -> EventId {
        let mut head = self.head.lock().await;
        let mut tx = database.begin(context()).await.expect("a transaction");
        let id = tx.publish(&mut head, &event).await.expect("an event that can be published");
        tx.commit().await.expect("committed");
        id
    }

    /// Publishes a registration as its next event.
    pub(crate) async fn registers(&self, database: &Database) -> EventId {
        self.publish(database, registered(self.id, "Ada")).await
    }

    /// Publishes a change as its next event.
    pub(crate) async fn changes(&self, database: &Database) -> EventId {
        self.publish(database, changed(self.id, "Ada")).await
    }
}

/// An event as `order` would publish it: routing key, body, properties.
pub(crate) fn message<E: Event>(event: &E) -> (EventId, (&'static str, Vec<u8>, BasicProperties)) {
    let id = EventId::new();
    let logged = LoggedEvent {
        position: 0,
        id,
        subject: event.subject(),
        sequence: 1,
        event_type: E::TYPE.to_owned(),
        version: E::VERSION,
        time: chrono::Utc::now(),
        correlation_id: "a-request".to_owned(),
        causation_id: None,
        traceparent: None,
        data: serde_json::to_string(event).expect("JSON"),
    };
    let envelope = logged.envelope(Service::Order).expect("JSON");
    let body = serde_json::to_vec(&envelope).expect("JSON");
    (id, (E::TYPE, body, properties(id, E::TYPE)))
}

/// The properties that `order` gives its events.
pub(crate) fn properties(id: EventId, kind: &str) -> BasicProperties {
    BasicProperties::default()
        .with_message_id(id.to_string().into())
        .with_type(kind.into())
        .with_correlation_id("a-request".into())
        .with_content_type(CONTENT_TYPE.into())
        .with_app_id("order".into())
        .with_delivery_mode(2)
}

/// How many rows a query counts.
pub(crate) async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.expect("a count")
}
