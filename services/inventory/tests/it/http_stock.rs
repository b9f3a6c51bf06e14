//! `/v1/products/{sku}/stock`, `/v1/products/{sku}/movements`, `/v1/reservations`

use axum::http::Method;
use contracts::values::OrderId;
use serde_json::{Value, json};

use crate::support::{Call, Shop};

const STOCK: &str = "/v1/products/tea/stock";

#[tokio::test]
async fn stock_is_adjusted_within_what_is_promised() {
    let shop = Shop::open().await;
    shop.stock("tea", 0, None).await;
    let added = shop.post(STOCK, json!({"delta": 10, "reason": "delivery"})).await;
    assert_eq!((added.status.as_u16(), added.body), (200, json!({"on_hand": 10, "reserved": 0, "available": 10})));
    shop.created(OrderId::new(), &[("tea", 4)]).await;
    assert_eq!(shop.get(STOCK).await.body, json!({"on_hand": 10, "reserved": 4, "available": 6}));

    shop.post(STOCK, json!({"delta": -7, "reason": "lost"})).await.is_problem(409, "insufficient-stock");
    let taken = shop.post(STOCK, json!({"delta": -6, "reason": "lost"})).await;
    assert_eq!(taken.body, json!({"on_hand": 4, "reserved": 4, "available": 0}));
    assert_eq!(shop.get("/v1/products/tea").await.body["stock"], taken.body);
    shop.close().await;
}

#[tokio::test]
async fn adjustments_are_checked() {
    let shop = Shop::open().await;
    shop.stock("tea", 0, None).await;
    for (body, pointers) in [
        (json!({"delta": 0, "reason": "x"}), vec!["/delta"]),
        (json!({"delta": 1_000_000_001, "reason": "x"}), vec!["/delta"]),
        (json!({"delta": -1_000_000_001, "reason": ""}), vec!["/delta", "/reason"]),
        (json!({"delta": i64::MIN, "reason": "x"}), vec!["/delta"]),
        (json!({"delta": 1.5, "reason": "x"}), vec!["/delta"]),
        (json!({"delta": "1", "reason": "x"}), vec!["/delta"]),
        (json!({"delta": 1, "reason": "x".repeat(201)}), vec!["/reason"]),
        (json!({"delta": 1, "reason": "x\u{7}"}), vec!["/reason"]),
        (json!({"delta": 1, "reason": "x", "sku": "tea"}), vec!["/sku"]),
    ] {
        let answer = shop.post(STOCK, body.clone()).await;
        answer.is_problem(422, "invalid-body");
        assert_eq!(answer.pointers(), pointers, "{body}");
    }
    let good = json!({"delta": 1, "reason": "x"});
    shop.post("/v1/products/pot/stock", good.clone()).await.is_problem(404, "not-found");
    shop.get("/v1/products/pot/stock").await.is_problem(404, "not-found");
    shop.get("/v1/products/pot/movements").await.is_problem(404, "not-found");

    sqlx::query("update product set on_hand = 9007199254740990").execute(shop.pool()).await.unwrap();
    assert_eq!(shop.post(STOCK, good.clone()).await.status, 200);
    let answer = shop.post(STOCK, good).await;
    answer.is_problem(422, "invalid-body");
    assert_eq!(answer.pointers(), ["/delta"]);
}

#[tokio::test]
async fn an_adjustment_sent_twice_is_made_once() {
    let shop = Shop::open().await;
    shop.stock("tea", 0, None).await;
    let send = |key: &str, delta: i64| {
        let call = Call::new(Method::POST, STOCK).json(json!({"delta": delta, "reason": "delivery"}));
        shop.send(call.header("idempotency-key", key))
    };
    // An error is not kept: the same key may succeed later.
    send("a", -3).await.is_problem(409, "insufficient-stock");
    let first = send("a", 3).await;
    let again = send("a", 3).await;
    assert_eq!((again.status, &again.body, again.header("idempotent-replayed")), (first.status, &first.body, "true"));
    assert_eq!(first.header("idempotent-replayed"), "");
    send("a", 4).await.is_problem(422, "idempotency-key-reused");
    send("b", 4).await;
    assert_eq!(shop.stock_of("tea").await, (7, 0));
    send(&"x".repeat(256), 1).await.is_problem(400, "invalid-header");

    let (one, other) = tokio::join!(send("c", 1), send("c", 1));
    for answer in [one, other] {
        if answer.status != 200 {
            answer.is_problem(409, "idempotency-key-in-use");
        }
    }
    assert_eq!(shop.stock_of("tea").await, (8, 0));
    shop.close().await;
}

