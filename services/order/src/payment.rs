//! Payments: what is asked of a provider, and the interface that a provider implements.
//!
//! A provider is never called inside a database transaction. An intent is a committed row; a worker claims it, calls the
//! provider with the payment's id as idempotency key, and commits the result with the order's next step. A claim that was
//! left behind means "perhaps done", and is repeated under the same id.

pub mod sandbox;
pub mod till;

use std::time::Duration;

use chrono::{DateTime, Utc};
use contracts::money::Money;
use contracts::values::OrderId;
use messaging::context::Context;
use uuid::Uuid;

use crate::order::Order;

/// How long a claim is somebody's own: longer than any call to a provider may take. What a process that died held is taken
/// over after it.
pub const LEASE: Duration = Duration::from_secs(15);

/// What is asked of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The payment: the idempotency key of every call about it.
    pub payment_id: String,
    /// For which order.
    pub order_id: OrderId,
    /// How much.
    pub amount: Money,
    /// How: `sandbox:ok`.
    pub method: String,
    /// What the events inherit that the result causes.
    pub context: Context,
}

impl Intent {
    /// A new payment of an order's total.
    pub fn new(order: &Order, context: Context) -> Self {
        Self {
            payment_id: Uuid::now_v7().to_string(),
            order_id: order.id,
            amount: order.total,
            method: order.payment.method.clone(),
            context,
        }
    }
}

/// What a worker has to do about a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Take the money.
    Charge,
    /// Give it back.
    Refund,
}

/// A claimed intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What is asked.
    pub intent: Intent,
    /// Which way.
    pub task: Task,
    /// How often it was claimed, this time included.
    pub attempts: i32,
    /// How long the claim lasts: which claim this is, as another comes only after it.
    pub until: DateTime<Utc>,
}

/// What a provider says to a charge or a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Completed,
    /// Refused for good, for this reason.
    Declined(String),
    /// The result comes later, by a webhook.
    Later,
    /// Not now; it may be asked again.
    Again,
}

/// A payment provider. Both calls are idempotent by payment id: asked twice, it answers twice and acts once.
pub trait PaymentProvider: Send + Sync + 'static {
    /// The payment methods that it takes, as orders name them.
    fn methods(&self) -> &'static [&'static str];

    /// Takes money, for several payments at once; one answer each, in their order.
    ///
    /// # Errors
    /// When the provider cannot be reached: nothing is known of any of them.
    fn charge(&self, intents: &[Intent]) -> impl Future<Output = Result<Vec<Answer>, Unreachable>> + Send;

    /// Gives money back; one answer each, in their order.
    ///
    /// # Errors
    /// When the provider cannot be reached: nothing is known of any of them.
    fn refund(&self, intents: &[Intent]) -> impl Future<Output = Result<Vec<Answer>, Unreachable>> + Send;
}

/// The provider cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("the payment provider cannot be reached: {0}")]
pub struct Unreachable(pub String);
