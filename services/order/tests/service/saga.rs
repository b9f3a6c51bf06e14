//! The saga on a real database: every way through it, duplicates, strangers, and two copies at once.

use contracts::event::Service;
use contracts::inventory::InventoryReserved;
use contracts::order::CancelReason;
use contracts::values::OrderId;
use messaging::context::Context;
use order::metrics::Metrics;
use order::order::command::{Command, PaymentResult};
use order::order::{PaymentStatus, Status};
use order::saga::{Step, advance};
use order::workers::deadlines;
use order::workers::projections::{CustomerTotals, DailySales, step as project};
use serde_json::json;

use crate::shop::{PAYMENT_TIMEOUT, Shop};

#[tokio::test]
async fn reserved_paid_confirmed() {
    let mut shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let id = shop.place(&customer, "sandbox:ok").await;
    shop.reserved(id).await;
    assert_eq!(shop.order(id).await.status, Status::Reserved);
    shop.payments.step().await.unwrap();
    let order = shop.order(id).await;
    assert_eq!(
        (order.status, order.payment.status, order.total.amount()),
        (Status::Confirmed, PaymentStatus::Completed, 1000)
    );
    assert_eq!(shop.history(id).await, ["order.created", "order.reserved", "payment.completed", "order.confirmed"]);
    assert_eq!(shop.payments.step().await.unwrap(), 0, "nothing is charged twice");
}

#[tokio::test]
async fn each_payment_method_comes_to_its_end() {
    let mut shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    for (method, status, payment) in [
        ("sandbox:declined", Status::Cancelled, PaymentStatus::Failed),
        ("sandbox:flaky", Status::Confirmed, PaymentStatus::Completed),
    ] {
        let id = shop.place(&customer, method).await;
        shop.reserved(id).await;
        shop.pay_until(async |shop| shop.order(id).await.status != Status::Reserved).await;
        let order = shop.order(id).await;
        assert_eq!((order.status, order.payment.status), (status, payment), "{method}");
        shop.history(id).await;
    }
    let calls: i32 = sqlx::query_scalar("select max(calls) from sandbox_ledger").fetch_one(shop.pool()).await.unwrap();
    assert_eq!(calls, 3, "a flaky payment fails twice");
}

#[tokio::test]
async fn out_of_stock_ends_an_order_once() {
    let mut shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let id = shop.place(&customer, "sandbox:ok").await;
    shop.rejected(id).await;
    shop.rejected(id).await;
    shop.reserved(id).await;
    assert_eq!(shop.order(id).await.cancel_reason, Some(CancelReason::OutOfStock));
    assert_eq!(shop.history(id).await, ["order.created", "order.cancelled"]);
}

#[tokio::test]
async fn cancelling_a_confirmed_order_gives_the_money_back() {
    let mut shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let id = shop.place(&customer, "sandbox:ok").await;
    shop.reserved(id).await;
    shop.payments.step().await.unwrap();
    let path = format!("/v1/orders/{id}/cancel");
    let (status, body) = shop.call("POST", &path, &[], Some(json!({"reason": "changed my mind"}))).await;
    assert_eq!(
        (status.as_u16(), &body["status"], &body["cancel_note"]),
        (202, &json!("cancelled"), &json!("changed my mind"))
    );
    let (status, body) = shop.call("POST", &path, &[], None).await;
    assert_eq!((status.as_u16(), &body["type"]), (409, &json!("/problems/order-already-cancelled")));
    shop.payments.step().await.unwrap();
    assert_eq!(shop.order(id).await.payment.status, PaymentStatus::Refunded);
    let expected = [
        "order.created",
        "order.reserved",
        "payment.completed",
        "order.confirmed",
        "order.cancelled",
        "payment.refunded",
    ];
    assert_eq!(shop.history(id).await, expected);
    let refunded: i64 = sqlx::query_scalar("select count(*) from sandbox_ledger where charged_at < refunded_at")
        .fetch_one(shop.pool())
        .await
        .unwrap();
    assert_eq!(refunded, 1);
}

#[tokio::test]
async fn an_order_gives_up_waiting_and_a_late_payment_goes_back() {
    let mut shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let id = shop.place(&customer, "sandbox:manual").await;
    shop.reserved(id).await;
    shop.payments.step().await.unwrap();
    deadlines::step(&shop.database, std::time::Duration::from_secs(3600)).await.unwrap();
    assert_eq!(shop.order(id).await.status, Status::Reserved, "it has time");
    deadlines::step(&shop.database, std::time::Duration::ZERO).await.unwrap();
    assert_eq!(shop.order(id).await.cancel_reason, Some(CancelReason::PaymentTimeout));

    let amount = shop.order(id).await.total;
    let late = Command::Pay(PaymentResult { payment_id: "their-own-id".into(), amount });
    step(&shop, id, late).await;
    shop.pay_until(async |shop| shop.order(id).await.payment.status == PaymentStatus::Refunded).await;
    let expected = ["order.created", "order.reserved", "order.cancelled", "payment.completed", "payment.refunded"];
    assert_eq!(shop.history(id).await, expected);
}

