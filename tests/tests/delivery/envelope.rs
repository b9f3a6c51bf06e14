//! Events as they travel: what a listener of somebody else's can rely on.

use std::collections::BTreeMap;

use chrono::DateTime;
use end_to_end::broker::Found;
use end_to_end::shop::text;
use end_to_end::system::System;
use serde_json::{Value, json};
use uuid::Uuid;

/// Every type that the interface promises: its version, its source, and the fields of its data.
const TYPES: [(&str, u16, &str, &[&str]); 11] = [
    ("customer.registered", 1, "order", &["customer_id", "email", "name"]),
    ("product.changed", 1, "inventory", &["active", "name", "sku", "unit_price"]),
    ("order.created", 2, "order", &["created_at", "customer_id", "lines", "order_id", "payment_method", "total"]),
    ("inventory.reserved", 1, "inventory", &["order_id"]),
    ("inventory.rejected", 1, "inventory", &["order_id", "short"]),
    ("order.reserved", 1, "order", &["order_id"]),
    ("payment.completed", 1, "order", &["amount", "order_id", "payment_id"]),
    ("payment.refunded", 1, "order", &["amount", "order_id", "payment_id"]),
    ("order.confirmed", 1, "order", &["customer_id", "lines", "order_id", "total"]),
    ("order.cancelled", 1, "order", &["customer_id", "order_id", "reason"]),
    ("inventory.low", 1, "inventory", &["available", "name", "sku", "threshold"]),
];

/// What an event may weigh.
const MAX_BYTES: usize = 256 * 1024;

#[tokio::test]
async fn events_travel_as_promised() {
    let system = System::start().await;
    system.broker.listen("somebody").await;
    system.sell("tea", 100, 2).await;
    let mut tea = end_to_end::shop::product("Tea", 150);
    tea["low_stock_threshold"] = json!(1);
    system.define("tea", &tea).await;
    let customer = system.customer().await;
    let order = system.place(&customer, &[("tea", 2)]).await;
    let order_id = text(&order, "id");
    system.settled(order_id).await;
    let rejected = system.place(&customer, &[("tea", 3)]).await;
    system.settled(text(&rejected, "id")).await;
    system.cancel(order_id).await;
    system.payment_reaches(order_id, "refunded").await;
    system.stock_reaches("tea", 2, 0).await;
    let history = system.history(order_id).await;

    let mut seen = BTreeMap::<String, Value>::new();
    let mut sequences = BTreeMap::<String, Vec<i64>>::new();
    end_to_end::waiting::eventually("all types were seen", end_to_end::waiting::PATIENCE, async || {
        for found in system.broker.take("somebody").await {
            let event = found.json();
            is_wrapped_right(&found, &event);
            let subject = format!("{} {}", text(&event, "source"), text(&event, "subject"));
            sequences.entry(subject).or_default().push(text(&event, "sequence").parse().expect("a number"));
            seen.insert(text(&event, "id").to_owned(), event);
        }
        let unseen = TYPES.iter().find(|(name, ..)| !seen.values().any(|event| event["type"] == *name));
        unseen.map_or(Ok(()), |(name, ..)| Err(format!("no {name}")))
    })
    .await;
    for event in &history {
        assert_eq!(seen.get(text(event, "id")), Some(event), "what travels is what the history holds");
    }
    for (subject, numbers) in sequences {
        let expected: Vec<i64> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "the events of {subject} go out in order, each once");
    }
    system.finish().await;
}

fn is_wrapped_right(found: &Found, event: &Value) {
    let event_type = text(event, "type");
    let known = TYPES.iter().find(|(name, ..)| *name == event_type);
    let (_, version, source, fields) = known.unwrap_or_else(|| panic!("an event that nobody promised: {event}"));
    assert_eq!(text(event, "specversion"), "1.0");
    assert_eq!(text(event, "source"), format!("/warren/{source}"));
    assert_eq!(text(event, "dataschema"), format!("urn:warren:{event_type}:{version}"));
    assert_eq!(text(event, "datacontenttype"), "application/json");
    assert_eq!(Uuid::parse_str(text(event, "id")).expect("a UUID").get_version_num(), 7);
    assert!(!text(event, "correlationid").is_empty() && event["causationid"].is_string(), "{event}");
    let data = event["data"].as_object().expect("data is an object");
    let mut named: Vec<&str> = data.keys().map(String::as_str).collect();
    named.sort_unstable();
    assert_eq!(named, *fields, "{event}");
    assert_eq!(text(event, "subject"), subject_of(event));
    assert!(found.body.len() <= MAX_BYTES);

    let properties = &found.properties;
    let short = |value: &Option<lapin::types::ShortString>| value.as_ref().map(|value| value.as_str().to_owned());
    assert_eq!(short(properties.message_id()).as_deref(), event["id"].as_str());
    assert_eq!(short(properties.kind()).as_deref(), Some(event_type));
    assert_eq!(short(properties.correlation_id()).as_deref(), event["correlationid"].as_str());
    assert_eq!(short(properties.content_type()).as_deref(), Some("application/cloudevents+json"));
    assert_eq!(short(properties.app_id()).as_deref(), Some(*source));
    assert_eq!(*properties.delivery_mode(), Some(2));
    let time = DateTime::parse_from_rfc3339(text(event, "time")).expect("a time").timestamp();
    assert_eq!(properties.timestamp().map(u64::cast_signed), Some(time));
    assert_eq!(found.header("traceparent"), text(event, "traceparent"));
}

/// What an event is about, by its data.
fn subject_of(event: &Value) -> String {
    let data = &event["data"];
    match text(event, "type") {
        "customer.registered" => text(data, "customer_id").to_owned(),
        "product.changed" => text(data, "sku").to_owned(),
        "inventory.low" => format!("{}/low", text(data, "sku")),
        _ => text(data, "order_id").to_owned(),
    }
}
