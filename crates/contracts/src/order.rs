//! The events that `order` publishes: about customers, orders and their payments.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::{DecodeError, Event, only_version, read, unsupported};
use crate::money::Money;
use crate::values::{CustomerId, OrderId, Quantity, Sku};

pub mod created_v1;

/// A customer exists from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CustomerRegistered {
    /// The new customer.
    pub customer_id: CustomerId,
    /// How to address them.
    pub name: String,
    /// Where mails go.
    pub email: String,
}

/// A customer has another name or address now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CustomerChanged {
    /// Whose.
    pub customer_id: CustomerId,
    /// The name from now on.
    pub name: String,
    /// The address from now on.
    pub email: String,
}

/// An order was placed and priced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderCreated {
    /// The new order.
    pub order_id: OrderId,
    /// Who ordered.
    pub customer_id: CustomerId,
    /// What was ordered, each sku once.
    pub lines: Vec<CreatedLine>,
    /// The sum over the lines of quantity times unit price.
    pub total: Money,
    /// How it will be paid: `sandbox:ok`.
    pub payment_method: String,
    /// When, by the publisher's database.
    pub created_at: DateTime<Utc>,
}

/// One line of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreatedLine {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// The price of one at that moment.
    pub unit_price: Money,
}

/// Its stock is held; the order waits for its payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderReserved {
    /// Which order.
    pub order_id: OrderId,
}

/// The money arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PaymentCompleted {
    /// For which order.
    pub order_id: OrderId,
    /// The payment, by the provider's own opaque id.
    pub payment_id: String,
    /// How much.
    pub amount: Money,
}

/// The provider refused the payment for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PaymentFailed {
    /// For which order.
    pub order_id: OrderId,
    /// The payment, by the provider's own opaque id.
    pub payment_id: String,
    /// How much was asked for.
    pub amount: Money,
    /// The provider's reason.
    pub reason: String,
}

/// The money went back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PaymentRefunded {
    /// For which order.
    pub order_id: OrderId,
    /// The payment, by the provider's own opaque id.
    pub payment_id: String,
    /// How much.
    pub amount: Money,
}

/// Held and paid: the goods may go out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderConfirmed {
    /// Which order.
    pub order_id: OrderId,
    /// Whose.
    pub customer_id: CustomerId,
    /// What, with the names as they were when it was ordered.
    pub lines: Vec<ConfirmedLine>,
    /// The sum.
    pub total: Money,
}

/// One line of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfirmedLine {
    /// What.
    pub sku: Sku,
    /// What people call it.
    pub name: String,
    /// How many.
    pub quantity: Quantity,
    /// The price of one.
    pub unit_price: Money,
}

/// The order ended without goods; whatever was held or paid for it goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderCancelled {
    /// Which order.
    pub order_id: OrderId,
    /// Whose; absent for the reason `unknown-order`, about which nobody is mailed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// Why.
    pub reason: CancelReason,
}

/// Why an order ended without goods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CancelReason {
    /// Inventory could not hold all of it.
    OutOfStock,
    /// The provider refused the payment.
    PaymentFailed,
    /// The payment did not come in time.
    PaymentTimeout,
    /// Somebody asked for it.
    Requested,
    /// Inventory held stock for an order that `order` does not have.
    UnknownOrder,
}

impl CancelReason {
    /// The reason as it is written in events and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfStock => "out-of-stock",
            Self::PaymentFailed => "payment-failed",
            Self::PaymentTimeout => "payment-timeout",
            Self::Requested => "requested",
            Self::UnknownOrder => "unknown-order",
        }
    }
}

/// Implements [`Event`] for a struct that has had one version so far.
macro_rules! first_version {
    ($event:ty, $name:literal, $subject:ident) => {
        impl Event for $event {
            const TYPE: &'static str = $name;
            const VERSION: u16 = 1;
            fn subject(&self) -> String {
                self.$subject.to_string()
            }
            fn from_version(version: u16, data: &RawValue) -> Result<Self, DecodeError> {
                only_version(version, data)
            }
        }
    };
}
pub(crate) use first_version;

first_version!(CustomerRegistered, "customer.registered", customer_id);
first_version!(CustomerChanged, "customer.changed", customer_id);
first_version!(OrderReserved, "order.reserved", order_id);
first_version!(PaymentCompleted, "payment.completed", order_id);
first_version!(PaymentFailed, "payment.failed", order_id);
first_version!(PaymentRefunded, "payment.refunded", order_id);
first_version!(OrderConfirmed, "order.confirmed", order_id);
first_version!(OrderCancelled, "order.cancelled", order_id);

impl Event for OrderCreated {
    const TYPE: &'static str = "order.created";
    const VERSION: u16 = 2;

    fn subject(&self) -> String {
        self.order_id.to_string()
    }

    fn from_version(version: u16, data: &RawValue) -> Result<Self, DecodeError> {
        match version {
            1 => read::<created_v1::OrderCreated>("data", data.get())?.try_into(),
            2 => read("data", data.get()),
            _ => Err(unsupported::<Self>(version)),
        }
    }
}
