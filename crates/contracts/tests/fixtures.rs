//! Golden fixtures: one file per version of every event. They may be added, never edited: they are what older producers
//! send and older logs hold.

use std::fs;
use std::path::PathBuf;

use contracts::catalogue::CATALOGUE;
use contracts::envelope::Envelope;
use contracts::event::{DecodeError, Event};
use contracts::inventory::{InventoryLow, InventoryRejected, InventoryReserved, ProductChanged};
use contracts::order::{
    CustomerChanged, CustomerRegistered, OrderCancelled, OrderConfirmed, OrderCreated, OrderReserved, PaymentCompleted,
    PaymentFailed, PaymentRefunded,
};
use serde_json::Value;

fn path(name: &str, version: u16) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(format!("{name}.v{version}.json"))
}

fn fixture(name: &str, version: u16) -> Vec<u8> {
    fs::read(path(name, version)).unwrap_or_else(|error| panic!("{}: {error}", path(name, version).display()))
}

/// Decodes every version; the newest must come out as it went in.
fn round_trip<E: Event>() -> &'static str {
    for version in 1..=E::VERSION {
        let bytes = fixture(E::TYPE, version);
        let envelope = Envelope::from_json(&bytes).unwrap();
        let event = envelope.event::<E>().unwrap();
        if version == E::VERSION {
            let before: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(serde_json::to_value(&event).unwrap(), before["data"], "{} data", E::TYPE);
            assert_eq!(serde_json::to_value(&envelope).unwrap(), before, "{} envelope", E::TYPE);
        }
        let newer =
            String::from_utf8(bytes).unwrap().replace(&format!("{}:{version}", E::TYPE), &format!("{}:99", E::TYPE));
        let error = Envelope::from_json(newer.as_bytes()).unwrap().event::<E>().err().unwrap();
        assert!(matches!(error, DecodeError::UnsupportedVersion { version: 99, .. }), "{error}");
    }
    E::TYPE
}

#[test]
fn every_version_of_every_event_has_a_fixture_that_decodes() {
    let tested = [
        round_trip::<CustomerRegistered>(),
        round_trip::<CustomerChanged>(),
        round_trip::<ProductChanged>(),
        round_trip::<OrderCreated>(),
        round_trip::<InventoryReserved>(),
        round_trip::<InventoryRejected>(),
        round_trip::<OrderReserved>(),
        round_trip::<PaymentCompleted>(),
        round_trip::<PaymentFailed>(),
        round_trip::<PaymentRefunded>(),
        round_trip::<OrderConfirmed>(),
        round_trip::<OrderCancelled>(),
        round_trip::<InventoryLow>(),
    ];
    assert_eq!(tested.to_vec(), CATALOGUE.iter().map(|event| event.name).collect::<Vec<_>>());
    let expected: usize = CATALOGUE.iter().map(|event| usize::from(event.version)).sum();
    assert_eq!(fs::read_dir(path("x", 1).parent().unwrap()).unwrap().count(), expected, "a fixture of nothing");
}

#[test]
fn version_1_of_order_created_gets_its_total_corrected() {
    let bytes = fixture("order.created", 1);
    let event: OrderCreated = Envelope::from_json(&bytes).unwrap().event().unwrap();
    assert_eq!(event.total.to_string(), "44.98 EUR", "2 x 19.99 + 5.00, where version 1 said 24.99");
    assert_eq!(event.lines.len(), 2);
}

#[test]
fn events_are_small() {
    for event in CATALOGUE {
        let mut value: Value = serde_json::from_slice(&fixture(event.name, event.version)).unwrap();
        if let Some(lines) = value["data"].get_mut("lines") {
            *lines = Value::Array(Vec::new());
        }
        assert!(value.to_string().len() < 1024, "{}", event.name);
    }
}

#[test]
fn a_missing_or_wrong_field_is_malformed_and_named_without_its_value() {
    let good: Value = serde_json::from_slice(&fixture("order.created", 2)).unwrap();
    let decode = |value: &Value| {
        let bytes = serde_json::to_vec(value).unwrap();
        Envelope::from_json(&bytes).and_then(|envelope| envelope.event::<OrderCreated>())
    };
    assert!(decode(&good).is_ok());
    for field in
        ["specversion", "id", "source", "type", "dataschema", "subject", "sequence", "time", "correlationid", "data"]
    {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(field);
        let error = decode(&without).unwrap_err();
        assert!(matches!(&error, DecodeError::Malformed(place) if place.contains(field)), "{field}: {error}");
    }
    for (pointer, wrong) in [
        ("/id", Value::from("secret")),
        ("/sequence", Value::from("0")),
        ("/time", Value::from("yesterday")),
        ("/subject", Value::from("somebody else")),
        ("/dataschema", Value::from("urn:warren:order.cancelled:2")),
        ("/data/lines/0/quantity", Value::from(0)),
        ("/data/lines/1/sku", Value::from("secret sku")),
        ("/data/total/amount", Value::from(-1)),
        ("/data/payment_method", Value::from(7)),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = wrong;
        let error = decode(&bad).unwrap_err();
        assert!(matches!(&error, DecodeError::Malformed(_)), "{pointer}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn what_is_no_json_is_refused_without_repeating_the_name_of_a_stranger_s_field() {
    let json = String::from_utf8(fixture("order.created", 2)).unwrap();
    let broken = r#""secret": tru, "#;
    for place in ["\"specversion\"", "\"quantity\""] {
        let bytes = json.replacen(place, &format!("{broken}{place}"), 1);
        let error = Envelope::from_json(bytes.as_bytes()).unwrap_err();
        assert_eq!(error, DecodeError::Malformed("envelope: not valid JSON".to_owned()));
    }
}

#[test]
fn unknown_fields_are_ignored() {
    let mut value: Value = serde_json::from_slice(&fixture("order.created", 2)).unwrap();
    value["data"]["a_later_addition"] = Value::from(1);
    value["data"]["total"]["another"] = Value::from(1);
    value["someextension"] = Value::from("x");
    let bytes = serde_json::to_vec(&value).unwrap();
    assert!(Envelope::from_json(&bytes).unwrap().event::<OrderCreated>().is_ok());
}

#[test]
fn only_an_escaped_nul_is_refused() {
    let json = String::from_utf8(fixture("customer.registered", 1)).unwrap();
    let nul = json.replace("Ada Example", r"Ada \u0000");
    assert!(matches!(Envelope::from_json(nul.as_bytes()), Err(DecodeError::Malformed(_))));
    let text = json.replace("Ada Example", r"Ada \\u0000");
    assert!(Envelope::from_json(text.as_bytes()).unwrap().event::<CustomerRegistered>().is_ok());
}
