//! `OUTBOX_MAX`: what waits to be published has a limit, beyond which new work is refused and running work goes on.

use end_to_end::http::Answer;
use end_to_end::service::Service;
use end_to_end::shop::{order_of, product, text};
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use reqwest::Method;
use serde_json::json;

#[track_caller]
fn overloaded(answer: &Answer) {
    answer.problem(503, "overloaded");
    assert!(
        answer.header("retry-after").and_then(|seconds| seconds.parse::<u32>().ok()).is_some(),
        "{answer} {:?}",
        answer.headers
    );
}

/// Whether as many events wait as may, by the count of the database: what a process counts beside that may be too much for
/// a moment, and then it takes one more after it has refused one.
async fn is_full(service: &Service) -> Result<(), String> {
    let pending = service.metric("warren_outbox_pending", &[]).await?;
    check(pending.is_some_and(|pending| pending >= 5.0), || format!("{pending:?} wait"))
}

#[tokio::test]
async fn a_full_outbox_refuses_new_work_and_recovers() {
    let system = System::setup().proxies(true).env("OUTBOX_MAX", "5").start().await;
    system.sell("tea", 100, 100).await;
    let customer = system.customer().await;
    let copy = system.add_copy("order").await;
    let running = system.place_paid_by(&customer, &[("tea", 1)], "sandbox:manual").await;
    let id = text(&running, "id");
    system.reaches(id, &["reserved"]).await;

    system.proxies().broker.cut();
    let body = order_of(&customer.id, &[("tea", 1)], "sandbox:ok");
    let mut accepted = Vec::new();
    eventually("new orders are refused", PATIENCE, async || {
        let answer = system.try_place(&body).await;
        if answer.status == 201 {
            accepted.push(text(&answer.json(), "id").to_owned());
        }
        is_full(&system.order).await?;
        check(answer.status == 503, || answer.to_string())
    })
    .await;
    overloaded(&system.try_place(&body).await);
    eventually("its copy refuses them too", PATIENCE, async || {
        let answer = copy.api().post("/v1/orders", &body).await;
        if answer.status == 201 {
            accepted.push(text(&answer.json(), "id").to_owned());
        }
        check(answer.status == 503, || answer.to_string())
    })
    .await;
    overloaded(&system.order.api().patch(&format!("/v1/customers/{}", customer.id), &json!({"name": "No"})).await);
    overloaded(&system.order.api().post("/v1/customers", &json!({"name": "No", "email": "no@example.org"})).await);
    eventually("new products are refused", PATIENCE, async || {
        let cents = 100 + chrono::Utc::now().timestamp_subsec_millis();
        let answer = system.inventory.api().put("/v1/products/cup", &product("Cup", cents.into())).await;
        is_full(&system.inventory).await?;
        check(answer.status == 503, || answer.to_string())
    })
    .await;
    overloaded(&system.inventory.api().put("/v1/products/pot", &product("Pot", 100)).await);

    // Reading, and what ends running work, goes on.
    system.show(id).await;
    system.cancel(&accepted[0]).await;
    let paid = json!({"type": "payment.completed", "order_id": id, "payment_id": "pay-1"});
    system.provider().call("hook-1", &paid).await.expect(204);

    system.proxies().broker.mend();
    eventually("new orders are taken again", PATIENCE, async || {
        let answer = system.try_place(&body).await;
        check(answer.status == 201, || answer.to_string())
    })
    .await;
    assert_eq!(text(&system.settled(id).await, "status"), "confirmed");
    system.finish().await;
}

#[tokio::test]
async fn an_outbox_of_none_refuses_all() {
    let system = System::start().await;
    system.sell("tea", 100, 100).await;
    let customer = system.customer().await;
    let order = system.place_paid_by(&customer, &[("tea", 1)], "sandbox:manual").await;
    let id = text(&order, "id");
    system.reaches(id, &["reserved"]).await;
    for service in [&system.order, &system.inventory] {
        service.set("OUTBOX_MAX", Some("0"));
        service.restart().await;
    }
    let (order, inventory) = (system.order.api(), system.inventory.api());
    overloaded(&system.try_place(&order_of(&customer.id, &[("tea", 1)], "sandbox:ok")).await);
    overloaded(&order.post("/v1/customers", &json!({"name": "No", "email": "no@example.org"})).await);
    overloaded(&order.patch(&format!("/v1/customers/{}", customer.id), &json!({"name": "No"})).await);
    overloaded(&inventory.put("/v1/products/tea", &product("Tea", 200)).await);
    overloaded(&inventory.post("/v1/products/tea/stock", &json!({"delta": 1, "reason": "found"})).await);
    order.get("/v1/orders").await.expect(200);
    // Who may not order does not learn how busy the shop is.
    order.without_token().call(Method::POST, "/v1/orders").send().await.problem(401, "unauthorized");
    system.cancel(id).await;
    for service in [&system.order, &system.inventory] {
        service.set("OUTBOX_MAX", None);
        service.restart().await;
    }
    system.finish().await;
}
