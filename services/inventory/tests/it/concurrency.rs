//! Several writers at once: nothing deadlocks, nothing is oversold.

use std::sync::Arc;

use contracts::values::OrderId;
use messaging::handler::HandlerError;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Batch, Shop};

const SKUS: [&str; 4] = ["a", "b", "c", "d"];

/// Batches of orders over the same few skus, their lines in all orders, beside people who adjust the same stock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_the_same_skus_neither_deadlock_nor_oversell() {
    let shop = Arc::new(Shop::open().await);
    for sku in SKUS {
        shop.stock(sku, 150, Some(20)).await;
    }
    let mut writers = JoinSet::new();
    for writer in 0..4_usize {
        let shop = Arc::clone(&shop);
        writers.spawn(async move {
            for round in 0..10 {
                let orders: Vec<OrderId> = (0..8).map(|_| OrderId::new()).collect();
                let mut created = Batch::default();
                for (n, order) in orders.iter().enumerate() {
                    let first = (writer + round + n) % SKUS.len();
                    let second = (first + 1 + n % 3) % SKUS.len();
                    created = created.created(*order, &[(SKUS[first], 2), (SKUS[second], 1)]);
                }
                shop.handle(&created).await.expect("no deadlock");
                let mut ended = Batch::default();
                for (n, order) in orders.iter().enumerate().rev() {
                    ended = if n % 2 == 0 { ended.confirmed(*order) } else { ended.cancelled(*order) };
                }
                shop.handle(&ended).await.expect("no deadlock");
                let path = format!("/v1/products/{}/stock", SKUS[round % SKUS.len()]);
                let adjusted = shop.post(&path, json!({"delta": -1, "reason": "lost"})).await;
                assert!([200, 409].contains(&adjusted.status.as_u16()));
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.expect("a writer");
    }
    let held: i64 = sqlx::query_scalar("select count(*) from reservation where state = 'held'")
        .fetch_one(shop.pool())
        .await
        .unwrap();
    assert_eq!(held, 0);
    Arc::into_inner(shop).expect("all writers are gone").close().await;
}

/// An order and its cancellation at the same time, in either order, end without anything held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_and_its_cancellation_may_race() {
    let shop = Shop::open().await;
    shop.stock("a", 1000, None).await;
    for _ in 0..50 {
        let order = OrderId::new();
        let created = Batch::default().created(order, &[("a", 3)]);
        let cancelled = Batch::default().cancelled(order);
        let (held, released) = tokio::join!(shop.handle(&created), shop.handle(&cancelled));
        held.expect("held, or found cancelled");
        released.expect("released, or marked");
        assert_eq!(shop.state_of(order).await.as_deref(), Some("released"));
    }
    assert_eq!(shop.stock_of("a").await, (1000, 0));
    shop.close().await;
}

/// The last piece goes to one of those who want it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_piece_is_sold_once() {
    let shop = Arc::new(Shop::open().await);
    shop.stock("a", 1, None).await;
    let mut buyers = JoinSet::new();
    for _ in 0..8 {
        let shop = Arc::clone(&shop);
        buyers.spawn(async move { shop.handle(&Batch::default().created(OrderId::new(), &[("a", 1)])).await });
    }
    let results: Vec<Result<(), HandlerError>> = buyers.join_all().await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(shop.stock_of("a").await, (1, 1));
    let rejected: i64 = sqlx::query_scalar("select count(*) from event where type = 'inventory.rejected'")
        .fetch_one(shop.pool())
        .await
        .unwrap();
    assert_eq!(rejected, 7);
    Arc::into_inner(shop).expect("all buyers are gone").close().await;
}
