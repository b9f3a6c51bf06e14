//! The events that `inventory` publishes: about products, reservations and low stock.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::{DecodeError, Event, only_version};
use crate::money::Money;
use crate::order::first_version;
use crate::values::{OrderId, Quantity, Sku};

/// A product is new, or its name, its price or whether it is sold has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProductChanged {
    /// Which product.
    pub sku: Sku,
    /// What people call it.
    pub name: String,
    /// The price of one.
    pub unit_price: Money,
    /// Whether it may be ordered.
    pub active: bool,
}

/// All of the order's lines are held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InventoryReserved {
    /// For which order.
    pub order_id: OrderId,
}

/// Not all of the order's lines could be held, so none is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InventoryRejected {
    /// For which order.
    pub order_id: OrderId,
    /// What was short.
    pub short: Vec<Shortage>,
}

/// One sku of which there was not enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Shortage {
    /// What.
    pub sku: Sku,
    /// How many were wanted.
    pub requested: Quantity,
    /// How many there were.
    pub available: i64,
}

/// The available stock of a product fell below its threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InventoryLow {
    /// Which product.
    pub sku: Sku,
    /// What people call it.
    pub name: String,
    /// How many are left.
    pub available: i64,
    /// Below which number that is low.
    pub threshold: i64,
}

first_version!(ProductChanged, "product.changed", sku);
first_version!(InventoryReserved, "inventory.reserved", order_id);
first_version!(InventoryRejected, "inventory.rejected", order_id);

impl Event for InventoryLow {
    const TYPE: &'static str = "inventory.low";
    const VERSION: u16 = 1;

    /// `SKU/low`: a series of its own, beside the product's.
    fn subject(&self) -> String {
        format!("{}/low", self.sku)
    }

    fn from_version(version: u16, data: &RawValue) -> Result<Self, DecodeError> {
        only_version(version, data)
    }
}
