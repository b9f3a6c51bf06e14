//! `/v1/ops`

use axum::http::StatusCode;
use contracts::values::{EventId, OrderId};
use order::order::{PaymentStatus, Status};
use serde_json::{Value, json};
use uuid::{NoContext, Timestamp, Uuid};

use crate::shop::{Shop, bearer, own_token};

async fn nudge(shop: &Shop, id: OrderId) -> Value {
    let (status, body) = shop.call("POST", &format!("/v1/ops/orders/{id}/nudge"), &[], None).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    assert_eq!(body["order_id"], json!(id));
    body["waits_for"].clone()
}

#[tokio::test]
async fn a_trace_tells_what_happened_and_how_the_payments_stand() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:ok").await;
    shop.payments.step().await.unwrap();
    let trace = shop.get(&format!("/v1/ops/trace/{id}")).await;
    assert_eq!(trace["order_id"], json!(id));
    let items = trace["items"].as_array().unwrap();
    let seen: Vec<&str> =
        items.iter().filter(|item| item["kind"] == "event").map(|item| item["detail"].as_str().unwrap()).collect();
    assert_eq!(seen, shop.history(id).await);
    assert!(items.iter().all(|item| (item["kind"] == "event") == item["event_id"].is_string()));
    assert!(items.is_sorted_by_key(|item| item["at"].as_str().unwrap().to_owned()));
    let payment = items.iter().find(|item| item["kind"] == "payment").unwrap()["detail"].as_str().unwrap();
    assert!(payment.starts_with("sandbox:ok ") && payment.ends_with(": completed, attempts 1"), "{payment}");
    assert_eq!(shop.get(&format!("/v1/ops/trace/{}", OrderId::new())).await["items"], json!([]));
}

#[tokio::test]
async fn the_inbox_tells_what_took_effect() {
    let mut shop = Shop::open().await;
    shop.reserved_order("sandbox:ok").await;
    let done = shop.harness.handled().last().unwrap().id;
    for (id, state) in [(done, "done"), (EventId::new(), "unknown")] {
        assert_eq!(shop.get(&format!("/v1/ops/inbox/{id}")).await, json!({"event_id": id, "state": state}));
    }
}

/// Makes a pending order older than it is. Its id tells its age.
async fn age(shop: &Shop, id: OrderId) -> OrderId {
    let seconds = u64::try_from(chrono::Utc::now().timestamp()).unwrap() - 120;
    let old = OrderId(Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, 0)));
    let order = sqlx::query("update orders set id = $2, created_at = now() - interval '2 minutes' where id = $1");
    order.bind(id.0).bind(old.0).execute(shop.pool()).await.unwrap();
    let events = sqlx::query("update event set subject = $2, time = now() - interval '2 minutes' where subject = $1");
    events.bind(id.to_string()).bind(old.to_string()).execute(shop.pool()).await.unwrap();
    old
}

#[tokio::test]
async fn who_waits_too_long_is_stuck_and_it_is_said_why() {
    let mut shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let unpublished = age(&shop, shop.place(&customer, "sandbox:ok").await).await;
    let stuck = async |shop: &Shop| {
        let stuck = shop.get("/v1/ops/stuck").await;
        let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
        let item = |item: &Value| (text(item, "order_id"), text(item, "waits_for"), text(item, "reason"));
        stuck["items"].as_array().unwrap().iter().map(item).collect::<Vec<_>>()
    };
    let expected =
        |id: OrderId, waits_for: &str, reason: &str| (id.to_string(), waits_for.to_owned(), reason.to_owned());
    let why = "order.created is not published";
    assert_eq!(stuck(&shop).await, [expected(unpublished, "inventory", why)]);

    shop.publish_all().await;
    let why = "order.created is published, and inventory has not answered";
    assert_eq!(stuck(&shop).await, [expected(unpublished, "inventory", why)]);
    shop.execute(
        "insert into set_aside (position, subject) select position, subject from event where type = 'order.created'",
    )
    .await;
    assert_eq!(stuck(&shop).await, [expected(unpublished, "inventory", "no queue takes order.created")]);
    shop.execute("delete from set_aside").await;
    shop.reserved(unpublished).await;
    shop.publish_all().await;
    assert_eq!(stuck(&shop).await, [], "it got on");

    shop.execute("update payment set waits_since = now() - interval '2 minutes'").await;
    let why = "the provider has not charged it: due, attempts 0";
    assert_eq!(stuck(&shop).await, [expected(unpublished, "payment", why)]);
    shop.payments.step().await.unwrap();
    shop.cancel(unpublished).await;
    shop.publish_all().await;
    shop.execute("update payment set waits_since = now() - interval '2 minutes'").await;
    let why = "the provider has not given the money back: refund-due, attempts 0";
    assert_eq!(stuck(&shop).await, [expected(unpublished, "refund", why)]);
    shop.payments.step().await.unwrap();
    shop.publish_all().await;

    let manual = shop.reserved_order("sandbox:manual").await;
    shop.payments.step().await.unwrap();
    shop.execute("update payment set waits_since = now() - interval '14 minutes' where state = 'waiting'").await;
    assert_eq!(stuck(&shop).await, [], "it has its time");
    shop.execute("update payment set waits_since = now() - interval '17 minutes' where state = 'waiting'").await;
    let why = "the provider has not told the result: waiting, attempts 1";
    assert_eq!(stuck(&shop).await, [expected(manual, "payment", why)]);
}

