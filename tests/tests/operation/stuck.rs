//! `warren stuck` and `warren trace`: what an order waits for, and what became of it.

use end_to_end::operator::Operator;
use end_to_end::shop::text;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use serde_json::{Value, json};

/// Waits until so many messages wait for inventory.
async fn queued(system: &System, count: u32) {
    eventually("messages wait for inventory", PATIENCE, async || {
        let waiting = system.broker.waiting("inventory").await;
        check(waiting == Some(count), || format!("{waiting:?}"))
    })
    .await;
}

#[tokio::test]
async fn an_order_that_waits_too_long_is_listed_with_the_queue_that_it_waits_in() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let operator = Operator::of(&system);
    let nothing = operator.types("stuck").await.ended(0);
    assert_eq!((nothing.out.as_str(), nothing.err.as_str()), ("", "no order waits too long\n"));

    system.inventory.stop().await;
    system.place(&customer, &[("tea", 1)]).await;
    queued(&system, 1).await;
    system.broker.take("inventory").await;
    system.age_orders().await;
    let id = text(&system.order.api().list("/v1/orders").await[0], "id").to_owned();
    let told = operator.types("stuck").await.ended(1);
    assert!(told.out.contains(&id) && told.out.contains("inventory: 0 queued, 0 consumers"), "{}", told.out);
    assert!(told.err.contains("inventory does not answer"), "{}", told.err);

    operator.types(&format!("order nudge {id}")).await.ended(0);
    queued(&system, 1).await;
    let told = operator.types("stuck").await.ended(1);
    assert!(told.out.contains("inventory: 1 queued, 0 consumers"), "{}", told.out);
    assert!(told.err.contains("nobody takes what is queued: inventory: 1 queued, 0 consumers"), "{}", told.err);
    let told = operator.types("stuck --json").await.ended(1).json();
    assert_eq!((&told["items"][0]["order_id"], &told["items"][0]["waits_for"]), (&json!(id), &json!("inventory")));
    assert_eq!(told["items"][0]["queue"], json!({"queued": 1, "consumers": 0, "retrying": 0, "dead": 0}));
    assert_eq!(told["silent"][0]["service"], "inventory");

    system.inventory.start_and_wait().await;
    system.settled(&id).await;
    let told = operator.types("stuck").await.ended(0);
    assert_eq!(told.out, "");
    system.finish().await;
}

#[tokio::test]
async fn a_trace_is_one_timeline_over_all_services() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place(&customer, &[("tea", 2)]).await;
    let id = text(&order, "id").to_owned();
    system.settled(&id).await;
    let operator = Operator::of(&system);
    let mut trace = Value::Null;
    eventually("all is done", PATIENCE, async || {
        trace = operator.types(&format!("trace {id} --json")).await.ended(0).json();
        let sent = trace["items"].as_array().unwrap().iter().any(|item| item["kind"] == "mail-sent");
        check(sent && trace["open"] == json!([]), || trace.to_string())
    })
    .await;
    let items = trace["items"].as_array().unwrap();
    assert!(items.is_sorted_by_key(|item| text(item, "at").to_owned()), "{trace}");
    let seen = |service: &str, kind: &str, detail: &str| {
        let fits = |item: &&Value| {
            item["service"] == service && item["kind"] == kind && text(item, "detail").starts_with(detail)
        };
        items.iter().find(fits).unwrap_or_else(|| panic!("no {service} {kind} {detail}: {trace}"))
    };
    let created = seen("order", "event", "order.created");
    assert_eq!(created["consumers"], json!([{"service": "inventory", "state": "done"}]));
    seen("order", "payment", "sandbox:ok");
    seen("inventory", "reservation-held", "2 tea");
    seen("inventory", "reservation-committed", "2 tea");
    let confirmed = seen("order", "event", "order.confirmed");
    assert_eq!(confirmed["consumers"].as_array().unwrap().len(), 2);
    seen("email", "mail-queued", "order-confirmed");
    assert_eq!(trace["status"], "confirmed");

    let page = operator.types(&format!("trace {id}")).await.ended(0).out;
    let lines: Vec<&str> = page.lines().collect();
    assert!(lines[0].contains(&id) && lines[0].ends_with("confirmed"), "{page}");
    // below the heading: a line for each step, the first without a time since another, and one for where it stands
    assert_eq!(lines.len(), 3 + items.len() + 1, "{page}");
    assert!(lines[4..].iter().all(|line| line.contains("  +") || line.contains("  -")), "{page}");
    assert!(lines[3].contains("●─────────▶         │   order.created"), "{page}");
    assert!(lines.iter().any(|line| line.contains("●─────────▶─────────▶   order.confirmed")), "{page}");
    assert!(lines.last().unwrap().contains("◉         │         │   confirmed: nothing is open"), "{page}");
    let unknown = operator.types("trace 0198c0de-0000-7000-8000-00000000dead").await.ended(1);
    assert!(unknown.err.contains("no service knows an order"), "{}", unknown.err);

    system.email.stop().await;
    let part = operator.types(&format!("trace {id}")).await.ended(1);
    assert!(part.out.contains("reservation-committed") && part.err.contains("email does not answer"), "{part:?}");
    system.email.start_and_wait().await;
    system.finish().await;
}

#[tokio::test]
async fn a_trace_shows_where_an_order_stands() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    system.inventory.stop().await;
    let order = system.place(&customer, &[("tea", 2)]).await;
    let id = text(&order, "id").to_owned();
    let operator = Operator::of(&system);
    eventually("the trace tells of the queue", PATIENCE, async || {
        let told = operator.types(&format!("trace {id}")).await.ended(1);
        let here = told.out.lines().any(|line| line.contains("│         ◉         │   here: pending"));
        check(here && told.out.ends_with("waits for inventory's answer\n"), || told.out)
    })
    .await;
    system.inventory.start_and_wait().await;
    system.settled(&id).await;
    system.finish().await;
}
