//! Whether stock adds up: what confirmed orders took is gone, and nothing stays reserved.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::time::sleep;

use super::plan::sku;
use super::settle::Seen;
use crate::client::Client;
use crate::client::error::CallError;

/// The pause between two looks: each reads all products of the load.
const PAUSE: Duration = Duration::from_millis(500);

/// How long reservations of what was ordered before this load may take to be committed.
const REST: Duration = Duration::from_secs(30);

/// A product, as far as a load looks at it.
#[derive(Debug, Deserialize)]
pub(super) struct Product {
    pub(super) sku: String,
    pub(super) active: bool,
    pub(super) stock: Stock,
}

/// Its stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Stock {
    pub(super) on_hand: i64,
    pub(super) reserved: i64,
    pub(super) available: i64,
}

/// The stock of each product of the load.
pub(super) type Stocks = BTreeMap<String, Stock>;

/// Reads the stock when nothing of it is reserved any more; after half a minute, as it is then.
///
/// # Errors
/// When inventory cannot be reached, or refuses.
pub(super) async fn at_rest(inventory: &Client, skus: u32) -> Result<Stocks, CallError> {
    let give_up = Instant::now() + REST;
    loop {
        let stocks = read(inventory, skus).await?;
        if stocks.values().all(|stock| stock.reserved == 0) || Instant::now() > give_up {
            return Ok(stocks);
        }
        sleep(PAUSE).await;
    }
}

/// Waits until the stock is what the orders make of `before`. Returns the differences that are left at
/// the deadline, or that it could not be read.
///
/// # Errors
/// When inventory refuses.
pub(super) async fn settled(
    inventory: &Client,
    skus: u32,
    before: &Stocks,
    orders: &[Seen],
    deadline: Instant,
) -> Result<Vec<String>, CallError> {
    let expected = expected(before, orders);
    loop {
        match read(inventory, skus).await {
            Ok(stocks) => {
                let differences = differences(&expected, &stocks);
                if differences.is_empty() || Instant::now() > deadline {
                    return Ok(differences);
                }
            }
            Err(error) if error.may_pass() && Instant::now() < deadline => {}
            // the other findings are worth telling all the same
            Err(error) if error.may_pass() => return Ok(vec![error.to_string()]),
            Err(error) => return Err(error),
        }
        sleep(PAUSE).await;
    }
}

async fn read(inventory: &Client, skus: u32) -> Result<Stocks, CallError> {
    let products: Vec<Product> = inventory.all("/v1/products", &[]).await?;
    let ours: std::collections::BTreeSet<String> = (0..skus).map(sku).collect();
    Ok(products
        .into_iter()
        .filter(|product| ours.contains(&product.sku))
        .map(|product| (product.sku, product.stock))
        .collect())
}

/// What is to be there when all is settled: a cancelled order leaves no trace.
fn expected(before: &Stocks, orders: &[Seen]) -> Stocks {
    let mut stocks = before.clone();
    for line in orders.iter().filter(|order| order.status == "confirmed").flat_map(|order| &order.lines) {
        if let Some(stock) = stocks.get_mut(&line.sku) {
            stock.on_hand -= line.quantity;
            stock.available -= line.quantity;
        }
    }
    stocks
}

fn differences(expected: &Stocks, found: &Stocks) -> Vec<String> {
    let differs = |sku: &String, want: &Stock| match found.get(sku) {
        Some(have) if have == want => None,
        Some(have) => Some(format!(
            "{sku}: {} on hand and {} reserved, should be {} and {}",
            have.on_hand, have.reserved, want.on_hand, want.reserved
        )),
        None => Some(format!("{sku}: does not exist any more")),
    };
    expected.iter().filter_map(|(sku, want)| differs(sku, want)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stocks(on_hand: i64, reserved: i64) -> Stocks {
        BTreeMap::from([("load-0001".to_owned(), Stock { on_hand, reserved, available: on_hand - reserved })])
    }

    fn order(status: &str) -> Seen {
        let json = format!(
            r#"{{"id":"0199c2b0-5a3e-7c11-9d51-2f4b8a6e0c77","customer_id":"0199c2b0-5a3e-7c11-9d51-2f4b8a6e0c77","status":"{status}",
            "lines":[{{"sku":"load-0001","quantity":2}}],"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z"}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn confirmed_orders_take_and_cancelled_ones_do_not() {
        let expected = expected(&stocks(10, 0), &[order("confirmed"), order("cancelled"), order("confirmed")]);
        assert_eq!(expected, stocks(6, 0));
        assert!(differences(&expected, &stocks(6, 0)).is_empty());
        assert_eq!(differences(&expected, &stocks(6, 2)), ["load-0001: 6 on hand and 2 reserved, should be 6 and 0"]);
        assert_eq!(differences(&expected, &Stocks::new()), ["load-0001: does not exist any more"]);
    }
}
