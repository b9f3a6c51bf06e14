//! Handlers, and the list of them that makes a service a subscriber.

use std::any::Any;
use std::collections::{BTreeMap, HashSet};
use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contracts::catalogue::{consumed_by, find};
use contracts::envelope::Envelope;
use contracts::event::{DecodeError, Event, Service};
use contracts::values::{CustomerId, EventId, OrderId, Sku};
use futures_util::future::BoxFuture;

use crate::context::Context;
use crate::failpoint;
use crate::tx::{PublishError, Tx};

/// An event as it reached a handler.
#[derive(Debug, Clone)]
pub struct Received<E> {
    /// Its id.
    pub id: EventId,
    /// Its number among the events of its subject. Gaps are normal; one older than what is known is to be ignored.
    pub sequence: i64,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// What its effects inherit: for [`Tx::on_behalf_of`], where a handler takes several events at once.
    pub context: Context,
    /// The event, in its newest shape.
    pub event: E,
}

impl<E> Deref for Received<E> {
    type Target = E;
    fn deref(&self) -> &E {
        &self.event
    }
}

/// What a handler will write, named before it runs, so that the subscriber can lock the union of a batch in one global
/// order: the order of this enum's variants, and within each the order of ids. Routes and workers lock in the same order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A customer, or what a service keeps of one.
    Customer(CustomerId),
    /// An order, or what a service keeps of one.
    Order(OrderId),
    /// A product and its stock.
    Sku(Sku),
}

/// Why a handler did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// Again later: the message climbs the retry ladder. What a plain `?` means. The text of an error that is not the
    /// database's travels in headers and logs: it names places, never values.
    #[error(transparent)]
    Again(Box<dyn std::error::Error + Send + Sync>),
    /// Never: the message is a dead letter at once.
    #[error("{0}")]
    Reject(String),
    /// Not while that dependency is away: the consumer waits for it, and no attempt is spent.
    #[error("{0} is away")]
    Unavailable(&'static str),
}

impl HandlerError {
    /// This message can never succeed. The reason travels in headers and logs: it names places, never values.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject(reason.into())
    }

    /// This message has to wait until `dependency` is back.
    pub fn unavailable(dependency: &'static str) -> Self {
        Self::Unavailable(dependency)
    }
}

impl From<sqlx::Error> for HandlerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Again(Box::new(error))
    }
}

impl From<PublishError> for HandlerError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Database(error) => error.into(),
            too_large_or_not_json => Self::Reject(too_large_or_not_json.to_string()),
        }
    }
}

/// Does one thing when an event arrives.
///
/// It runs in the transaction that holds the event's inbox row: what it writes and publishes through `tx` takes effect
/// once, or not at all. It does not acknowledge, count attempts, or call anything outside of the database.
pub trait Handler<E: Event>: Send + Sync + 'static {
    /// What it will write. Locked before it runs.
    fn keys(&self, _event: &E) -> Vec<Key> {
        Vec::new()
    }

    /// Does it.
    fn handle(&self, tx: &mut Tx, event: &Received<E>) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// Does it for all events of its type in a batch, in the order of arrival. To be overridden where sets are quicker
    /// than a loop; then every event's publishes go under its own [`Tx::on_behalf_of`].
    fn handle_batch(
        &self,
        tx: &mut Tx,
        events: &[Received<E>],
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async move {
            for event in events {
                tx.on_behalf_of(&event.context);
                self.handle(tx, event).await?;
            }
            Ok(())
        }
    }
}

/// Two things that one service does about an event, the first one first: both in one transaction, so both or none. What shall
/// go on while the other fails belongs into a service of its own, with a queue of its own.
impl<E: Event, A: Handler<E>, B: Handler<E>> Handler<E> for (A, B) {
    fn keys(&self, event: &E) -> Vec<Key> {
        let mut keys = self.0.keys(event);
        keys.extend(self.1.keys(event));
        keys
    }

    async fn handle(&self, tx: &mut Tx, event: &Received<E>) -> Result<(), HandlerError> {
        self.0.handle(tx, event).await?;
        self.1.handle(tx, event).await
    }

    async fn handle_batch(&self, tx: &mut Tx, events: &[Received<E>]) -> Result<(), HandlerError> {
        self.0.handle_batch(tx, events).await?;
        self.1.handle_batch(tx, events).await
    }
}

/// Locks what the handlers of a batch will write. `keys` are sorted, each once.
pub trait Locker: Send + Sync + 'static {
    /// Takes the locks, in the order of `keys`.
    fn lock(&self, tx: &mut Tx, keys: &[Key]) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// For services whose handlers need no locks.
#[derive(Debug, Clone, Copy)]
pub struct NoLocks;

impl Locker for NoLocks {
    async fn lock(&self, _tx: &mut Tx, _keys: &[Key]) -> Result<(), HandlerError> {
        Ok(())
    }
}

/// A decoded event, its type forgotten until its handler takes it back.
pub(crate) type AnyEvent = Box<dyn Any + Send + Sync>;

/// A [`Handler`] whose event type is forgotten.
pub(crate) trait AnyHandler: Send + Sync {
    fn event(&self) -> &'static str;
    fn name(&self) -> &'static str;
    fn decode(&self, envelope: &Envelope<'_>) -> Result<(AnyEvent, Vec<Key>), DecodeError>;
    fn handle<'a>(&'a self, tx: &'a mut Tx, events: Vec<&'a AnyEvent>) -> BoxFuture<'a, Result<(), HandlerError>>;
}

