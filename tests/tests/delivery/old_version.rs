//! The article's `order.created`, version 1, which older producers still send.

use end_to_end::broker::Message;
use end_to_end::shop::text;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use serde_json::{Value, json};

use crate::events::{event, id};

#[tokio::test]
async fn an_order_of_an_older_producer_is_held_and_let_go() {
    let system = System::start().await;
    system.sell("tea-500g", 1999, 10).await;
    system.sell("cup", 500, 10).await;
    let order_id = id();
    let items = json!([
        {"productId": "tea-500g", "quantity": 2, "price": 19.99},
        {"productId": "cup", "quantity": 1, "price": 5},
    ]);
    let data = json!({"orderId": order_id, "userId": id(), "items": items, "total": 24.99, "timestamp": "2026-01-15T10:30:00Z"});
    let created = event("order", "order.created", 1, &order_id, data);
    system.broker.publish("order.created", &[Message::event(&created)]).await;

    // Inventory holds it; `order` does not know the order and says so; inventory lets go.
    let path = format!("/v1/reservations/{order_id}");
    eventually("the reservation is released", PATIENCE, async || {
        let answer = system.inventory.api().get(&path).await;
        check(answer.status == 200 && answer.json()["state"] == "released", || answer.to_string())
    })
    .await;
    let movements = system.inventory.api().list("/v1/products/tea-500g/movements").await;
    let seen: Vec<Value> = movements
        .iter()
        .map(|movement| json!([movement["kind"], movement["reserved_delta"], movement["order_id"]]))
        .collect();
    assert_eq!(
        Value::from(seen),
        json!([["released", -2, order_id], ["reserved", 2, order_id], ["adjusted", 0, null]])
    );
    system.stock_reaches("tea-500g", 10, 0).await;
    system.stock_reaches("cup", 10, 0).await;

    let sql = format!(
        "select data->>'reason' as reason, data->>'customer_id' as customer from event where type = 'order.cancelled' and subject = '{order_id}'"
    );
    let rows = system.database("order").rows(&sql).await;
    let said: Vec<(String, Option<String>)> =
        rows.iter().map(|row| (sqlx::Row::get(row, "reason"), sqlx::Row::get(row, "customer"))).collect();
    assert_eq!(said, [("unknown-order".to_owned(), None)], "said once, and about nobody");
    system.order.api().get(&format!("/v1/orders/{order_id}")).await.problem(404, "not-found");
    let mails = system.email.api().list(&format!("/v1/emails?order_id={order_id}")).await;
    assert!(mails.is_empty(), "nobody is mailed about it: {mails:?}");
    let reserved = &system.inventory.api().get(&path).await.expect(200)["lines"];
    assert_eq!(
        reserved.as_array().map(|lines| lines.iter().map(|line| text(line, "sku")).collect::<Vec<_>>().len()),
        Some(2)
    );
    system.finish().await;
}
