//! Messages that come twice, late, or in the wrong order.

use end_to_end::broker::Message;
use end_to_end::shop::{QUIET, text};
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually, stays};
use serde_json::json;

use crate::events::{event, id, order_cancelled, order_created};

#[tokio::test]
async fn what_comes_again_has_no_second_effect() {
    let system = System::start().await;
    system.sell("tea", 100, 100).await;
    let customer = system.customer().await;
    let order = system.place(&customer, &[("tea", 3)]).await;
    let id = text(&order, "id");
    system.settled(id).await;
    system.mails_told(&format!("order_id={id}"), 1).await;
    system.stock_reaches("tea", 97, 0).await;
    for event in system.history(id).await {
        let copies = vec![Message::event(&event); 5];
        match text(&event, "type") {
            "order.created" | "order.confirmed" => system.broker.publish(text(&event, "type"), &copies).await,
            _ => continue,
        }
    }
    stays("the stock after every message came six times", QUIET, async || {
        let stock = system.stock("tea").await;
        check(stock == json!({"on_hand": 97, "reserved": 0, "available": 97}), || stock.to_string())
    })
    .await;
    assert_eq!(system.history(id).await.len(), 4);
    system.finish().await;
}

#[tokio::test]
async fn a_cancellation_that_comes_first_is_remembered() {
    let system = System::start().await;
    system.sell("tea", 100, 100).await;
    let order_id = id();
    let cancelled = order_cancelled(&order_id);
    system.broker.publish("order.cancelled", &[Message::event(&cancelled)]).await;
    let settled = async |what: &str, event_id: &str| {
        eventually(what, PATIENCE, async || {
            let inbox = system.inventory.api().get(&format!("/v1/ops/inbox/{event_id}")).await.expect(200);
            check(inbox["state"] == "done", || inbox.to_string())
        })
        .await;
    };
    settled("inventory has heard of the cancellation", text(&cancelled, "id")).await;
    let created = order_created(&order_id, &[("tea", 7)]);
    system.broker.publish("order.created", &[Message::event(&created)]).await;
    settled("inventory has heard of the order", text(&created, "id")).await;
    let kinds = system.inventory.api().list("/v1/products/tea/movements").await;
    assert_eq!(kinds.len(), 1, "nothing was held for a cancelled order: {kinds:?}");
    system.finish().await;
}

#[tokio::test]
async fn an_older_price_does_not_come_back() {
    let system = System::start().await;
    system.sell("tea", 100, 100).await;
    system.define("tea", &end_to_end::shop::product("Tea", 250)).await;
    let customer = system.customer().await;
    let data = json!({"sku": "tea", "name": "Old tea", "unit_price": {"amount": 1, "currency": "EUR"}, "active": true});
    let stale = event("inventory", "product.changed", 1, "tea", data);
    system.broker.publish("product.changed", &[Message::event(&stale)]).await;
    eventually("order has heard of it", PATIENCE, async || {
        let inbox = system.order.api().get(&format!("/v1/ops/inbox/{}", text(&stale, "id"))).await.expect(200);
        check(inbox["state"] == "done", || inbox.to_string())
    })
    .await;
    let order = system.place(&customer, &[("tea", 2)]).await;
    assert_eq!(order["total"]["amount"], 500, "sequence 1 is older than what is known");
    system.finish().await;
}

#[tokio::test]
async fn answers_about_orders_that_are_over_change_nothing() {
    let system = System::start().await;
    system.sell("tea", 100, 100).await;
    let customer = system.customer().await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    let order_id = text(&order, "id");
    let confirmed = system.settled(order_id).await;
    for (event_type, data) in [
        ("inventory.reserved", json!({"order_id": order_id})),
        (
            "inventory.rejected",
            json!({"order_id": order_id, "short": [{"sku": "tea", "requested": 1, "available": 0}]}),
        ),
    ] {
        let late = event("inventory", event_type, 1, order_id, data);
        system.broker.publish(event_type, &[Message::event(&late)]).await;
        eventually("order has heard of it", PATIENCE, async || {
            let inbox = system.order.api().get(&format!("/v1/ops/inbox/{}", text(&late, "id"))).await.expect(200);
            check(inbox["state"] == "done", || inbox.to_string())
        })
        .await;
    }
    assert_eq!(system.show(order_id).await, confirmed);
    system.finish().await;
}
