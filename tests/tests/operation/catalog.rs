//! `warren catalog check --live`: what runs, compared with the catalogue of events.

use end_to_end::environment::environment;
use end_to_end::operator::Operator;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use serde_json::{Value, json};

#[tokio::test]
async fn what_runs_is_compared_with_the_catalogue() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    system.settled(order["id"].as_str().expect("an order has an id")).await;
    let mut operator = Operator::of(&system);
    operator.set("RABBITMQ_MANAGEMENT_URL", &environment().management_url);
    if let Some(delays) = system.order.variables().get("RETRY_DELAYS") {
        operator.set("RETRY_DELAYS", delays);
    }

    // the management interface learns only after some seconds that a queue has a consumer
    eventually("all is as the catalogue says", PATIENCE, async || {
        let told = operator.types("catalog check --live --json").await.json();
        check(told["ok"] == true, || told.to_string())
    })
    .await;
    let page = operator.types("catalog check --live").await.ended(0).out;
    let seen = |service: &str, event: &str| {
        let mut rows = page.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.any(|row| row.len() == 3 && row[0] == service && row[1] == event && row[2] != "0")
    };
    assert!(seen("inventory", "order.created") && seen("order", "product.changed"), "{page}");
    assert!(page.contains("never-seen: order has not seen inventory.rejected"), "{page}");

    // a service that is gone can not be asked; what is missing at the broker is told before
    system.email.stop().await;
    operator.set("EMAIL_URL", "");
    eventually("the queue of email has no consumer", PATIENCE, async || {
        let told = operator.types("catalog check --live --json").await.json();
        let kinds: Vec<&Value> = told["problems"].as_array().expect("a list").iter().map(|it| &it["kind"]).collect();
        check(kinds == [&json!("no-consumer")], || told.to_string())
    })
    .await;
    operator.types("catalog check --live").await.ended(1);
    system.email.start_and_wait().await;
    system.finish().await;
}
