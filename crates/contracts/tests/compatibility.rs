//! What the checker of contracts refuses, in words that help; and that what it allows, old consumers can read.

mod compatibility {
    pub(crate) mod random;
}

use std::collections::BTreeMap;

use contracts::catalogue::{CATALOGUE, find};
use contracts::compatibility::changes;
use contracts::compatibility::review::{Files, against_base};
use contracts::envelope::Envelope;
use contracts::schema::{self, Described};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use compatibility::random;

/// The schemas as they are, as the base that a change starts from.
fn base() -> Files {
    schema::all().iter().map(|described| (described.file(), described.text())).collect()
}

/// The review of one change of `order.created`, version 2.
fn reviewed(edit: impl FnOnce(&mut Value)) -> Vec<String> {
    reviewed_of("order.created.v2.json", edit)
}

fn reviewed_of(file: &str, edit: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut types = schema::all();
    edit(&mut types.iter_mut().find(|described| described.file() == file).unwrap().json);
    against_base(&base(), &types)
}

/// Fails unless there is one fault, with all these parts.
fn one(faults: Vec<String>, parts: &[&str]) {
    let [fault] = &faults[..] else { panic!("{faults:#?}") };
    for part in parts {
        assert!(fault.contains(part), "{part:?} is not in\n{fault}");
    }
}

fn take(map: &mut Value, name: &str) -> Value {
    map.as_object_mut().unwrap().remove(name).unwrap()
}

fn forget(required: &mut Value, name: &str) {
    required.as_array_mut().unwrap().retain(|field| field != name);
}

#[test]
fn no_change_passes() {
    assert_eq!(against_base(&base(), &schema::all()), Vec::<String>::new());
}

