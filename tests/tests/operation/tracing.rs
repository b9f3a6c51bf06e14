//! What holds one request together over all services: its id, its trace, its correlation and what caused what.

use std::collections::BTreeSet;

use end_to_end::shop::{order_of, text};
use end_to_end::system::System;
use reqwest::Method;
use serde_json::Value;
use sqlx::Row as _;
use uuid::Uuid;

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

/// An event about an order, from whichever log.
#[derive(Debug)]
struct Logged {
    id: String,
    event_type: String,
    correlation_id: String,
    causation_id: Option<String>,
    traceparent: Option<String>,
}

async fn logged(system: &System, service: &str, order_id: &str) -> Vec<Logged> {
    let columns = "id::text, type, correlation_id, causation_id, traceparent";
    let sql = format!("select {columns} from event where subject = '{order_id}' order by position");
    let rows = system.database(service).rows(&sql).await;
    let event = |row: &sqlx::postgres::PgRow| Logged {
        id: row.get(0),
        event_type: row.get(1),
        correlation_id: row.get(2),
        causation_id: row.get(3),
        traceparent: row.get(4),
    };
    rows.iter().map(event).collect()
}

#[tokio::test]
async fn one_request_is_one_story() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let answer = system
        .order
        .api()
        .call(Method::POST, "/v1/orders")
        .header("x-request-id", "request-of-the-test")
        .header("traceparent", &format!("00-{TRACE_ID}-b7ad6b7169203331-01"))
        .json(&order_of(&customer.id, &[("tea", 1)], "sandbox:ok"))
        .send()
        .await;
    assert_eq!(answer.header("x-request-id"), Some("request-of-the-test"), "a caller's request id is kept");
    let order = answer.expect(201);
    let id = text(&order, "id");
    system.settled(id).await;
    system.mails_told(&format!("order_id={id}"), 1).await;

    let ours = logged(&system, "order", id).await;
    let theirs = logged(&system, "inventory", id).await;
    let correlations: BTreeSet<&str> = ours.iter().chain(&theirs).map(|event| event.correlation_id.as_str()).collect();
    assert_eq!(correlations.len(), 1, "one request, one correlation id: {ours:#?} {theirs:#?}");
    for event in ours.iter().chain(&theirs) {
        let traceparent = event.traceparent.as_deref().unwrap_or_default();
        assert!(traceparent.starts_with(&format!("00-{TRACE_ID}-")), "not in the caller's trace: {event:?}");
    }
    let of = |events: &[Logged], name: &str| -> (String, Option<String>) {
        let event = events.iter().find(|event| event.event_type == name).unwrap_or_else(|| panic!("no {name}"));
        (event.id.clone(), event.causation_id.clone())
    };
    let (created, created_by) = of(&ours, "order.created");
    assert_eq!(created_by.as_deref(), Some("request-of-the-test"), "the request caused it");
    let (reserved, reserved_by) = of(&theirs, "inventory.reserved");
    assert_eq!(reserved_by, Some(created));
    assert_eq!(of(&ours, "order.reserved").1, Some(reserved));
    assert!(of(&ours, "order.confirmed").1.is_some());

    // The log of each service tells of the order, and of the same story.
    let correlation = correlations.first().expect("one");
    for service in ["order", "inventory", "email"] {
        let log = system.service(service).log();
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let about = |line: &&Value| {
            line["order_id"] == *id && line["correlation_id"] == **correlation && line["event"].is_string()
        };
        assert!(lines.iter().any(|line| about(&line)), "{service} logs no step of the order:\n{log}");
    }
    system.finish().await;
}

#[tokio::test]
async fn every_answer_has_a_request_id() {
    let system = System::start().await;
    let api = system.order.api();
    for path in ["/livez", "/readyz", "/metrics", "/v1/orders", "/v1/nothing", "/v1/orders/none", "/docs"] {
        for api in [api.clone(), api.without_token()] {
            let answer = api.get(path).await;
            let id =
                answer.header("x-request-id").unwrap_or_else(|| panic!("{answer} {:?}", answer.headers)).to_owned();
            assert!(Uuid::parse_str(&id).is_ok_and(|id| id.get_version_num() == 7), "{id}");
        }
    }
    for bad in ["two words", &"x".repeat(1000), ""] {
        let answer = api.call(Method::GET, "/v1/orders").header("x-request-id", bad).send().await;
        let id = answer.header("x-request-id").unwrap_or_default().to_owned();
        assert!(answer.status == 200 && id != bad && Uuid::parse_str(&id).is_ok(), "{id}");
    }
    for bad in [
        "nonsense",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        let answer = api.call(Method::GET, "/v1/orders").header("traceparent", bad).send().await;
        assert_eq!(answer.status, 200, "a trace that is none is no reason to refuse: {answer}");
    }
    system.finish().await;
}
