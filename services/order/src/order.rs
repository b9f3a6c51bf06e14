//! The order: what it is, what may happen to it, and what each event makes of it.
//!
//! Two pure functions are the whole saga. [`decide`](command::decide) says which events follow from a command in a state;
//! [`Order::apply`] says what an event makes of the state. The row in the database is the fold of the history by `apply`.
//!
//! | state | what happens | it becomes | what undoes it later |
//! | --- | --- | --- | --- |
//! | pending | inventory holds everything | reserved, and is charged | a cancellation releases the stock |
//! | pending | inventory is short | cancelled `out-of-stock` | |
//! | reserved | the payment completes | confirmed | a cancellation returns stock and money |
//! | reserved | the payment fails | cancelled `payment-failed` | |
//! | reserved | the payment does not come in time | cancelled `payment-timeout` | a late payment is refunded |
//! | pending, reserved, confirmed | somebody cancels | cancelled `requested` | |
//!
//! Money that comes when no payment is waited for is recorded, and owed from then on; so is what was paid for an order that
//! is cancelled. What is owed goes back, whatever else happens to the order meanwhile.

pub mod command;

use chrono::{DateTime, Utc};
use contracts::event::Event;
use contracts::money::Money;
use contracts::order::{
    CancelReason, ConfirmedLine, CreatedLine, OrderCancelled, OrderConfirmed, OrderCreated, OrderReserved,
    PaymentCompleted, PaymentFailed, PaymentRefunded,
};
use contracts::values::{CustomerId, OrderId, Quantity, Sku};
use messaging::tx::Head;
use serde::{Deserialize, Serialize};

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Placed; inventory has not answered.
    Pending,
    /// Its stock is held; its payment has not come.
    Reserved,
    /// Held and paid.
    Confirmed,
    /// Over.
    Cancelled,
}

/// How its payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaymentStatus {
    /// Nothing is asked for: not yet, or not any more.
    None,
    /// Asked for.
    Pending,
    /// Paid.
    Completed,
    /// Refused by the provider.
    Failed,
    /// Paid, and given back.
    Refunded,
}

/// One line of an order, fixed when it is placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What.
    pub sku: Sku,
    /// What people call it.
    pub name: String,
    /// How many.
    pub quantity: Quantity,
    /// The price of one.
    pub unit_price: Money,
}

/// An order's payment, as the order sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// How it is paid: `sandbox:ok`.
    pub method: String,
    /// How it stands.
    pub status: PaymentStatus,
    /// The provider's own id, once there was a result.
    pub id: Option<String>,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Which.
    pub id: OrderId,
    /// Whose.
    pub customer_id: CustomerId,
    /// Where it stands.
    pub status: Status,
    /// The sequence of its last event.
    pub version: i64,
    /// What was ordered.
    pub lines: Vec<Line>,
    /// The sum over the lines.
    pub total: Money,
    /// Its payment: the one that it was confirmed by, or else the last one that it heard of.
    pub payment: Payment,
    /// Completed payments that have to go back and have not yet, by the provider's own ids.
    pub owed: Vec<String>,
    /// Why it is over.
    pub cancel_reason: Option<CancelReason>,
    /// What the one who cancelled wrote.
    pub cancel_note: Option<String>,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
    /// When its last event happened.
    pub updated_at: DateTime<Utc>,
}

/// Something that happened to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderEvent {
    /// It was placed.
    Created(OrderCreated),
    /// Its stock is held.
    Reserved(OrderReserved),
    /// It is paid.
    PaymentCompleted(PaymentCompleted),
    /// Its payment was refused.
    PaymentFailed(PaymentFailed),
    /// Its payment was given back.
    PaymentRefunded(PaymentRefunded),
    /// It is held and paid.
    Confirmed(OrderConfirmed),
    /// It is over.
    Cancelled(OrderCancelled),
}

impl OrderEvent {
    /// Its type, as it is published.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created(_) => OrderCreated::TYPE,
            Self::Reserved(_) => OrderReserved::TYPE,
            Self::PaymentCompleted(_) => PaymentCompleted::TYPE,
            Self::PaymentFailed(_) => PaymentFailed::TYPE,
            Self::PaymentRefunded(_) => PaymentRefunded::TYPE,
            Self::Confirmed(_) => OrderConfirmed::TYPE,
            Self::Cancelled(_) => OrderCancelled::TYPE,
        }
    }
}

