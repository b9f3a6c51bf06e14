//! Reading: lists page by page, orders as they once were, customers and products with their versions.

use std::time::Duration;

use chrono::DateTime;
use end_to_end::shop::{number, product, text};
use end_to_end::system::System;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn an_order_is_shown_as_it_was() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    let id = text(&order, "id");
    system.settled(id).await;
    system.cancel(id).await;
    let now = system.payment_reaches(id, "refunded").await;
    let events = system.history(id).await;
    let api = system.order.api();
    let shown = async |query: &str| api.get(&format!("/v1/orders/{id}?{query}")).await;

    let mut as_it_was = Vec::new();
    for version in 1..=events.len() {
        let seen = shown(&format!("version={version}")).await.expect(200);
        assert_eq!(number(&seen, "version"), i64::try_from(version).expect("few"), "{seen}");
        as_it_was.push(seen);
    }
    assert_eq!(as_it_was[0], order, "the first version is what the customer was answered");
    assert_eq!(as_it_was[events.len() - 1], now);
    let statuses: Vec<&str> = as_it_was.iter().map(|seen| text(seen, "status")).collect();
    assert_eq!(statuses, ["pending", "reserved", "reserved", "confirmed", "cancelled", "cancelled"]);

    for (event, seen) in events.iter().zip(&as_it_was) {
        let at = text(event, "time");
        let last_then = events.iter().rposition(|other| text(other, "time") <= at).expect("itself");
        assert_eq!(shown(&format!("at={at}")).await.expect(200), as_it_was[last_then], "{seen}");
    }
    let created = DateTime::parse_from_rfc3339(text(&events[0], "time")).expect("a time").to_utc();
    let before = (created - Duration::from_millis(1)).format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    shown(&format!("at={before}")).await.problem(404, "not-found");
    shown(&format!("version={}", events.len() + 1)).await.problem(404, "not-found");
    for bad in ["version=0", "version=-1", "version=x", "at=yesterday", "version=1&at=2026-01-01T00:00:00Z"] {
        shown(bad).await.problem(400, "invalid-query");
    }
    system.finish().await;
}

