//! `POST /v1/payments/webhook`, through the router.

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use contracts::values::OrderId;
use hmac::{Hmac, Mac};
use order::order::{PaymentStatus, Status};
use serde_json::{Value, json};
use sha2::Sha256;
use tower::ServiceExt;

use crate::shop::{Shop, WEBHOOK_SECRET};

/// Sends a message signed so many seconds from now.
async fn send_at(shop: &Shop, id: &str, from_now: i64, body: &Value) -> (u16, Value) {
    let (timestamp, body) = ((Utc::now().timestamp() + from_now).to_string(), body.to_string());
    let signature = signed(id, &timestamp, &body);
    post(shop, &[("webhook-id", id), ("webhook-timestamp", &timestamp), ("webhook-signature", &signature)], body).await
}

async fn send(shop: &Shop, id: &str, body: &Value) -> (u16, Value) {
    send_at(shop, id, 0, body).await
}

async fn post(shop: &Shop, headers: &[(&str, &str)], body: String) -> (u16, Value) {
    let headers = [headers, &[("content-type", "application/json")]].concat();
    let (status, _, body) = post_as(shop, &headers, body).await;
    (status, body)
}

/// Sends a message, and says as well whether the answer is one that was given before.
async fn post_as(shop: &Shop, headers: &[(&str, &str)], body: String) -> (u16, bool, Value) {
    let mut request = Request::builder().method("POST").uri("/v1/payments/webhook");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = shop.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    assert!(parts.status.as_u16() != 401 || parts.headers.contains_key("www-authenticate"));
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let replayed = parts.headers.get("idempotent-replayed").is_some_and(|value| value == "true");
    (parts.status.as_u16(), replayed, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// The headers of a message that is signed now.
fn signed(id: &str, timestamp: &str, body: &str) -> String {
    let key = STANDARD.decode(WEBHOOK_SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn message(kind: &str, order_id: OrderId, payment_id: &str) -> Value {
    json!({"type": format!("payment.{kind}"), "order_id": order_id, "payment_id": payment_id})
}

async fn tell(shop: &Shop, id: &str, kind: &str, order_id: OrderId, payment_id: &str) -> u16 {
    send(shop, id, &message(kind, order_id, payment_id)).await.0
}

#[tokio::test]
async fn what_is_not_signed_is_not_heard() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:manual").await;
    let body = message("completed", id, "pay-1");
    assert_eq!(post(&shop, &[], body.to_string()).await.0, 401);
    let (now, signature) = (Utc::now().timestamp().to_string(), format!("v1,{}", STANDARD.encode([7; 32])));
    let headers = [("webhook-id", "a"), ("webhook-timestamp", &*now), ("webhook-signature", &*signature)];
    assert_eq!(post(&shop, &headers, body.to_string()).await.0, 401);
    for old in [-330, 330] {
        let (status, problem) = send_at(&shop, "a", old, &body).await;
        assert_eq!((status, &problem["type"]), (401, &json!("/problems/unauthorized")));
    }
    assert_eq!(shop.order(id).await.status, Status::Reserved);
    for near in [-270, 270] {
        assert_eq!(send_at(&shop, "a", near, &body).await.0, 204);
    }
    assert_eq!(shop.order(id).await.status, Status::Confirmed);
}

#[tokio::test]
async fn what_is_signed_is_checked() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:manual").await;
    assert_eq!(tell(&shop, "a", "completed", OrderId::new(), "pay-1").await, 404);
    for wrong in [
        json!({"type": "payment.vanished", "order_id": id, "payment_id": "p"}),
        json!({"type": "payment.completed", "order_id": "me", "payment_id": "p"}),
        json!({"type": "payment.completed", "order_id": id}),
        json!({"type": "payment.completed", "order_id": id, "payment_id": ""}),
        json!({"type": "payment.completed", "order_id": id, "payment_id": "a\u{0}b"}),
        json!({"type": "payment.failed", "order_id": id, "payment_id": "p", "reason": "x".repeat(256)}),
        json!({"type": "payment.completed", "order_id": id, "payment_id": "p", "more": 1}),
        json!({"type": "payment.failed", "order_id": id, "payment_id": "p", "reason": null}),
        json!([]),
    ] {
        let (status, problem) = send(&shop, "a", &wrong).await;
        assert_eq!((status, &problem["type"]), (422, &json!("/problems/invalid-body")), "{wrong}");
    }
    assert_eq!(shop.order(id).await.version, 2);
    assert_eq!(tell(&shop, "a", "completed", id, "pay-1").await, 204, "an error is not remembered");
    assert_eq!(shop.order(id).await.status, Status::Confirmed);
}

#[tokio::test]
async fn it_has_to_be_json_and_an_idempotency_key_is_honoured() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:manual").await;
    let body = message("completed", id, "pay-1").to_string();
    let now = Utc::now().timestamp().to_string();
    let send = async |webhook_id: &str, body: &str, more: &[(&str, &str)]| {
        let signature = signed(webhook_id, &now, body);
        let headers = [("webhook-id", webhook_id), ("webhook-timestamp", &*now), ("webhook-signature", &*signature)];
        post_as(&shop, &[&headers, more].concat(), body.to_owned()).await
    };
    for wrong in [&[][..], &[("content-type", "text/plain")], &[("content-type", "application/json; charset=latin1")]] {
        let (status, _, problem) = send("a", &body, wrong).await;
        assert_eq!((status, &problem["type"]), (415, &json!("/problems/unsupported-media-type")), "{wrong:?}");
    }
    let json_type = ("content-type", "application/json");
    for wrong in ["", "two words", &"x".repeat(256)] {
        let (status, _, problem) = send("a", &body, &[json_type, ("idempotency-key", wrong)]).await;
        assert_eq!((status, &problem["type"]), (400, &json!("/problems/invalid-header")), "{wrong}");
    }
    let unsigned = [json_type, ("idempotency-key", "two words")];
    assert_eq!(post_as(&shop, &unsigned, body.clone()).await.0, 401, "nobody is told more before he has signed");

    let keyed = [json_type, ("idempotency-key", "k")];
    let unknown = message("completed", OrderId::new(), "pay-1").to_string();
    assert_eq!(send("a", &unknown, &keyed).await.0, 404, "an error is not kept");
    assert_eq!(send("a", &body, &keyed).await, (204, false, Value::Null));
    assert_eq!(send("b", &body, &keyed).await, (204, true, Value::Null));
    let (status, _, problem) = send("c", &message("completed", id, "pay-2").to_string(), &keyed).await;
    assert_eq!((status, &problem["type"]), (422, &json!("/problems/idempotency-key-reused")));
    assert_eq!(shop.order(id).await.status, Status::Confirmed);
}

#[tokio::test]
async fn a_payment_counts_once_however_often_it_is_told() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:manual").await;
    shop.payments.step().await.unwrap();
    assert_eq!(shop.payment_states(id).await, ["waiting"]);
    for (webhook, kind, payment, status) in [
        ("a", "completed", "pay-1", 204),
        ("a", "completed", "pay-1", 204),
        ("b", "completed", "pay-1", 204),
        ("c", "completed", "pay-2", 409),
        ("d", "failed", "pay-2", 409),
        ("e", "failed", "pay-1", 204),
    ] {
        assert_eq!(tell(&shop, webhook, kind, id, payment).await, status, "{webhook}");
    }
    let order = shop.order(id).await;
    assert_eq!((order.status, order.payment.id.as_deref(), order.version), (Status::Confirmed, Some("pay-1"), 4));
    assert_eq!(shop.payment_states(id).await, ["completed", "withdrawn"], "what was asked for is not wanted any more");
    assert_eq!(shop.payments.step().await.unwrap(), 0);

    let other = shop.reserved_order("sandbox:manual").await;
    assert_eq!(tell(&shop, "f", "completed", other, "pay-1").await, 409, "it is another order's");
    shop.cancel(id).await;
    shop.payments.step().await.unwrap();
    assert_eq!(shop.order(id).await.payment.status, PaymentStatus::Refunded);
    assert_eq!(tell(&shop, "g", "completed", id, "pay-1").await, 204, "and given back");
    assert_eq!(tell(&shop, "c", "completed", id, "pay-2").await, 204, "once the first is refunded, another is heard");
    shop.pay_until(async |shop| shop.order(id).await.owed.is_empty()).await;
    let history = shop.history(id).await;
    assert_eq!(history[5..], ["payment.refunded", "payment.completed", "payment.refunded"]);
}

