//! What can never be handled ends as a dead letter that tells why, and holds nobody up.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use end_to_end::broker::{Found, Message};
use end_to_end::service::SERVICES;
use end_to_end::setup::ATTEMPTS;
use end_to_end::shop::text;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

use crate::events::{customer_registered, event, id, order_created, product_changed};

/// A value that stands in every broken message, and must not stand in a header that a service wrote.
const CANARY: &str = "canary-value-7f3a";

/// What an event may weigh.
const MAX_BYTES: usize = 256 * 1024;

/// A broken message and what is to be said of it.
struct Poison {
    name: &'static str,
    error_kind: &'static str,
    attempts: usize,
    message: Message,
}

/// A well-formed event that `service` consumes, full of canaries.
fn good_event(service: &str) -> Value {
    match service {
        "order" => product_changed(CANARY),
        "inventory" => order_created(&id(), &[(CANARY, 1)]),
        "email" => customer_registered(&id(), CANARY, &format!("{CANARY}@canary.example")),
        _ => unreachable!("three services"),
    }
}

/// Broken messages of every kind for one service.
fn poisons(service: &str) -> Vec<Poison> {
    let good = good_event(service);
    let changed = |pointer: &str, value: Value| {
        let mut event = good.clone();
        *event.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
        event
    };
    let without = |pointer: &str, field: &str| {
        let mut event = good.clone();
        event.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object").remove(field).expect("a field");
        event
    };
    let key = text(&good, "type").to_owned();
    let data_field = good["data"].as_object().and_then(|data| data.keys().next()).expect("a field").clone();
    let deep = format!("{}\"{CANARY}\"{}", "[".repeat(20_000), "]".repeat(20_000));
    let deep_data = changed(&format!("/data/{data_field}"), json!("DEEP")).to_string().replace("\"DEEP\"", &deep);
    let malformed = [
        ("not JSON", format!("{{\"id\": {CANARY}").into_bytes()),
        ("empty", Vec::new()),
        ("not UTF-8", [CANARY.as_bytes(), &[0xff, 0xfe]].concat()),
        ("an array", json!([good]).to_string().into_bytes()),
        ("nested too deep", deep.into_bytes()),
        ("data nested too deep", deep_data.into_bytes()),
        ("no id", without("", "id").to_string().into_bytes()),
        ("an id that is none", changed("/id", json!(CANARY)).to_string().into_bytes()),
        ("no type", without("", "type").to_string().into_bytes()),
        ("no data", without("", "data").to_string().into_bytes()),
        ("data that is no object", changed("/data", json!(CANARY)).to_string().into_bytes()),
        ("a field of the data missing", without("/data", &data_field).to_string().into_bytes()),
        (
            "a field of the data wrong",
            changed(&format!("/data/{data_field}"), json!({CANARY: CANARY})).to_string().into_bytes(),
        ),
        ("a sequence that is none", changed("/sequence", json!(CANARY)).to_string().into_bytes()),
        ("a time that is none", changed("/time", json!(CANARY)).to_string().into_bytes()),
        ("another schema", changed("/dataschema", json!(format!("urn:warren:{CANARY}:1"))).to_string().into_bytes()),
        ("another specversion", changed("/specversion", json!(CANARY)).to_string().into_bytes()),
        ("another subject", changed("/subject", json!(CANARY.to_owned() + "-other")).to_string().into_bytes()),
        ("U+0000", changed("/correlationid", json!(format!("{CANARY}\0"))).to_string().into_bytes()),
    ];
    let mut poisons: Vec<Poison> = malformed
        .into_iter()
        .map(|(name, body)| Poison { name, error_kind: "malformed", attempts: 1, message: message(&key, body) })
        .collect();
    let mut large = good.clone();
    large["extension"] = json!(CANARY.repeat(MAX_BYTES / CANARY.len()));
    poisons.push(Poison {
        name: "too large",
        error_kind: "too-large",
        attempts: 1,
        message: message(&key, large.to_string().into_bytes()),
    });
    let newer = changed("/dataschema", json!(format!("urn:warren:{key}:99")));
    poisons.push(Poison {
        name: "too new",
        error_kind: "unsupported-version",
        attempts: ATTEMPTS,
        message: message(&key, newer.to_string().into_bytes()),
    });
    poisons
}

/// A message with properties and headers of its sender's.
fn message(event_type: &str, body: Vec<u8>) -> Message {
    let mut headers = FieldTable::default();
    headers.insert("tenant".into(), AMQPValue::LongString("blue".into()));
    headers.insert("priority".into(), AMQPValue::LongInt(7));
    let mut message = Message { body, ..Message::default() };
    message.properties = message
        .properties
        .with_message_id(id().into())
        .with_type(event_type.into())
        .with_correlation_id("correlation-1".into())
        .with_app_id("somebody".into())
        .with_content_type("application/cloudevents+json".into())
        .with_timestamp(1_700_000_000)
        .with_headers(headers)
        .with_delivery_mode(2);
    message
}

fn message_id(message: &Message) -> String {
    message.properties.message_id().as_ref().expect("it has one").to_string()
}

/// Waits until all of these are dead letters, and takes them, by message id.
async fn dead_letters(system: &System, service: &str, poisons: &[&Poison]) -> BTreeMap<String, Found> {
    let queue = format!("{service}.dead");
    eventually(&format!("{} messages are in {queue}", poisons.len()), PATIENCE, async || {
        let found = system.broker.peek(&queue).await;
        let missing = poisons
            .iter()
            .filter(|poison| !found.iter().any(|letter| letter.message_id() == message_id(&poison.message)));
        let missing: Vec<&str> = missing.map(|poison| poison.name).collect();
        check(missing.is_empty(), || format!("these are not: {missing:?}"))
    })
    .await;
    let letters = system.take_dead(service).await;
    assert_eq!(letters.len(), poisons.len(), "{service}: each once");
    letters.into_iter().map(|letter| (letter.message_id().to_owned(), letter)).collect()
}

