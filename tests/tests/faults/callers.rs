//! Callers that go away in the middle of their requests.

use std::time::Duration;

use end_to_end::infrastructure::beside_others;
use end_to_end::shop::{order_of, text};
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

/// How many requests are broken off, and how many are made at a time.
const BROKEN_OFF: (usize, usize) = (1000, 32);

/// Every so many requests is an order.
const ORDERS: usize = 5;

#[tokio::test]
async fn a_thousand_callers_that_go_away_leave_nothing_half_done() {
    let _beside = beside_others().await;
    let system = System::start().await;
    system.sell("tea", 100, 10_000).await;
    let customer = system.customer().await;
    let (order, inventory) = (system.order.api(), system.inventory.api());
    let body = order_of(&customer.id, &[("tea", 1)], "sandbox:ok");
    let path = format!("/v1/customers/{}", customer.id);
    let keys: Vec<String> = (0..BROKEN_OFF.0 / ORDERS).map(|_| Uuid::new_v4().to_string()).collect();
    let place = |key: &str| order.call(Method::POST, "/v1/orders").header("idempotency-key", key).json(&body);
    let broken_off = stream::iter(0..20 * BROKEN_OFF.0)
        .map(|index| {
            let call = match index % ORDERS {
                0 => place(&keys[index / ORDERS % keys.len()]),
                1 => order.call(Method::PATCH, &path).json(&json!({"name": format!("Ada {index}")})),
                2 => order.call(Method::GET, &path),
                3 => {
                    inventory.call(Method::POST, "/v1/products/tea/stock").json(&json!({"delta": 1, "reason": "found"}))
                }
                _ => order.call(Method::GET, "/v1/orders"),
            };
            // From before the request is read until about when it would be answered.
            let patience = Duration::from_micros(200 + 150 * (index as u64 * 7919 % 400));
            timeout(patience, call.try_send())
        })
        .buffer_unordered(BROKEN_OFF.1)
        .filter(|answer| std::future::ready(answer.is_err()))
        .take(BROKEN_OFF.0)
        .count()
        .await;
    assert_eq!(broken_off, BROKEN_OFF.0, "of twenty times as many");

    for name in ["order", "inventory"] {
        eventually(&format!("no connection of {name} is left in a transaction"), PATIENCE, async || {
            let sql = "select 1 from pg_stat_activity
                       where datname = current_database() and state like 'idle in transaction%'
                         and state_change < now() - interval '1 second'";
            let left = system.database(name).rows(sql).await.len();
            check(left == 0, || format!("{left} are"))
        })
        .await;
    }
    // Whoever comes back is told of the one order that he has, or gets it now.
    let mut placed = Vec::new();
    for key in &keys {
        let order = eventually("an order is taken", PATIENCE, async || {
            let answer = place(key).try_send().await?;
            if answer.status == 201 { Ok(answer.json()) } else { Err(answer.to_string()) }
        })
        .await;
        placed.push(text(&order, "id").to_owned());
    }
    let mut there: Vec<String> =
        order.list("/v1/orders").await.iter().map(|order| text(order, "id").to_owned()).collect();
    placed.sort_unstable();
    there.sort_unstable();
    assert_eq!(placed, there, "one order for each key, and no other");
    for id in &placed {
        assert_eq!(text(&system.settled(id).await, "status"), "confirmed");
    }
    system.finish().await;
}