#[tokio::test]
async fn an_adjustment_can_run_low_too() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, Some(5)).await;
    for (delta, told) in [(-5, 0), (-1, 1), (-1, 1), (1, 1), (1, 1), (-1, 2)] {
        assert_eq!(shop.post(STOCK, json!({"delta": delta, "reason": "count"})).await.status, 200);
        assert_eq!(shop.types_of("tea/low").await.len(), told, "after {delta}");
    }
    shop.close().await;
}

#[tokio::test]
async fn the_ledger_is_read_newest_first() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    shop.stock("cup", 10, None).await;
    let (kept, cancelled) = (OrderId::new(), OrderId::new());
    shop.created(kept, &[("tea", 2), ("cup", 1)]).await;
    shop.created(cancelled, &[("tea", 3)]).await;
    shop.cancelled(cancelled).await;
    shop.confirmed(kept).await;
    shop.cancelled(kept).await;

    let mut rows: Vec<Value> = Vec::new();
    let mut path = "/v1/products/tea/movements?limit=2".to_owned();
    loop {
        let page = shop.get(&path).await;
        rows.extend(page.body["items"].as_array().unwrap().clone());
        match page.body["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/products/tea/movements?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    let seen: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["kind"].as_str().unwrap(),
                row["on_hand_delta"].as_i64().unwrap(),
                row["reserved_delta"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("returned", 2, 0),
            ("committed", -2, -2),
            ("released", 0, -3),
            ("reserved", 0, 3),
            ("reserved", 0, 2),
            ("adjusted", 10, 0)
        ]
    );
    assert_eq!((&rows[0]["order_id"], rows[0].get("reason")), (&json!(kept), None));
    assert_eq!((rows[5].get("order_id"), &rows[5]["reason"]), (None, &json!("start")));
    assert!(rows.iter().all(|row| row["id"].is_string() && row["at"].is_string()));

    // A cursor belongs to its list.
    let first = shop.get("/v1/products/tea/movements?limit=1").await;
    let cursor = first.body["next_cursor"].as_str().unwrap();
    shop.get(&format!("/v1/products/cup/movements?cursor={cursor}")).await.is_problem(400, "invalid-cursor");
    shop.close().await;
}

#[tokio::test]
async fn reservations_are_shown() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    let (order, rejected, early) = (OrderId::new(), OrderId::new(), OrderId::new());
    let path = |order: OrderId| format!("/v1/reservations/{order}");
    shop.get(&path(order)).await.is_problem(404, "not-found");
    shop.created(order, &[("tea", 2)]).await;
    let held = shop.get(&path(order)).await;
    assert_eq!(held.status, 200);
    assert_eq!((&held.body["order_id"], &held.body["state"]), (&json!(order), &json!("held")));
    assert_eq!(held.body["lines"], json!([{"sku": "tea", "quantity": 2}]));
    shop.confirmed(order).await;
    assert_eq!(shop.get(&path(order)).await.body["state"], "committed");
    shop.cancelled(order).await;
    let returned = shop.get(&path(order)).await;
    assert_eq!(returned.body["state"], "returned");
    assert!(returned.body["updated_at"].as_str() > held.body["updated_at"].as_str());

    shop.created(rejected, &[("tea", 20)]).await;
    shop.get(&path(rejected)).await.is_problem(404, "not-found");
    shop.cancelled(early).await;
    let marker = shop.get(&path(early)).await.body;
    assert_eq!((&marker["state"], &marker["lines"]), (&json!("released"), &json!([])));
    shop.get("/v1/reservations/7").await.is_problem(400, "invalid-path");
    shop.close().await;
}

#[tokio::test]
async fn customers_do_not_see_the_stockroom() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    let order = OrderId::new();
    for path in ["/v1/products/tea/movements".to_owned(), format!("/v1/reservations/{order}")] {
        shop.send(Call::new(Method::GET, &path).customer()).await.is_problem(403, "forbidden");
        shop.send(Call::new(Method::GET, &path).anonymous()).await.is_problem(401, "unauthorized");
        shop.send(Call::new(Method::GET, &path).scope("inventory:write")).await.is_problem(403, "forbidden");
    }
    let adjust = || Call::new(Method::POST, STOCK).json(json!({"delta": 1, "reason": "x"}));
    shop.send(adjust().customer()).await.is_problem(403, "forbidden");
    shop.send(adjust().scope("inventory:read")).await.is_problem(403, "forbidden");
    shop.close().await;
}