/// A dead letter is the message as it came, with the story of its failure.
fn tells_its_story(letter: &Found, poison: &Poison, routing_key: Option<&str>) {
    let context = |what: &str| format!("{}: {what}: {:?}", poison.name, letter.headers);
    assert_eq!(letter.header("error-kind"), poison.error_kind, "{}", context("error-kind"));
    assert_eq!(letter.header("attempt"), poison.attempts.to_string(), "{}", context("attempt"));
    if let Some(routing_key) = routing_key {
        assert_eq!(letter.header("original-routing-key"), routing_key, "{}", context("original-routing-key"));
    }
    for name in ["error", "handler", "failed-host", "original-routing-key"] {
        assert!(!letter.header(name).is_empty(), "{}", context(name));
        assert!(!letter.header(name).contains(CANARY), "{}", context("a value of the message"));
    }
    let time = |name| -> DateTime<FixedOffset> {
        let text = letter.header(name);
        DateTime::parse_from_rfc3339(text).unwrap_or_else(|error| panic!("{}", context(&format!("{name}: {error}"))))
    };
    assert!(time("first-failed-at") <= time("failed-at"), "{}", context("times"));
    assert_eq!((letter.header("tenant"), letter.header("priority")), ("blue", "7"), "{}", context("headers"));
    assert!(letter.body == poison.message.body, "{}", context("another body"));
    let (sent, found) = (&poison.message.properties, &letter.properties);
    assert_eq!(found.kind(), sent.kind(), "{}", context("type"));
    assert_eq!(found.correlation_id(), sent.correlation_id(), "{}", context("correlation id"));
    assert_eq!(found.app_id(), sent.app_id(), "{}", context("app id"));
    assert_eq!(found.content_type(), sent.content_type(), "{}", context("content type"));
    assert_eq!(found.timestamp(), sent.timestamp(), "{}", context("timestamp"));
}

#[tokio::test]
async fn broken_messages_are_dead_letters_and_good_ones_go_on() {
    let system = System::start().await;
    system.sell("tea", 100, 100).await;
    let customer = system.customer().await;
    let before = system.place(&customer, &[("tea", 1)]).await;

    // By way of the exchange, and straight into the mailbox.
    let poisons: Vec<(&str, Vec<Poison>)> = SERVICES.map(|service| (service, poisons(service))).into_iter().collect();
    let straight: Vec<(&str, Vec<Poison>)> =
        SERVICES.map(|service| (service, self::poisons(service))).into_iter().collect();
    for ((service, poisons), (_, straight)) in poisons.iter().zip(&straight) {
        let key = text(&good_event(service), "type").to_owned();
        let messages: Vec<Message> = poisons.iter().map(|poison| poison.message.clone()).collect();
        system.broker.publish(&key, &messages).await;
        let messages: Vec<Message> = straight.iter().map(|poison| poison.message.clone()).collect();
        system.broker.put(service, &messages).await;
    }
    let between = system.place(&customer, &[("tea", 1)]).await;
    for order in [&before, &between] {
        let order = system.settled(text(order, "id")).await;
        assert_eq!(text(&order, "status"), "confirmed", "broken messages hold nobody up");
    }
    for ((service, poisons), (_, straight)) in poisons.iter().zip(&straight) {
        let key = text(&good_event(service), "type").to_owned();
        let all: Vec<&Poison> = poisons.iter().chain(straight).collect();
        let letters = dead_letters(&system, service, &all).await;
        for (index, poison) in all.into_iter().enumerate() {
            let routing_key = (index < poisons.len()).then_some(key.as_str());
            tells_its_story(&letters[&message_id(&poison.message)], poison, routing_key);
        }
    }
    let order = system.place(&customer, &[("tea", 1)]).await;
    assert_eq!(text(&system.settled(text(&order, "id")).await, "status"), "confirmed");
    system.finish().await;
}

#[tokio::test]
async fn an_unknown_type_climbs_the_ladder_first() {
    let system = System::start().await;
    let nobodys = event("order", "order.exploded", 1, CANARY, json!({"value": CANARY}));
    for (service, foreign) in [
        ("order", order_created(&id(), &[(CANARY, 1)])),
        ("inventory", product_changed(CANARY)),
        ("email", product_changed(CANARY)),
    ] {
        let poisons: Vec<Poison> =
            [("a type that nobody knows", &nobodys), ("a type of the catalogue that it does not consume", &foreign)]
                .into_iter()
                .map(|(name, event)| Poison {
                    name,
                    error_kind: "unknown-type",
                    attempts: ATTEMPTS,
                    message: message(text(event, "type"), event.to_string().into_bytes()),
                })
                .collect();
        let messages: Vec<Message> = poisons.iter().map(|poison| poison.message.clone()).collect();
        system.broker.put(service, &messages).await;
        let letters = dead_letters(&system, service, &poisons.iter().collect::<Vec<_>>()).await;
        for poison in &poisons {
            tells_its_story(&letters[&message_id(&poison.message)], poison, None);
        }
        let retries = system.service(service).metric("warren_retries_total", &[("queue", service)]).await;
        assert_eq!(retries, Ok(Some(2.0 * (ATTEMPTS - 1) as f64)), "{service}");
    }
    system.finish().await;
}