struct Typed<E, H> {
    handler: H,
    name: &'static str,
    event: std::marker::PhantomData<fn() -> E>,
}

impl<E: Event + Clone, H: Handler<E>> AnyHandler for Typed<E, H> {
    fn event(&self) -> &'static str {
        E::TYPE
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn decode(&self, envelope: &Envelope<'_>) -> Result<(AnyEvent, Vec<Key>), DecodeError> {
        let event = envelope.event::<E>()?;
        let keys = self.handler.keys(&event);
        let context = Context {
            correlation_id: envelope.correlationid.clone().into_owned(),
            causation_id: Some(envelope.id.to_string()),
            traceparent: envelope.traceparent.as_deref().map(str::to_owned),
        };
        let received = Received { id: envelope.id, sequence: envelope.sequence, time: envelope.time, context, event };
        Ok((Box::new(received), keys))
    }

    fn handle<'a>(&'a self, tx: &'a mut Tx, events: Vec<&'a AnyEvent>) -> BoxFuture<'a, Result<(), HandlerError>> {
        Box::pin(async move {
            let events: Vec<Received<E>> =
                events.into_iter().filter_map(|event| event.downcast_ref::<Received<E>>()).cloned().collect();
            self.handler.handle_batch(tx, &events).await
        })
    }
}

/// A type's name without its modules: `WelcomeCustomer`, and of a pair `WelcomeCustomer+WelcomeBySms`.
fn short_name(full: &'static str) -> &'static str {
    if !full.starts_with('(') {
        return full.rsplit("::").next().unwrap_or(full);
    }
    let names: Vec<&str> = full
        .split(['(', ',', ')'])
        .filter_map(|part| part.trim().rsplit("::").next())
        .filter(|name| !name.is_empty())
        .collect();
    // once for each pair of a process, when its list is made
    names.join("+").leak()
}

trait AnyLocker: Send + Sync {
    fn lock<'a>(&'a self, tx: &'a mut Tx, keys: &'a [Key]) -> BoxFuture<'a, Result<(), HandlerError>>;
}

impl<L: Locker> AnyLocker for L {
    fn lock<'a>(&'a self, tx: &'a mut Tx, keys: &'a [Key]) -> BoxFuture<'a, Result<(), HandlerError>> {
        Box::pin(Locker::lock(self, tx, keys))
    }
}

/// The events that a service handles: one line each, in the order in which a batch is handled.
#[derive(Clone)]
pub struct Subscriptions {
    service: Service,
    locker: Arc<dyn AnyLocker>,
    handlers: Vec<Arc<dyn AnyHandler>>,
    by_event: BTreeMap<&'static str, usize>,
}

impl Subscriptions {
    /// None yet.
    pub fn new(service: Service, locker: impl Locker) -> Self {
        Self { service, locker: Arc::new(locker), handlers: Vec::new(), by_event: BTreeMap::new() }
    }

    /// `handler` handles `E`.
    ///
    /// # Panics
    /// When `E` has a handler already, or the catalogue does not name this service among its consumers: such a service
    /// must not start.
    #[must_use]
    pub fn on<E: Event + Clone>(mut self, handler: impl Handler<E>) -> Self {
        let consumes = find(E::TYPE).is_some_and(|event| event.consumers.contains(&self.service));
        assert!(consumes, "the catalogue does not name {} as a consumer of {}", self.service, E::TYPE);
        let name = short_name(std::any::type_name_of_val(&handler));
        self.add(Arc::new(Typed { handler, name, event: std::marker::PhantomData::<fn() -> E> }));
        self
    }

    /// Checks that every event that the catalogue sends to this service has a handler.
    ///
    /// # Panics
    /// When one has none.
    #[must_use]
    pub fn complete(self) -> Self {
        for event in consumed_by(self.service) {
            assert!(self.by_event.contains_key(event.name), "{} has no handler for {}", self.service, event.name);
        }
        self
    }

    fn add(&mut self, handler: Arc<dyn AnyHandler>) {
        let event = handler.event();
        let taken = self.by_event.insert(event, self.handlers.len());
        assert!(taken.is_none(), "{event} has two handlers in {}", self.service);
        self.handlers.push(handler);
    }

    /// Whose they are.
    pub fn service(&self) -> Service {
        self.service
    }

    pub(crate) fn index_of(&self, event: &str) -> Option<usize> {
        self.by_event.get(event).copied()
    }

    pub(crate) fn handler(&self, index: usize) -> &dyn AnyHandler {
        self.handlers[index].as_ref()
    }

    pub(crate) fn len(&self) -> usize {
        self.handlers.len()
    }

    pub(crate) async fn lock(&self, tx: &mut Tx, keys: &[Key]) -> Result<(), HandlerError> {
        if failpoint::is_broken("unsorted-locks") {
            // One after the other, in an order of which each set has its own.
            for key in HashSet::<&Key>::from_iter(keys) {
                self.locker.lock(tx, std::slice::from_ref(key)).await?;
            }
            return Ok(());
        }
        if keys.is_empty() { Ok(()) } else { self.locker.lock(tx, keys).await }
    }
}

impl std::fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriptions").field("service", &self.service).field("events", &self.by_event.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_also_of_pairs() {
        assert_eq!(short_name("email::handlers::welcome::Welcome"), "Welcome");
        assert_eq!(short_name("(a::b::One, (c::Two, d::Three))"), "One+Two+Three");
    }
}