#[tokio::test]
async fn its_own_payment_id_will_do_too() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:manual").await;
    shop.payments.step().await.unwrap();
    let own: String = sqlx::query_scalar("select id from payment").fetch_one(shop.pool()).await.unwrap();
    assert_eq!(tell(&shop, "a", "completed", id, &own).await, 204);
    assert_eq!(shop.payment_states(id).await, ["completed"]);
    shop.cancel(id).await;
    shop.payments.step().await.unwrap();
    assert_eq!(shop.payment_states(id).await, ["refunded"]);
    shop.history(id).await;
}

#[tokio::test]
async fn a_payment_that_nobody_waits_for_goes_back() {
    let mut shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let id = shop.place(&customer, "sandbox:ok").await;
    assert_eq!(tell(&shop, "a", "failed", id, "early").await, 204, "a failed one is ignored");
    assert_eq!(tell(&shop, "b", "completed", id, "early").await, 204);
    assert_eq!(shop.order(id).await.owed, ["early"]);
    assert_eq!(tell(&shop, "c", "completed", id, "other").await, 409, "until it is refunded");
    // meanwhile the order gets on, and its own payment stands whatever becomes of the other
    shop.reserved(id).await;
    shop.pay_until(async |shop| {
        let order = shop.order(id).await;
        order.status == Status::Confirmed && order.owed.is_empty()
    })
    .await;
    let order = shop.order(id).await;
    assert_eq!(order.payment.status, PaymentStatus::Completed);
    assert_ne!(order.payment.id.as_deref(), Some("early"));
    shop.cancel(id).await;
    shop.pay_until(async |shop| shop.order(id).await.owed.is_empty()).await;
    assert_eq!(shop.history(id).await.iter().filter(|event| *event == "payment.refunded").count(), 2);
    assert_eq!(shop.count("select count(*) from sandbox_ledger where refunded_at is not null").await, 2);
}

#[tokio::test]
async fn a_failed_payment_ends_the_order_and_a_late_one_goes_back() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:manual").await;
    let failed = json!({"type": "payment.failed", "order_id": id, "payment_id": "pay-1", "reason": "no funds"});
    assert_eq!(send(&shop, "a", &failed).await.0, 204);
    let order = shop.order(id).await;
    assert_eq!((order.status, order.payment.status), (Status::Cancelled, PaymentStatus::Failed));
    assert_eq!(tell(&shop, "b", "failed", id, "pay-1").await, 204);
    assert_eq!(shop.order(id).await.version, order.version);
    assert_eq!(tell(&shop, "c", "completed", id, "pay-1").await, 204, "it has thought better of it");
    shop.pay_until(async |shop| shop.order(id).await.payment.status == PaymentStatus::Refunded).await;
    shop.history(id).await;
}

#[tokio::test]
async fn two_at_once_are_heard_one_after_the_other() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:manual").await;
    let names = ["a", "a", "a", "b", "b", "c"];
    let told = names.map(|name| tell(&shop, name, "completed", id, "pay-1"));
    for status in futures_util::future::join_all(told).await {
        assert_eq!(status, 204);
    }
    assert_eq!(shop.order(id).await.version, 4);
}
