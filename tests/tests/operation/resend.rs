//! A copy of an event that a consumer has lost: the audit names it, and `warren event resend` or a nudge brings it back.

use end_to_end::operator::{Operator, offenders};
use end_to_end::shop::{QUIET, product, text};
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually, stays};
use serde_json::{Value, json};
use sqlx::Row as _;
use uuid::Uuid;

/// An order whose creation was published and is in no queue any more.
async fn lost_order(system: &System) -> (String, String) {
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    system.inventory.stop().await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    eventually("the event waits in the queue", PATIENCE, async || {
        let waiting = system.broker.waiting("inventory").await;
        check(waiting == Some(1), || format!("{waiting:?}"))
    })
    .await;
    let lost = system.broker.take("inventory").await;
    let id = text(&order, "id").to_owned();
    let event_id =
        lost.iter().find(|found| found.json()["subject"] == id.as_str()).expect("its creation").message_id().to_owned();
    system.inventory.start_and_wait().await;
    (id, event_id)
}

#[tokio::test]
async fn an_event_that_a_consumer_has_lost_is_named_and_sent_again() {
    let system = System::start().await;
    let (order_id, event_id) = lost_order(&system).await;
    let operator = Operator::of(&system);
    let audit = operator.types("audit --json --grace 0s").await.ended(1).json();
    assert_eq!(offenders(&audit, "delivery"), [format!("event {event_id}")]);
    let delivery = audit["checks"].as_array().unwrap().iter().find(|found| found["check"] == "delivery").unwrap();
    assert_eq!(delivery["offenders"][0]["consumer"], "inventory");
    assert!(text(&delivery["offenders"][0], "detail").contains(&order_id), "{delivery}");
    let endings = audit["checks"].as_array().unwrap().iter().find(|found| found["check"] == "endings").unwrap();
    assert_eq!(endings["notes"], json!(["1 pending orders wait for inventory, which has not had them"]));

    let told = operator.types(&format!("event resend {event_id} --to inventory --json")).await.ended(0).json();
    let expected = json!({"event_id": event_id, "type": "order.created", "subject": order_id, "to": "inventory", "before": "unknown"});
    assert_eq!(told, expected);
    assert_eq!(system.settled(&order_id).await["status"], "confirmed");
    eventually("the audit is clean", PATIENCE, async || {
        let audit = operator.audit().await;
        check(audit["ok"] == true, || audit.to_string())
    })
    .await;

    // Once more does no harm.
    let again = operator.types(&format!("event resend {event_id} --to inventory")).await.ended(0);
    assert!(again.out.contains("it had taken effect there before"), "{}", again.out);
    stays("the stock", QUIET, async || {
        let stock = system.stock("tea").await;
        check(stock == json!({"on_hand": 9, "reserved": 0, "available": 9}), || stock.to_string())
    })
    .await;
    system.finish().await;
}

#[tokio::test]
async fn what_should_not_be_sent_again_is_refused() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    let order_id = text(&order, "id").to_owned();
    system.settled(&order_id).await;
    let operator = Operator::of(&system);
    let history = system.history(&order_id).await;
    let event = |name: &str| {
        let event = history.iter().find(|event| event["type"] == name);
        text(event.unwrap_or_else(|| panic!("no {name}")), "id").to_owned()
    };
    let resend = async |words: String| operator.types(&format!("event resend {words}")).await;
    for (words, status, part) in [
        (format!("{} --to email", event("order.created")), 1, "order.created is for inventory, not for email"),
        (format!("{} --to order", event("order.confirmed")), 1, "for inventory and email, not for order"),
        (format!("{} --to email", event("order.reserved")), 1, "order.reserved is for nobody"),
        ("0198c0de-0000-7000-8000-00000000dead --to email".to_owned(), 1, "no service has published an event"),
        ("7 --to email".to_owned(), 2, "invalid"),
        (format!("{} --to shop", event("order.created")), 2, "not a service"),
        (event("order.created"), 2, "--to"),
    ] {
        let told = resend(words.clone()).await.ended(status);
        assert!(told.err.contains(part), "{words}: {}", told.err);
    }
    system.broker.unbind("order", "product.changed").await;
    system.inventory.api().put("/v1/products/tea", &product("Tea", 300)).await.expect(200);
    eventually("it is set aside", PATIENCE, async || {
        let waiting = system.database("inventory").rows("select 1 from set_aside").await.len();
        check(waiting == 1, || format!("{waiting} wait"))
    })
    .await;
    let rows = system.database("inventory").rows("select e.id from set_aside join event e using (position)").await;
    let told = resend(format!("{} --to order", rows[0].get::<Uuid, _>("id"))).await.ended(1);
    assert!(told.err.contains("is not published yet"), "{}", told.err);
    system.broker.bind("order", "product.changed").await;
    system.prices_arrived().await;
    system.finish().await;
}

#[tokio::test]
async fn a_nudge_brings_back_an_order_whose_creation_was_lost() {
    let system = System::start().await;
    let (order_id, _) = lost_order(&system).await;
    assert_eq!(system.show(&order_id).await["status"], "pending");
    let operator = Operator::of(&system);
    let told = operator.types(&format!("order nudge {order_id}")).await.ended(0);
    assert!(told.out.contains("waits for inventory"), "{}", told.out);
    assert_eq!(system.settled(&order_id).await["status"], "confirmed");
    eventually("nothing waits to be published", PATIENCE, async || {
        let left = system.database("order").rows("select 1 from set_aside").await.len();
        let pending = system.order.metric("warren_outbox_pending", &[]).await?;
        check(left == 0 && pending == Some(0.0), || format!("{left} set aside, {pending:?} pending"))
    })
    .await;
    let told = operator.types(&format!("order nudge {order_id} --json")).await.ended(0).json();
    assert_eq!((&told["status"], &told["waits_for"]), (&json!("confirmed"), &Value::Null));
    let unknown = operator.types("order nudge 0198c0de-0000-7000-8000-00000000dead").await.ended(1);
    assert!(unknown.err.contains("404 not-found"), "{}", unknown.err);
    system.finish().await;
}
