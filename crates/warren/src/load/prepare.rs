//! What must be there before the clock starts: products with stock, customers, and proof that orders go through.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::bail;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::plan::{self, Shape, sku};
use super::settle::is_final;
use super::stock::Product;
use crate::client::Client;
use crate::client::error::CallError;

/// Requests at once while preparing.
const AT_ONCE: usize = 8;

/// The pieces that a product gets when it has too few. It lasts for many runs.
const PIECES: i64 = 1_000_000;

/// The most lines that one order may have.
const MAX_LINES: u32 = 100;

const PAUSE: Duration = Duration::from_millis(200);

/// Makes the products that are missing or inactive, and stocks those that could run out.
///
/// # Errors
/// When inventory cannot be reached, or refuses.
pub(super) async fn products(inventory: &Client, shape: &Shape) -> Result<(), CallError> {
    let all: Vec<Product> = inventory.all("/v1/products", &[]).await?;
    let there: BTreeMap<String, Product> = all.into_iter().map(|product| (product.sku.clone(), product)).collect();
    // each order could want the same product, and the warm-up wants one of each
    let needed = i64::from(shape.orders) + 1;
    let products = (0..shape.skus).map(|number| {
        let sku = sku(number);
        let known = there.get(&sku);
        async move {
            let active = known.is_some_and(|product| product.active);
            if !active {
                inventory.put(&format!("/v1/products/{sku}"), &product(number)).await?;
            }
            if known.is_none_or(|product| product.stock.available < needed) {
                let stock = json!({"delta": PIECES.max(needed), "reason": "warren load"});
                inventory.post(&format!("/v1/products/{sku}/stock"), &stock).await?;
            }
            Ok(())
        }
    });
    stream::iter(products).buffer_unordered(AT_ONCE).try_collect().await
}

fn product(number: u32) -> Value {
    json!({
        "name": format!("Load {}", number + 1),
        "unit_price": {"amount": 100 + number, "currency": "EUR"},
        "active": true,
    })
}

#[derive(Deserialize)]
struct Created {
    id: Uuid,
}

/// Makes the customers of this run.
///
/// # Errors
/// When order cannot be reached, or refuses.
pub(super) async fn customers(order: &Client, run: &str, count: u32) -> Result<Vec<Uuid>, CallError> {
    let customers = (1..=count).map(|number| customer(order, run, number));
    stream::iter(customers).buffered(AT_ONCE).try_collect().await
}

async fn customer(order: &Client, run: &str, number: u32) -> Result<Uuid, CallError> {
    let body = json!({"name": format!("Load {number}"), "email": format!("load-{run}-{number}@example.com")});
    Ok(order.post("/v1/customers", &body).await?.read::<Created>()?.id)
}

/// Orders each product once and waits until that is final: then order knows all prices, and the whole way is open.
///
/// # Errors
/// When an order is refused, or does not become final within `limit`.
pub(super) async fn warm_up(order: &Client, run: &str, shape: &Shape, limit: Duration) -> anyhow::Result<()> {
    let give_up = Instant::now() + limit;
    // number 0 is not among the customers of the run, so these orders are not counted
    let customer = customer(order, run, 0).await?;
    let mut ids = Vec::new();
    for first in (0..shape.skus).step_by(MAX_LINES as usize) {
        let skus = first..shape.skus.min(first + MAX_LINES);
        let body: Value = serde_json::from_slice(&plan::body(&customer, skus, &shape.payment))?;
        ids.push(place(order, &body, give_up).await?);
    }
    for id in ids {
        while !is_final(&order.get(&format!("/v1/orders/{id}"), &[]).await?.read::<Status>()?.status) {
            if Instant::now() > give_up {
                bail!(
                    "the first orders do not become final: `warren order watch {id}` shows how far one came; do inventory and the broker run?"
                );
            }
            sleep(PAUSE).await;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Status {
    status: String,
}

/// Places an order as soon as the news of its products have reached the order service.
async fn place(order: &Client, body: &Value, give_up: Instant) -> anyhow::Result<Uuid> {
    loop {
        match order.post("/v1/orders", body).await {
            Ok(answer) => return Ok(answer.read::<Created>()?.id),
            Err(error) => match error.problem().map(|problem| problem.kind()) {
                Some("unknown-sku") if Instant::now() < give_up => sleep(PAUSE).await,
                Some("unknown-sku") => bail!(
                    "{error}\n  the order service does not learn of the products; do inventory and the broker run?"
                ),
                _ => return Err(error.into()),
            },
        }
    }
}
