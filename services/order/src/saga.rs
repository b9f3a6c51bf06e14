//! Moves orders on: locks them, lets [`decide`] decide, publishes what follows, and stores what it makes of them.
//!
//! Every change of an order but its creation comes through [`advance`], whoever asks: inventory's answers, the payment
//! provider's, the clock, or a person. It takes many orders at once, and costs the same few statements.

use std::collections::HashMap;

use contracts::values::OrderId;
use messaging::context::Context;
use messaging::fault::{Fault, classify};
use messaging::handler::HandlerError;
use messaging::tx::{PublishError, Tx};
use tracing::info;

use crate::order::command::{Command, Refusal, decide};
use crate::order::{Order, OrderEvent};
use crate::payment::till::Till;
use crate::payment::{Intent, LEASE, Task};
use crate::store;

/// A command for one order, and what caused it.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which order.
    pub order_id: OrderId,
    /// What is to be done.
    pub command: Command,
    /// What its events inherit.
    pub context: Context,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// The order as it is now, changed or not.
    Order(Box<Order>),
    /// The command was refused; the order is unchanged.
    Refused(Refusal),
    /// There is no such order.
    Unknown,
}

/// Why orders could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum SagaError {
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// An event could not be stored.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl SagaError {
    /// Whether the database is away, so that nothing that was asked for is to blame.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database(error) | Self::Publish(PublishError::Database(error)) => classify(error) == Fault::Outage,
            Self::Publish(PublishError::TooLarge(_) | PublishError::NotJson(_)) => false,
        }
    }
}

impl From<SagaError> for HandlerError {
    fn from(error: SagaError) -> Self {
        match error {
            SagaError::Database(error) => error.into(),
            SagaError::Publish(error) => error.into(),
        }
    }
}

/// What a transaction begins with in which each step brings its own context.
pub fn nobody() -> Context {
    Context { correlation_id: String::new(), causation_id: None, traceparent: None }
}

/// What the payments have to do because of what happened to their orders.
#[derive(Debug, Default)]
struct PaymentWork {
    charge: Vec<Intent>,
    withdraw: Vec<OrderId>,
    refund: Vec<Intent>,
}

/// Locks the orders of `steps`, obeys the steps in order, and returns what became of each.
///
/// # Errors
/// When the database or the log refuse; the transaction is then good for nothing but being dropped.
pub async fn advance(tx: &mut Tx, steps: &[Step]) -> Result<Vec<Moved>, SagaError> {
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let orders = store::order::lock(tx, &ids(steps)).await?;
    advance_locked(tx, orders, steps, None).await
}

