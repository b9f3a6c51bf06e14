//! What callers see.

use chrono::{DateTime, Utc};
use contracts::envelope::time_text;
use contracts::money::Money;
use contracts::order::CancelReason;
use contracts::values::{CustomerId, OrderId};
use serde::{Serialize, Serializer};

use crate::order::{Line, Order, PaymentStatus, Status};
use crate::store::customer::Customer;
use crate::store::total::Total;

/// A time: RFC 3339, UTC, in microseconds.
pub(super) fn time<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time_text(time))
}

/// An order.
#[derive(Debug, Serialize)]
pub struct OrderView<'a> {
    id: OrderId,
    customer_id: CustomerId,
    status: Status,
    version: i64,
    lines: &'a [Line],
    total: Money,
    payment: PaymentView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<CancelReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_note: Option<&'a str>,
    #[serde(serialize_with = "time")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "time")]
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Serialize)]
struct PaymentView<'a> {
    method: &'a str,
    status: PaymentStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<&'a str>,
}

impl<'a> OrderView<'a> {
    /// What callers see of `order`.
    pub fn of(order: &'a Order) -> Self {
        let payment = PaymentView {
            method: &order.payment.method,
            status: order.payment.status,
            payment_id: order.payment.id.as_deref(),
        };
        Self {
            id: order.id,
            customer_id: order.customer_id,
            status: order.status,
            version: order.version,
            lines: &order.lines,
            total: order.total,
            payment,
            cancel_reason: order.cancel_reason,
            cancel_note: order.cancel_note.as_deref(),
            created_at: order.created_at,
            updated_at: order.updated_at,
        }
    }
}

/// A customer, with what they have ordered.
#[derive(Debug, Serialize)]
pub struct CustomerView {
    id: CustomerId,
    name: String,
    email: String,
    #[serde(serialize_with = "time")]
    created_at: DateTime<Utc>,
    order_count: i64,
    totals: Vec<Money>,
}

impl CustomerView {
    /// What callers see of `customer`, whose confirmed orders are `totals`.
    pub fn of(customer: &Customer, totals: &[Total]) -> Self {
        Self {
            id: customer.id,
            name: customer.name.clone(),
            email: customer.email.clone(),
            created_at: customer.created_at,
            order_count: totals.iter().map(|total| total.orders).sum(),
            totals: totals.iter().map(|total| total.amount).collect(),
        }
    }
}
