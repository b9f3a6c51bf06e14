//! `order.created` version 1, which older producers still send, and its way to version 2.
//!
//! It names things in camel case, writes prices as decimal numbers, always in euros, and its total left the quantity out.
//! The upcast merges lines of one sku and computes the total anew.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::event::DecodeError;
use crate::money::{Currency, Money};
use crate::values::{CustomerId, OrderId, Quantity, Sku};

/// The data of version 1. Its `total` is not read, since it is wrong.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderCreated {
    /// The new order.
    order_id: OrderId,
    /// Who ordered.
    user_id: CustomerId,
    /// What was ordered.
    items: Vec<Item>,
    /// The sum of the prices, without the quantities: not to be used.
    #[serde(rename = "total")]
    _total: f64,
    /// When.
    timestamp: DateTime<Utc>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Item {
    /// What.
    product_id: Sku,
    /// How many.
    quantity: Quantity,
    /// The price of one, in euros.
    price: f64,
}

/// Version 1 did not say how an order is paid.
const PAYMENT_METHOD: &str = "unspecified";

/// Beyond this many cents a 64-bit float no longer counts single ones.
const MOST_CENTS: f64 = 9_007_199_254_740_992.0;

impl TryFrom<OrderCreated> for super::OrderCreated {
    type Error = DecodeError;

    fn try_from(old: OrderCreated) -> Result<Self, DecodeError> {
        let malformed = |place: String| DecodeError::Malformed(format!("data.{place}: out of range"));
        let mut by_sku = BTreeMap::<Sku, (i64, Money)>::new();
        let mut order = Vec::new();
        for (index, item) in old.items.into_iter().enumerate() {
            let price = cents(item.price).ok_or_else(|| malformed(format!("items[{index}].price")))?;
            let known = by_sku.entry(item.product_id.clone()).or_insert_with(|| {
                order.push(item.product_id);
                (0, price)
            });
            if known.1 != price {
                return Err(DecodeError::Malformed(format!(
                    "data.items[{index}].price: another price for the same product"
                )));
            }
            known.0 += item.quantity.get();
        }
        let mut total = Money::zero(Currency::EUR);
        let mut lines = Vec::with_capacity(order.len());
        for sku in order {
            let (quantity, unit_price) = by_sku[&sku];
            let quantity = Quantity::try_from(quantity).map_err(|_| malformed("items".to_owned()))?;
            total = unit_price
                .times(quantity)
                .and_then(|price| total.plus(price))
                .ok_or_else(|| malformed("items".to_owned()))?;
            lines.push(super::CreatedLine { sku, quantity, unit_price });
        }
        if lines.is_empty() {
            return Err(DecodeError::Malformed("data.items: empty".to_owned()));
        }
        Ok(super::OrderCreated {
            order_id: old.order_id,
            customer_id: old.user_id,
            lines,
            total,
            payment_method: PAYMENT_METHOD.to_owned(),
            created_at: old.timestamp,
        })
    }
}

/// Decimal euros in whole cents; `None` where they are negative, too many, or finer than a cent.
fn cents(euros: f64) -> Option<Money> {
    let exact = euros * 100.0;
    let whole = exact.round();
    if !(0.0..=MOST_CENTS).contains(&whole) || (exact - whole).abs() > 1e-6 * exact.abs().max(1.0) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole, and in the range of exact integers")]
    Money::new(whole as i64, Currency::EUR).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_euros_become_cents() {
        for (euros, expected) in
            [(19.99, Some(1999)), (0.1 + 0.2, Some(30)), (1.005, None), (-0.01, None), (0.0, Some(0)), (1e300, None)]
        {
            assert_eq!(cents(euros).map(Money::amount), expected, "{euros}");
        }
    }
}
