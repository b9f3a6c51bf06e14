//! Payments that take their time, and the provider that calls back.

use end_to_end::shop::{QUIET, text};
use end_to_end::system::System;
use end_to_end::token::in_seconds;
use end_to_end::waiting::{check, stays};
use serde_json::{Value, json};
use uuid::Uuid;

fn completed(order_id: &str, payment_id: &str) -> Value {
    json!({"type": "payment.completed", "order_id": order_id, "payment_id": payment_id})
}

#[tokio::test]
async fn a_flaky_provider_is_asked_again() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place_paid_by(&customer, &[("tea", 1)], "sandbox:flaky").await;
    let order = system.settled(text(&order, "id")).await;
    assert_eq!(text(&order, "status"), "confirmed", "{order}");
    let events = system.history(text(&order, "id")).await;
    assert_eq!(events.iter().filter(|event| event["type"] == "payment.completed").count(), 1, "paid once: {events:?}");
    system.finish().await;
}

#[tokio::test]
async fn the_provider_calls_back() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let provider = system.provider();
    let order = system.place_paid_by(&customer, &[("tea", 1)], "sandbox:manual").await;
    let id = text(&order, "id");
    let waiting = system.reaches(id, &["reserved"]).await;
    assert_eq!(waiting["payment"]["method"], "sandbox:manual");

    let body = completed(id, "pay-1");
    let now = in_seconds(0);
    let signed = body.to_string();
    let right = provider.sign("hook-0", now, &signed);
    provider.send("hook-0", now, "v1,bm90IGEgc2lnbmF0dXJl", signed.clone()).await.problem(401, "unauthorized");
    provider.send("hook-0", now, &right, completed(id, "pay-2").to_string()).await.problem(401, "unauthorized");
    provider.send("hook-other", now, &right, signed.clone()).await.problem(401, "unauthorized");
    provider.call_at("hook-0", in_seconds(-360), &body).await.problem(401, "unauthorized");
    provider.call_at("hook-0", in_seconds(360), &body).await.problem(401, "unauthorized");
    provider.call("hook-0", &completed(&Uuid::now_v7().to_string(), "pay-9")).await.problem(404, "not-found");
    let wrong = json!({"type": "payment.vanished", "order_id": id, "payment_id": "pay-1"});
    provider.call("hook-0", &wrong).await.problem(422, "invalid-body");
    assert_eq!(text(&system.show(id).await, "status"), "reserved", "none of these is a payment");

    // While the secret is rotated, a call carries two signatures.
    let two = format!("v1,bm90IGEgc2lnbmF0dXJl {}", provider.sign("hook-1", now, &signed));
    provider.send("hook-1", now, &two, signed).await.expect(204);
    let order = system.settled(id).await;
    assert_eq!(text(&order, "status"), "confirmed");
    assert_eq!((&order["payment"]["status"], &order["payment"]["payment_id"]), (&json!("completed"), &json!("pay-1")));

    let events = system.history(id).await.len();
    provider.call("hook-1", &body).await.expect(204);
    provider.call("hook-2", &body).await.expect(204);
    provider.call("hook-3", &completed(id, "pay-2")).await.problem(409, "conflict");
    assert_eq!(system.history(id).await.len(), events, "a payment counts once");
    system.finish().await;
}

#[tokio::test]
async fn a_failed_callback_cancels_the_order() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place_paid_by(&customer, &[("tea", 1)], "sandbox:manual").await;
    let id = text(&order, "id");
    system.reaches(id, &["reserved"]).await;
    let failed =
        json!({"type": "payment.failed", "order_id": id, "payment_id": "pay-1", "reason": "insufficient funds"});
    system.provider().call("hook-1", &failed).await.expect(204);
    let order = system.settled(id).await;
    assert_eq!(text(&order, "cancel_reason"), "payment-failed");
    system.stock_reaches("tea", 10, 0).await;
    system.finish().await;
}

#[tokio::test]
async fn nobody_waits_for_ever_and_late_money_goes_back() {
    let system = System::setup().env_of("order", "PAYMENT_TIMEOUT", "1s").start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place_paid_by(&customer, &[("tea", 1)], "sandbox:manual").await;
    let id = text(&order, "id");
    let order = system.settled(id).await;
    assert_eq!((text(&order, "status"), text(&order, "cancel_reason")), ("cancelled", "payment-timeout"));
    system.stock_reaches("tea", 10, 0).await;

    system.provider().call("hook-1", &completed(id, "pay-1")).await.expect(204);
    let order = system.payment_reaches(id, "refunded").await;
    assert_eq!(text(&order, "status"), "cancelled", "a late payment revives nothing");
    let types: Vec<String> = system.history(id).await.iter().map(|event| text(event, "type").to_owned()).collect();
    let paid_back = ["payment.completed", "payment.refunded"];
    assert!(paid_back.iter().all(|name| types.iter().filter(|seen| seen == name).count() == 1), "{types:?}");

    // A failure for an order that is over means nothing.
    let failed = json!({"type": "payment.failed", "order_id": id, "payment_id": "pay-1", "reason": "late"});
    let answer = system.provider().call("hook-2", &failed).await;
    assert!(answer.status < 500, "{answer}");
    stays("the refunded order", QUIET, async || {
        let now = system.show(id).await;
        check(now["payment"]["status"] == "refunded", || now.to_string())
    })
    .await;
    system.finish().await;
}