/// The orders of `steps`, each once.
pub fn ids(steps: &[Step]) -> Vec<OrderId> {
    let mut ids: Vec<OrderId> = steps.iter().map(|step| step.order_id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Obeys `steps` in order and returns what became of each. `orders` are those of the steps, locked by this transaction and
/// read since; one that is not among them does not exist. Intents to charge are handed over by way of the `till`, as far as
/// it takes them.
///
/// # Errors
/// When the database or the log refuse; the transaction is then good for nothing but being dropped.
pub async fn advance_locked(
    tx: &mut Tx,
    orders: Vec<Order>,
    steps: &[Step],
    till: Option<&Till>,
) -> Result<Vec<Moved>, SagaError> {
    let mut orders: HashMap<OrderId, Order> = orders.into_iter().map(|order| (order.id, order)).collect();
    let mut work = PaymentWork::default();
    let mut changed = Vec::new();
    let mut moved = Vec::with_capacity(steps.len());
    for step in steps {
        let Some(order) = orders.get_mut(&step.order_id) else {
            moved.push(Moved::Unknown);
            continue;
        };
        match decide(order, &step.command) {
            Err(refusal) => moved.push(Moved::Refused(refusal)),
            Ok(events) => {
                if !events.is_empty() {
                    changed.push(order.id);
                    happen(tx, order, step, &events, &mut work).await?;
                }
                moved.push(Moved::Order(Box::new(order.clone())));
            }
        }
    }
    changed.sort_unstable();
    changed.dedup();
    let changed: Vec<&Order> = changed.iter().filter_map(|id| orders.get(id)).collect();
    store::order::save(tx, &changed).await?;
    // Payments are locked after their orders, here as everywhere.
    store::payment::withdraw(tx, &work.withdraw).await?;
    charge(tx, work.charge, till).await?;
    store::payment::intend(tx, &work.refund, Task::Refund).await?;
    Ok(moved)
}

/// Stores intents to charge: as claims of this process where its till takes them, else for whoever has time.
async fn charge(tx: &mut Tx, intents: Vec<Intent>, till: Option<&Till>) -> sqlx::Result<()> {
    let Some(till) = till else { return store::payment::intend(tx, &intents, Task::Charge).await };
    let (taken, left): (Vec<_>, Vec<_>) = intents.into_iter().partition(|intent| till.takes(intent));
    let jobs = store::payment::intend_claimed(tx, taken, LEASE).await?;
    if !jobs.is_empty() {
        till.hand_over(tx, jobs);
    }
    if !left.is_empty() {
        store::payment::intend(tx, &left, Task::Charge).await?;
        tx.after_commit(till.intents());
    }
    Ok(())
}

/// Publishes events of one order, applies them, and notes what its payments have to do.
async fn happen(
    tx: &mut Tx,
    order: &mut Order,
    step: &Step,
    events: &[OrderEvent],
    work: &mut PaymentWork,
) -> Result<(), SagaError> {
    tx.on_behalf_of(&step.context);
    let note = match &step.command {
        Command::Cancel(note) => note.as_deref(),
        _ => None,
    };
    for event in events {
        let mut head = order.head();
        let event_id = match event {
            OrderEvent::Created(event) => tx.publish(&mut head, event).await?,
            OrderEvent::Reserved(event) => tx.publish(&mut head, event).await?,
            OrderEvent::PaymentCompleted(event) => tx.publish(&mut head, event).await?,
            OrderEvent::PaymentFailed(event) => tx.publish(&mut head, event).await?,
            OrderEvent::PaymentRefunded(event) => tx.publish(&mut head, event).await?,
            OrderEvent::Confirmed(event) => tx.publish(&mut head, event).await?,
            OrderEvent::Cancelled(event) => tx.publish(&mut head, event).await?,
        };
        let owed_before = order.owed.clone();
        order.apply(event, head, note);
        let context = Context { causation_id: Some(event_id.to_string()), ..step.context.clone() };
        match event {
            OrderEvent::Reserved(_) => work.charge.push(Intent::new(order, context.clone())),
            // whatever was asked for and not begun is not wanted any more
            OrderEvent::Confirmed(_) | OrderEvent::Cancelled(_) => work.withdraw.push(order.id),
            _ => {}
        }
        for payment_id in order.owed.iter().filter(|id| !owed_before.contains(id)) {
            let payment_id = payment_id.clone();
            work.refund.push(Intent { payment_id, ..Intent::new(order, context.clone()) });
        }
        log(order, event, &step.context);
    }
    Ok(())
}

fn log(order: &Order, event: &OrderEvent, context: &Context) {
    let message = match event {
        OrderEvent::Created(_) => "order created",
        OrderEvent::Reserved(_) => "stock reserved; charging",
        OrderEvent::PaymentCompleted(_) => "payment completed",
        OrderEvent::PaymentFailed(_) => "payment failed",
        OrderEvent::PaymentRefunded(_) => "payment refunded",
        OrderEvent::Confirmed(_) => "order confirmed",
        OrderEvent::Cancelled(_) => "order cancelled",
    };
    let (correlation_id, event_name, version) = (context.correlation_id.as_str(), event.name(), order.version);
    let reason =
        order.cancel_reason.filter(|_| matches!(event, OrderEvent::Cancelled(_))).map(|reason| reason.as_str());
    info!(order_id = %order.id, correlation_id, event = event_name, version, reason, "{message}");
}
