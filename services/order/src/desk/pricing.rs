//! Makes orders of wishes: priced from the price list, or refused.

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use contracts::money::Money;
use contracts::values::OrderId;
use service_kit::http::problem::Problem;
use uuid::{Builder, Uuid};

use super::Wish;
use crate::order::{Line, Order};
use crate::store::desk::Basis;

/// Makes an order of a wish.
pub(super) fn price(wish: &Wish, basis: &Basis) -> Result<Order, Problem> {
    if !basis.customers.contains(&wish.customer_id) {
        return Err(refused("unknown-customer", "Unknown customer", "There is no such customer.")
            .with_error("/customer_id", "is no customer"));
    }
    let mut lines = Vec::with_capacity(wish.lines.len());
    let mut total: Option<Money> = None;
    for (index, (sku, quantity)) in wish.lines.iter().enumerate() {
        let Some(product) = basis.products.get(sku) else {
            return Err(refused("unknown-sku", "Unknown sku", "A product does not exist or is not sold.")
                .with_error(format!("/lines/{index}/sku"), "is no product that is sold"));
        };
        let too_much =
            || Problem::invalid_body([]).with_error(format!("/lines/{index}"), "makes a total that is too large");
        let price = product.unit_price.times(*quantity).ok_or_else(too_much)?;
        total = Some(match total {
            None => price,
            Some(sum) if sum.currency() != price.currency() => {
                return Err(refused(
                    "mixed-currencies",
                    "Mixed currencies",
                    "All lines must be priced in one currency.",
                )
                .with_error(format!("/lines/{index}/sku"), "is priced in another currency"));
            }
            Some(sum) => sum.plus(price).ok_or_else(too_much)?,
        });
        lines.push(Line {
            sku: sku.clone(),
            name: product.name.clone(),
            quantity: *quantity,
            unit_price: product.unit_price,
        });
    }
    let total = total.ok_or_else(Problem::internal)?;
    Ok(Order::place(wish.customer_id, lines, total, wish.payment_method.clone(), id_at(basis.now), basis.now))
}

/// An order's id: a UUIDv7 of the database's clock down to the microsecond (RFC 9562, section 6.2, method 3), so that the
/// order of ids is that of `created_at`.
fn id_at(now: DateTime<Utc>) -> OrderId {
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    let [.., b8, b9, b10, b11, b12, b13, b14, b15] = Uuid::new_v4().into_bytes();
    // 12 bits hold the thousandths of a millisecond; the others are random
    let micros = u16::try_from(now.timestamp_subsec_micros() % 1000).unwrap_or(0);
    let [high, low] = (micros * 4).to_be_bytes();
    OrderId(Builder::from_unix_timestamp_millis(millis, &[high, low, b8, b9, b10, b11, b12, b13, b14, b15]).into_uuid())
}

fn refused(kind: &'static str, title: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, kind, title, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_the_clock() {
        let start = DateTime::from_timestamp_micros(1_764_000_000_123_998).unwrap();
        let ids: Vec<OrderId> = (0..5).map(|micros| id_at(start + chrono::TimeDelta::microseconds(micros))).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        for id in ids {
            assert_eq!((id.0.get_version_num(), id.0.get_variant()), (7, uuid::Variant::RFC4122));
            let (seconds, nanos) = id.0.get_timestamp().unwrap().to_unix();
            assert_eq!((seconds, nanos / 1_000_000 - 123 <= 1), (1_764_000_000, true));
        }
    }
}