#[tokio::test]
async fn lists_go_on_where_they_stopped() {
    let system = System::start().await;
    system.sell("tea", 100, 100).await;
    let (ada, bob) = (system.customer().await, system.customer().await);
    let mut newest_first = Vec::new();
    for index in 0..7 {
        let order = system.place(if index % 2 == 0 { &ada } else { &bob }, &[("tea", 1)]).await;
        newest_first.insert(0, text(&order, "id").to_owned());
    }
    for id in &newest_first {
        system.settled(id).await;
    }
    let api = system.order.api();
    let mut seen = Vec::new();
    let mut path = "/v1/orders?limit=3".to_owned();
    let mut pages = 0;
    loop {
        let page = api.get(&path).await.expect(200);
        let items = page["items"].as_array().expect("items").clone();
        assert!(items.len() <= 3, "{page}");
        seen.extend(items.iter().map(|order| text(order, "id").to_owned()));
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/orders?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!((seen, pages), (newest_first.clone(), 3));

    let ids = async |query: &str| -> Vec<String> {
        api.list(&format!("/v1/orders?{query}")).await.iter().map(|order| text(order, "id").to_owned()).collect()
    };
    let every_other: Vec<String> = newest_first.iter().step_by(2).cloned().collect();
    assert_eq!(ids(&format!("customer_id={}", ada.id)).await, every_other);
    assert_eq!(ids("status=confirmed").await, newest_first);
    assert!(ids("status=cancelled").await.is_empty());
    let third = system.show(&newest_first[2]).await;
    let created = text(&third, "created_at");
    assert_eq!(ids(&format!("created_from={created}")).await, newest_first[..3], "from is inclusive");
    assert_eq!(ids(&format!("created_to={created}")).await, newest_first[3..], "to is exclusive");

    // A cursor belongs to its list and filters.
    let page = api.get("/v1/orders?limit=2").await.expect(200);
    let cursor = text(&page, "next_cursor");
    api.get(&format!("/v1/orders?limit=2&status=confirmed&cursor={cursor}")).await.problem(400, "invalid-cursor");
    system.inventory.api().get(&format!("/v1/products?cursor={cursor}")).await.problem(400, "invalid-cursor");
    system.finish().await;
}

#[tokio::test]
async fn versions_guard_against_lost_updates() {
    let system = System::start().await;
    let customer = system.customer().await;
    let api = system.order.api();
    let path = format!("/v1/customers/{}", customer.id);
    let etag = api.get(&path).await.header("etag").expect("an ETag").to_owned();
    let address = "ada@new-canary.example";
    system.remember_personal(address);
    let patch = |etag: &str, body: Value| api.call(Method::PATCH, &path).header("if-match", etag).json(&body).send();
    let changed = patch(&etag, json!({"email": address})).await;
    assert_eq!(text(&changed.expect(200), "email"), address);
    assert_ne!(changed.header("etag"), Some(etag.as_str()));
    patch(&etag, json!({"name": "Eve"})).await.problem(412, "precondition-failed");
    patch("nonsense", json!({"name": "Eve"})).await.problem(400, "invalid-header");
    patch("*", json!({"name": customer.name})).await.expect(200);
    let other = system.customer().await;
    api.patch(&path, &json!({"email": other.email})).await.problem(409, "email-taken");

    // Later mails go to the new address.
    system.sell("tea", 100, 10).await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    system.settled(text(&order, "id")).await;
    system.mail_to(address, "about the order", |mail| mail.text.contains("Product tea")).await;

    let inventory = system.inventory.api();
    let put = |etag: &str, cents: i64| {
        inventory.call(Method::PUT, "/v1/products/tea").header("if-match", etag).json(&product("Tea", cents)).send()
    };
    let etag = inventory.get("/v1/products/tea").await.header("etag").expect("an ETag").to_owned();
    put(&etag, 200).await.expect(200);
    put(&etag, 300).await.problem(412, "precondition-failed");
    let absent = inventory.call(Method::PUT, "/v1/products/absent").header("if-match", "*").json(&product("No", 1));
    absent.send().await.problem(412, "precondition-failed");
    assert_eq!(inventory.get("/v1/products/tea").await.expect(200)["unit_price"]["amount"], 200);
    system.finish().await;
}

#[tokio::test]
async fn operators_see_what_each_service_knows() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place_paid_by(&customer, &[("tea", 1)], "sandbox:manual").await;
    let id = text(&order, "id");
    system.reaches(id, &["reserved"]).await;
    let nudge = format!("/v1/ops/orders/{id}/nudge");
    let answer = system.order.api().call(Method::POST, &nudge).send().await;
    assert_eq!(answer.status, 202, "{answer}");
    system
        .provider()
        .call("hook-1", &json!({"type": "payment.completed", "order_id": id, "payment_id": "pay-1"}))
        .await
        .expect(204);
    system.settled(id).await;
    system.mails_told(&format!("order_id={id}"), 1).await;
    system.stock_reaches("tea", 9, 0).await;

    let created = text(&system.history(id).await[0], "id").to_owned();
    for (service, knows_created) in [("order", "unknown"), ("inventory", "done"), ("email", "unknown")] {
        let api = system.service(service).api();
        let trace = api.get(&format!("/v1/ops/trace/{id}")).await.expect(200);
        assert_eq!(text(&trace, "order_id"), id);
        let items = trace["items"].as_array().expect("items").clone();
        assert!(!items.is_empty(), "{service} knows nothing of {id}");
        for item in &items {
            assert!(["at", "kind", "detail"].iter().all(|field| item[field].is_string()), "{service}: {item}");
        }
        system.assert_impersonal(&format!("the trace of {service}"), &trace.to_string());
        let inbox = api.get(&format!("/v1/ops/inbox/{created}")).await.expect(200);
        assert_eq!(inbox, json!({"event_id": created, "state": knows_created}), "{service}");
        let stuck = api.get("/v1/ops/stuck").await.expect(200);
        assert_eq!(stuck["items"], json!([]), "{service}");
    }
    system.finish().await;
}