#[tokio::test]
async fn an_end_that_others_are_not_told_is_stuck_too() {
    let mut shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let id = shop.place(&customer, "sandbox:ok").await;
    shop.rejected(id).await;
    shop.execute("update event set time = now() - interval '2 minutes'").await;
    let item = |waits_for: &str, reason: &str| (json!(id), json!(waits_for), json!(reason));
    let first = async || {
        let stuck = shop.get("/v1/ops/stuck").await;
        assert_eq!(stuck["items"].as_array().unwrap().len(), 1, "customers are no orders: {stuck}");
        let first = &stuck["items"][0];
        (first["order_id"].clone(), first["waits_for"].clone(), first["reason"].clone())
    };
    assert_eq!(first().await, item("relay", "order.created is not published"));
    shop.publish_all().await;
    shop.execute("insert into set_aside select position, subject, now() - interval '2 minutes' from event where type = 'order.cancelled'").await;
    assert_eq!(first().await, item("queue", "no queue takes order.cancelled"));
}

#[tokio::test]
async fn a_nudge_publishes_an_order_again_that_inventory_has_not_answered_about() {
    let shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let id = shop.place(&customer, "sandbox:ok").await;
    let again = "select count(*) from set_aside s join event e using (position) where e.type = 'order.created'";
    assert_eq!((nudge(&shop, id).await, shop.count(again).await), (json!("inventory"), 0), "it comes to that yet");
    shop.publish_all().await;
    for _ in 0..2 {
        assert_eq!((nudge(&shop, id).await, shop.count(again).await), (json!("inventory"), 1));
    }
    assert_eq!(shop.history(id).await, ["order.created"], "the same event, not another");
}

#[tokio::test]
async fn a_nudge_asks_the_provider_at_once() {
    let mut shop = Shop::open().await;
    let far = "update payment set next_at = now() + interval '1 hour'";
    let id = shop.reserved_order("sandbox:ok").await;
    shop.execute(far).await;
    assert_eq!(shop.payments.step().await.unwrap(), 0);
    assert_eq!(nudge(&shop, id).await, json!("payment"));
    assert_eq!(shop.payments.step().await.unwrap(), 1);
    assert_eq!((shop.order(id).await.status, nudge(&shop, id).await), (Status::Confirmed, Value::Null));
    let before = shop.history(id).await;

    shop.cancel(id).await;
    shop.execute(far).await;
    assert_eq!(nudge(&shop, id).await, json!("refund"));
    shop.payments.step().await.unwrap();
    assert_eq!(shop.order(id).await.payment.status, PaymentStatus::Refunded);
    assert_eq!((nudge(&shop, id).await, shop.payments.step().await.unwrap()), (Value::Null, 0));
    assert_eq!(shop.history(id).await.len(), before.len() + 2);

    let manual = shop.reserved_order("sandbox:manual").await;
    shop.payments.step().await.unwrap();
    assert_eq!(shop.payments.step().await.unwrap(), 0, "somebody else tells the result");
    assert_eq!(nudge(&shop, manual).await, json!("payment"));
    assert_eq!(shop.payments.step().await.unwrap(), 1, "unless one asks");
    assert_eq!(shop.payment_states(manual).await, ["waiting"]);
}

#[tokio::test]
async fn a_nudge_is_a_request_like_others() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:manual").await;
    let path = format!("/v1/ops/orders/{id}/nudge");
    let key = [("idempotency-key", "key-1")];
    let (status, first) = shop.call("POST", &path, &key, None).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (_, headers, again) = shop.call_raw("POST", &path, &key, None).await;
    assert_eq!((&headers["idempotent-replayed"], again), (&"true".parse().unwrap(), first));
    let unknown = format!("/v1/ops/orders/{}/nudge", OrderId::new());
    for (path, headers, body, expected) in [
        (unknown.as_str(), vec![], None, 404),
        ("/v1/ops/orders/7/nudge", vec![], None, 400),
        (&format!("{path}?hard=true"), vec![], None, 400),
        (&path, vec![], Some(json!({"hard": true})), 422),
        (&path, vec![("authorization", bearer("orders:read orders:write", None))], None, 403),
        (&path, vec![("authorization", own_token(&id.to_string()))], None, 403),
        (&path, vec![("authorization", String::new())], None, 401),
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (status, problem) = shop.call("POST", path, &headers, body).await;
        assert_eq!(status.as_u16(), expected, "{path}: {problem}");
    }
}
