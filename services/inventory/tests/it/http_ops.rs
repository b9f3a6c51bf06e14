//! `/v1/ops`

use axum::http::Method;
use contracts::values::{EventId, OrderId};
use serde_json::{Value, json};

use crate::support::{Call, Shop};

#[tokio::test]
async fn a_trace_tells_the_steps_of_an_order() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    let (order, rejected, early) = (OrderId::new(), OrderId::new(), OrderId::new());
    shop.created(order, &[("tea", 2)]).await;
    shop.confirmed(order).await;
    shop.cancelled(order).await;
    shop.created(rejected, &[("tea", 20)]).await;
    shop.cancelled(early).await;
    for (order, steps) in [
        (
            order,
            vec![
                ("reservation-held", "2 tea"),
                ("event", "inventory.reserved"),
                ("reservation-committed", "2 tea"),
                ("reservation-returned", "2 tea"),
            ],
        ),
        (rejected, vec![("reservation-rejected", "20 tea"), ("event", "inventory.rejected")]),
        (early, vec![("reservation-released", "the order was cancelled before it came here")]),
        (OrderId::new(), vec![]),
    ] {
        let trace = shop.get(&format!("/v1/ops/trace/{order}")).await;
        assert_eq!(trace.body["order_id"], json!(order));
        let items = trace.body["items"].as_array().unwrap();
        let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
        let seen: Vec<_> = items.iter().map(|item| (text(item, "kind"), text(item, "detail"))).collect();
        let expected: Vec<_> = steps.iter().map(|(kind, detail)| ((*kind).to_owned(), (*detail).to_owned())).collect();
        assert_eq!(seen, expected);
        assert!(items.iter().all(|item| (item["kind"] == "event") == item["event_id"].is_string()));
    }
    shop.close().await;
}

#[tokio::test]
async fn the_inbox_tells_what_took_effect() {
    let shop = Shop::open().await;
    let id = EventId::new();
    let path = format!("/v1/ops/inbox/{id}");
    assert_eq!(shop.get(&path).await.body, json!({"event_id": id, "state": "unknown"}));
    sqlx::query("insert into inbox (id) values ($1)").bind(id.0).execute(shop.pool()).await.unwrap();
    assert_eq!(shop.get(&path).await.body, json!({"event_id": id, "state": "done"}));
    shop.close().await;
}

#[tokio::test]
async fn an_answer_that_does_not_leave_is_stuck() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    let (late, returned, fresh) = (OrderId::new(), OrderId::new(), OrderId::new());
    for order in [late, returned, fresh] {
        shop.created(order, &[("tea", 1)]).await;
    }
    assert_eq!(shop.get("/v1/ops/stuck").await.body, json!({"items": []}));

    for statement in [
        "update event set time = time - interval '2 minutes' where subject = $1",
        "insert into set_aside (position, subject) select position, subject from event where subject = $1",
    ] {
        let order = if statement.starts_with("update") { late } else { returned };
        sqlx::query(statement).bind(order.to_string()).execute(shop.pool()).await.unwrap();
    }
    let stuck = shop.get("/v1/ops/stuck").await.body;
    let seen: Vec<_> = stuck["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["order_id"].clone(), item["waits_for"].as_str().unwrap(), item["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            (json!(returned), "queue", "no queue takes inventory.reserved"),
            (json!(late), "relay", "inventory.reserved is not published"),
        ]
    );
    shop.close().await;
}

#[tokio::test]
async fn operators_alone_may_ask() {
    let shop = Shop::open().await;
    for path in [
        format!("/v1/ops/trace/{}", OrderId::new()),
        format!("/v1/ops/inbox/{}", EventId::new()),
        "/v1/ops/stuck".to_owned(),
    ] {
        shop.send(Call::new(Method::GET, &path).anonymous()).await.is_problem(401, "unauthorized");
        shop.send(Call::new(Method::GET, &path).scope("inventory:read")).await.is_problem(403, "forbidden");
        shop.send(Call::new(Method::GET, &path).customer()).await.is_problem(403, "forbidden");
    }
    shop.get("/v1/ops/trace/7").await.is_problem(400, "invalid-path");
    shop.get("/v1/ops/inbox/7").await.is_problem(400, "invalid-path");
    shop.close().await;
}