impl Order {
    /// An order that has just been placed. `lines` are not empty and `total` is their sum.
    pub fn place(
        customer_id: CustomerId,
        lines: Vec<Line>,
        total: Money,
        payment_method: String,
        id: OrderId,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            customer_id,
            status: Status::Pending,
            version: 1,
            lines,
            total,
            payment: Payment { method: payment_method, status: PaymentStatus::None, id: None },
            owed: Vec::new(),
            cancel_reason: None,
            cancel_note: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// Its first event.
    pub fn created(&self) -> OrderCreated {
        let line =
            |line: &Line| CreatedLine { sku: line.sku.clone(), quantity: line.quantity, unit_price: line.unit_price };
        OrderCreated {
            order_id: self.id,
            customer_id: self.customer_id,
            lines: self.lines.iter().map(line).collect(),
            total: self.total,
            payment_method: self.payment.method.clone(),
            created_at: self.created_at,
        }
    }

    fn confirmed(&self) -> OrderConfirmed {
        let line = |line: &Line| ConfirmedLine {
            sku: line.sku.clone(),
            name: line.name.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price,
        };
        let lines = self.lines.iter().map(line).collect();
        OrderConfirmed { order_id: self.id, customer_id: self.customer_id, lines, total: self.total }
    }

    /// Whether it has this payment: completed, and given back or not.
    fn was_paid_by(&self, payment_id: &str) -> bool {
        let paid = matches!(self.payment.status, PaymentStatus::Completed | PaymentStatus::Refunded);
        (paid && self.payment.id.as_deref() == Some(payment_id)) || self.owes(payment_id)
    }

    fn owes(&self, payment_id: &str) -> bool {
        self.owed.iter().any(|owed| owed == payment_id)
    }

    /// The payments that are completed and not given back.
    pub fn unrefunded(&self) -> impl Iterator<Item = &str> {
        let completed = self.payment.status == PaymentStatus::Completed;
        self.payment.id.iter().filter(move |_| completed).chain(&self.owed).map(String::as_str)
    }

    /// What its next event follows.
    pub fn head(&self) -> Head {
        Head { sequence: self.version, time: self.updated_at }
    }

    /// What `event`, which is at `head`, makes of the order. `note` is what the one who cancelled wrote.
    pub fn apply(&mut self, event: &OrderEvent, head: Head, note: Option<&str>) {
        match event {
            OrderEvent::Created(_) => {}
            OrderEvent::Reserved(_) => {
                self.status = Status::Reserved;
                (self.payment.status, self.payment.id) = (PaymentStatus::Pending, None);
            }
            OrderEvent::PaymentCompleted(event) => self.complete_payment(&event.payment_id),
            OrderEvent::PaymentFailed(event) => self.show_payment(PaymentStatus::Failed, &event.payment_id),
            OrderEvent::PaymentRefunded(event) => {
                self.owed.retain(|owed| *owed != event.payment_id);
                if self.payment.id.as_ref() == Some(&event.payment_id) {
                    self.payment.status = PaymentStatus::Refunded;
                }
            }
            OrderEvent::Confirmed(_) => self.status = Status::Confirmed,
            OrderEvent::Cancelled(event) => self.cancel(event.reason, note),
        }
        self.version = head.sequence;
        self.updated_at = head.time;
    }

    /// A payment that was not waited for is owed; it does not take the place of one that the order has.
    fn complete_payment(&mut self, id: &str) {
        if self.status != Status::Reserved {
            self.owed.push(id.to_owned());
        }
        if self.payment.status != PaymentStatus::Completed {
            self.show_payment(PaymentStatus::Completed, id);
        }
    }

    fn cancel(&mut self, reason: CancelReason, note: Option<&str>) {
        self.status = Status::Cancelled;
        self.cancel_reason = Some(reason);
        self.cancel_note = note.map(str::to_owned);
        if self.payment.status == PaymentStatus::Pending {
            self.payment.status = PaymentStatus::None;
        }
        let paid =
            self.payment.id.clone().filter(|id| self.payment.status == PaymentStatus::Completed && !self.owes(id));
        self.owed.extend(paid);
    }

    fn show_payment(&mut self, status: PaymentStatus, id: &str) {
        self.payment.status = status;
        self.payment.id = Some(id.to_owned());
    }
}

#[cfg(test)]
mod tests;