#[test]
fn an_optional_field_passes_and_so_do_other_words() {
    let faults = reviewed(|schema| {
        schema["properties"]["note"] = json!({"type": ["string", "null"], "maxLength": 9});
        schema["$defs"]["CreatedLine"]["properties"]["weight_grams"] = json!({"type": "integer"});
        schema["$defs"]["Money"]["description"] = json!("Coins.");
    });
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn a_new_event_and_a_new_version_pass() {
    let mut types = schema::all();
    types.push(Described { event: Some(("order.created", 3)), json: json!({"type": "object"}) });
    types.push(Described { event: Some(("order.returned", 1)), json: json!({"type": "object"}) });
    assert_eq!(against_base(&base(), &types), Vec::<String>::new());
}

#[test]
fn removing_a_used_field_names_event_field_rule_and_consumers() {
    let faults = reviewed(|schema| {
        take(&mut schema["$defs"]["CreatedLine"]["properties"], "quantity");
        forget(&mut schema["$defs"]["CreatedLine"]["required"], "quantity");
    });
    one(
        faults,
        &[
            "order.created version 2: lines[].quantity was removed",
            "rule: a field stays",
            "read by: inventory",
            "make a version 3: docs/changing-an-event.md",
        ],
    );
}

#[test]
fn removing_a_field_that_nobody_reads_says_so() {
    let faults = reviewed(|schema| {
        take(&mut schema["properties"], "payment_method");
        forget(&mut schema["required"], "payment_method");
    });
    one(faults, &["payment_method was removed", "no consumer reads this field; consumers of the event: inventory"]);
}

#[test]
fn renaming_a_field_is_recognised() {
    let faults = reviewed_of("order.confirmed.v1.json", |schema| {
        let total = take(&mut schema["properties"], "total");
        schema["properties"]["sum"] = total;
        forget(&mut schema["required"], "total");
    });
    one(faults, &["order.confirmed version 1: total was removed (renamed to sum?)", "read by: email"]);
}

#[test]
fn retyping_a_field_is_refused() {
    let faults = reviewed(|schema| schema["$defs"]["Quantity"]["type"] = json!("string"));
    one(
        faults,
        &["lines[].quantity was integer (int64) and is string (int64) now", "a field keeps its type", "inventory"],
    );
    let nullable = json!({"type": ["string", "null"], "format": "uuid"});
    let faults = reviewed(|schema| schema["properties"]["order_id"] = nullable);
    one(faults, &["order_id was string (uuid) and is null or string (uuid) now"]);
}

#[test]
fn tightening_and_loosening_are_refused() {
    let faults = reviewed(|schema| schema["$defs"]["Quantity"]["maximum"] = json!(100));
    one(faults, &["lines[].quantity maximum was 10000 and is 100 now", "limits stay", "read by: inventory"]);
    let faults = reviewed(|schema| schema["$defs"]["Quantity"]["maximum"] = json!(1_000_000));
    one(faults, &["lines[].quantity maximum was 10000 and is 1000000 now"]);
    let faults = reviewed(|schema| schema["properties"]["payment_method"]["maxLength"] = json!(20));
    one(faults, &["payment_method maxLength was absent and is 20 now"]);
    let faults = reviewed(|schema| schema["additionalProperties"] = json!(false));
    one(faults, &["the data as a whole additionalProperties was absent", "read by: inventory"]);
}

#[test]
fn required_and_optional_stay_what_they_are() {
    let faults = reviewed_of("order.cancelled.v1.json", |schema| {
        schema["required"].as_array_mut().unwrap().push(json!("customer_id"));
    });
    one(faults, &["order.cancelled version 1: customer_id was optional and is required now", "read by: email\n"]);
    let faults = reviewed_of("order.cancelled.v1.json", |schema| forget(&mut schema["required"], "order_id"));
    one(faults, &["order_id was required and is optional now", "read by: inventory, email"]);
    let faults = reviewed(|schema| {
        schema["properties"]["coupon"] = json!({"type": "string"});
        schema["required"].as_array_mut().unwrap().push(json!("coupon"));
    });
    one(faults, &["coupon was added as a required field", "a new field is optional"]);
}

#[test]
fn lists_of_values_stay() {
    let faults = reviewed_of("order.cancelled.v1.json", |schema| {
        schema["$defs"]["CancelReason"]["oneOf"][0]["const"] = json!("sold-out");
    });
    one(faults, &["reason gained \"sold-out\" and lost \"out-of-stock\"", "read by: email"]);
}

#[test]
fn an_earlier_version_and_the_envelope_are_watched_too() {
    let faults = reviewed_of("order.created.v1.json", |schema| {
        take(&mut schema["properties"], "total");
        forget(&mut schema["required"], "total");
    });
    one(faults, &["order.created version 1: total was removed", "read by: inventory", "make a version 3"]);
    let faults = reviewed_of("envelope.json", |schema| forget(&mut schema["required"], "subject"));
    one(faults, &["the envelope: subject was required and is optional now", "it can only grow"]);
    let mut types = schema::all();
    types.retain(|described| described.event != Some(("order.created", 1)));
    one(
        against_base(&base(), &types),
        &["order.created version 1: was removed", "a version stays readable", "inventory"],
    );
}

fn valid(schema: &Value, value: &Value) -> Result<(), String> {
    let validator = jsonschema::draft202012::options().should_validate_formats(true).build(schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    if errors.is_empty() { Ok(()) } else { Err(format!("{errors:?}")) }
}

/// Random schemas, each with a random change: whatever the checker allows, a consumer of the old one reads what is
/// published by the new one, and a consumer of the new one what was published by the old one.
#[test]
fn what_the_checker_allows_both_sides_can_read() {
    let seen = std::cell::RefCell::new(BTreeMap::<bool, usize>::new());
    let mut runner = TestRunner::new(Config { cases: 1500, failure_persistence: None, ..Config::default() });
    let contradictions = std::cell::RefCell::new(0);
    let strategy = (random::schema(), any::<u64>(), any::<[u64; 6]>());
    runner
        .run(&strategy, |(old, edit, seeds)| {
            let new = random::edited(&old, edit);
            let verdict = changes(&old, &new).is_empty();
            *seen.borrow_mut().entry(verdict).or_default() += 1;
            for seed in seeds.into_iter().filter(|_| verdict) {
                let (published, stored) = (random::instance(&new, seed), random::instance(&old, seed));
                // two edits can contradict each other; by such a schema nothing can be published
                if valid(&new, &published).is_err() {
                    *contradictions.borrow_mut() += 1;
                    continue;
                }
                prop_assert_eq!(valid(&old, &published), Ok(()), "{} by {} was allowed for {}", &published, &new, &old);
                prop_assert_eq!(valid(&new, &stored), Ok(()), "{} of {} was allowed to become {}", &stored, &old, &new);
            }
            Ok(())
        })
        .unwrap();
    let allowed = seen.into_inner();
    assert!(contradictions.into_inner() < allowed[&true] / 4, "the test makes too much data that is wrong");
    assert!(allowed.values().all(|count| *count > 100) && allowed.len() == 2, "the test has to see both: {allowed:?}");
}

/// The real schemas with a change that the checker allows: the consumers that are built today decode what would be
/// published then.
#[test]
fn what_the_checker_allows_the_consumers_of_today_decode() {
    let types = schema::all();
    let seen = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config { cases: 600, failure_persistence: None, ..Config::default() });
    let newest: Vec<&Described> = types
        .iter()
        .filter(|described| described.event.is_some_and(|(name, version)| find(name).unwrap().version == version))
        .collect();
    assert_eq!(newest.len(), CATALOGUE.len());
    runner
        .run(&(0..newest.len(), any::<u64>(), any::<u64>()), |(index, edit, seed)| {
            let (name, version) = newest[index].event.unwrap();
            let new = random::edited(&newest[index].json, edit);
            if !changes(&newest[index].json, &new).is_empty() {
                return Ok(());
            }
            seen.set(seen.get() + 1);
            let path = format!("{}/fixtures/{name}.v{version}.json", env!("CARGO_MANIFEST_DIR"));
            let mut event: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            let mut data = random::instance(&new, seed);
            // the envelope of the fixture is about this subject
            for key in ["order_id", "customer_id", "sku"] {
                if let Some(id) = event["data"].get(key) {
                    data[key] = id.clone();
                }
            }
            event["data"] = data;
            let bytes = serde_json::to_vec(&event).unwrap();
            let read = Envelope::from_json(&bytes).and_then(|envelope| (find(name).unwrap().check)(&envelope));
            prop_assert_eq!(read, Ok(()), "{}", event);
            Ok(())
        })
        .unwrap();
    assert!(seen.get() > 100, "only {} changes were allowed", seen.get());
}