async fn step(shop: &Shop, order_id: OrderId, command: Command) {
    let context = Context { correlation_id: "test".into(), causation_id: None, traceparent: None };
    let mut tx = shop.database.begin(context.clone()).await.unwrap();
    advance(&mut tx, &[Step { order_id, command, context }]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn an_order_that_is_not_ours_is_cancelled_once() {
    let mut shop = Shop::open().await;
    let stranger = OrderId::new();
    shop.reserved(stranger).await;
    shop.reserved(stranger).await;
    let published: Vec<_> =
        shop.harness.published().iter().filter(|event| event.subject == stranger.to_string()).collect();
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].event_type, "order.cancelled");
    assert_eq!(published[0].data, format!(r#"{{"order_id":"{stranger}","reason":"unknown-order"}}"#));
}

#[tokio::test]
async fn a_repeated_event_takes_effect_once() {
    let mut shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let id = shop.place(&customer, "sandbox:ok").await;
    shop.harness.publish(Service::Inventory, &InventoryReserved { order_id: id });
    shop.harness.publish(Service::Inventory, &InventoryReserved { order_id: id });
    shop.harness.settle().await;
    assert_eq!(shop.history(id).await, ["order.created", "order.reserved"]);
    let intents: i64 = sqlx::query_scalar("select count(*) from payment").fetch_one(shop.pool()).await.unwrap();
    assert_eq!(intents, 1);
}

#[tokio::test]
async fn two_copies_move_the_same_orders_without_double_effects() {
    let mut shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(shop.place(&customer, "sandbox:ok").await);
    }
    for id in &ids {
        shop.reserved(*id).await;
    }
    let copies = (0..4).map(|copy| {
        let (payments, database, mut ids) = (shop.payments.clone(), shop.database.clone(), ids.clone());
        tokio::spawn(async move {
            if copy % 2 == 0 {
                ids.reverse();
            }
            let context = Context { correlation_id: "test".into(), causation_id: None, traceparent: None };
            for pair in ids.chunks(2) {
                payments.step().await.unwrap();
                let cancel =
                    |id: &OrderId| Step { order_id: *id, command: Command::Cancel(None), context: context.clone() };
                let mut tx = database.begin(context.clone()).await.unwrap();
                advance(&mut tx, &pair.iter().map(cancel).collect::<Vec<_>>()).await.unwrap();
                tx.commit().await.unwrap();
            }
        })
    });
    for copy in copies.collect::<Vec<_>>() {
        copy.await.unwrap();
    }
    let books = "select count(*) from sandbox_ledger where charged_at is not null and refunded_at is null";
    shop.pay_until(async |shop| sqlx::query_scalar::<_, i64>(books).fetch_one(shop.pool()).await.unwrap() == 0).await;
    for id in ids {
        let history = shop.history(id).await;
        assert_eq!(history.iter().filter(|event| *event == "order.cancelled").count(), 1, "{history:?}");
        assert!(matches!(shop.order(id).await.payment.status, PaymentStatus::None | PaymentStatus::Refunded));
    }
}

#[tokio::test]
async fn totals_follow_the_log() {
    let mut shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = shop.place(&customer, "sandbox:ok").await;
        shop.reserved(id).await;
        ids.push(id);
    }
    shop.payments.step().await.unwrap();
    while project(&CustomerTotals, shop.pool()).await.unwrap() {}
    let path = format!("/v1/customers/{customer}");
    let (_, body) = shop.call("GET", &path, &[], None).await;
    assert_eq!((&body["order_count"], &body["totals"]), (&json!(3), &json!([{"amount": 3000, "currency": "EUR"}])));
    step(&shop, ids[0], Command::Cancel(None)).await;
    project(&CustomerTotals, shop.pool()).await.unwrap();
    let mut registry = prometheus_client::registry::Registry::default();
    let metrics = Metrics::register(&mut registry);
    project(&DailySales::new(metrics.clone()), shop.pool()).await.unwrap();
    let (_, body) = shop.call("GET", &path, &[], None).await;
    assert_eq!((&body["order_count"], &body["totals"]), (&json!(2), &json!([{"amount": 2000, "currency": "EUR"}])));
    let today = chrono::Utc::now().date_naive();
    let (_, report) = shop.call("GET", &format!("/v1/reports/daily-sales?from={today}&to={today}"), &[], None).await;
    let expected = json!([{"date": today, "currency": "EUR", "created": 3, "confirmed": 3, "cancelled": 1, "revenue": {"amount": 3000, "currency": "EUR"}}]);
    assert_eq!(report["items"], expected);

    shop.place(&customer, "sandbox:ok").await;
    metrics.refresh(&shop.database, PAYMENT_TIMEOUT).await;
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "warren_orders{status=\"pending\"} 1",
        "warren_orders{status=\"reserved\"} 0",
        "warren_orders{status=\"confirmed\"} 2",
        "warren_orders{status=\"cancelled\"} 1",
        "warren_orders_stuck 0",
        "warren_order_completion_seconds_count 3",
    ] {
        assert!(text.lines().any(|seen| seen == line), "{line} is missing in:\n{text}");
    }
}
