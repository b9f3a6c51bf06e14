//! Events as they travel: decoded, remembered in the inbox, retried.

use contracts::event::Service;
use contracts::order::{CancelReason, OrderCancelled, OrderConfirmed};
use contracts::values::{CustomerId, OrderId};
use inventory::handlers::subscriptions;
use messaging::harness::Harness;
use serde_json::json;

use crate::support::Shop;

/// A body as a producer would send it.
fn envelope(event: &str, version: u32, order: OrderId, data: serde_json::Value) -> Vec<u8> {
    let id = uuid::Uuid::now_v7();
    let envelope = json!({
        "specversion": "1.0", "id": id, "source": "/warren/order", "type": event,
        "dataschema": format!("urn:warren:{event}:{version}"), "subject": order, "sequence": "1",
        "time": "2026-01-01T00:00:00Z", "correlationid": "a request", "data": data,
    });
    envelope.to_string().into_bytes()
}

#[tokio::test]
async fn an_order_of_an_older_producer_is_held_and_each_event_takes_effect_once() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    let mut harness = Harness::new().with("inventory", subscriptions(), shop.database.clone());
    let order = OrderId::new();
    let created = envelope(
        "order.created",
        1,
        order,
        json!({
            "orderId": order, "userId": CustomerId::new(), "items": [{"productId": "tea", "quantity": 3, "price": 4.99}],
            "total": 4.99, "timestamp": "2026-01-01T00:00:00Z",
        }),
    );
    harness.publish_raw(&created);
    harness.publish_raw(&created);
    harness.settle().await;
    let outcomes: Vec<_> = harness.handled().iter().map(|handled| handled.outcome).collect();
    assert_eq!(outcomes, ["done", "duplicate"]);
    assert_eq!(shop.stock_of("tea").await, (10, 3));
    let published: Vec<_> = harness.published().iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(published, ["product.changed", "inventory.reserved"]);
    shop.close().await;
}

#[tokio::test]
async fn what_cannot_be_handled_becomes_a_dead_letter_of_its_kind() {
    let shop = Shop::open().await;
    let mut harness = Harness::new().with("inventory", subscriptions(), shop.database.clone());
    let order = OrderId::new();
    let total = json!({"amount": 1, "currency": "EUR"});
    let created = |lines| {
        json!({
            "order_id": order, "customer_id": CustomerId::new(), "lines": lines, "total": total,
            "payment_method": "sandbox:ok", "created_at": "2026-01-01T00:00:00Z",
        })
    };
    harness.publish_raw(&envelope("order.created", 3, order, created(json!([]))));
    harness.publish_raw(&envelope("order.created", 2, order, created(json!([{"sku": "tea"}]))));
    harness.publish_raw(&envelope("order.created", 2, order, created(json!([]))));
    let total = serde_json::from_value(total.clone()).unwrap();
    harness.publish(
        Service::Order,
        &OrderConfirmed { order_id: order, customer_id: CustomerId::new(), lines: vec![], total },
    );
    harness.settle().await;
    let outcomes: Vec<_> = harness.handled().iter().map(|handled| (handled.outcome, handled.attempts)).collect();
    assert_eq!(outcomes, [("unsupported-version", 6), ("malformed", 1), ("rejected", 1), ("transient-exhausted", 6)]);
    shop.close().await;
}

#[tokio::test]
async fn an_order_that_nobody_knows_is_let_go_again() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    let order = OrderId::new();
    shop.created(order, &[("tea", 3)]).await;
    let mut harness = Harness::new().with("inventory", subscriptions(), shop.database.clone());
    let cancelled = OrderCancelled { order_id: order, customer_id: None, reason: CancelReason::UnknownOrder };
    harness.publish(Service::Order, &cancelled);
    harness.settle().await;
    assert_eq!(shop.stock_of("tea").await, (10, 0));
    shop.close().await;
}
