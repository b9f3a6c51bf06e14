//! The committed schemas: they say what the types say, and the golden fixtures are valid by them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use contracts::catalogue::CATALOGUE;
use contracts::compatibility::review::{Files, against_types};
use contracts::envelope::Envelope;
use contracts::readers::{self, READERS};
use contracts::schema;
use serde_json::{Value, json};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn committed() -> Files {
    let files = fs::read_dir(folder("schemas")).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap()))
        .collect()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::draft202012::options().should_validate_formats(true).build(schema).unwrap()
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let faults = against_types(&schema::all(), &committed());
    assert!(faults.is_empty(), "{}\n`cargo xtask contracts write` writes them anew", faults.join("\n"));
}

#[test]
fn a_schema_that_is_missing_stale_or_left_over_is_named() {
    let (types, mut files) = (schema::all(), committed());
    files.remove("order.created.v1.json");
    files.insert("order.created.v2.json".to_owned(), "{}".to_owned());
    files.insert("order.forgotten.v1.json".to_owned(), "{}".to_owned());
    let faults = against_types(&types, &files);
    assert_eq!(
        faults,
        [
            "order.created version 1: there is no schemas/order.created.v1.json",
            "order.created version 2: schemas/order.created.v2.json is not what its type says",
            "order.forgotten version 1: schemas/order.forgotten.v1.json belongs to no type",
        ]
    );
}

#[test]
fn every_schema_is_one_and_has_the_name_that_events_call_it_by() {
    for described in schema::all() {
        assert!(jsonschema::draft202012::meta::is_valid(&described.json), "{}", described.file());
        if let Some((name, version)) = described.event {
            assert_eq!(described.json["$id"], contracts::envelope::schema_urn(name, version));
        }
    }
}

#[test]
fn every_fixture_is_valid_by_the_schemas_and_decodes() {
    let envelope = validator(&read(&folder("schemas/envelope.json")));
    for event in CATALOGUE {
        for version in 1..=event.version {
            let path = folder(&format!("fixtures/{}.v{version}.json", event.name));
            let fixture = read(&path);
            let schema = validator(&read(&folder(&format!("schemas/{}.v{version}.json", event.name))));
            for (validator, value) in [(&envelope, &fixture), (&schema, &fixture["data"])] {
                let errors: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{}: {errors:?}", path.display());
            }
            (event.check)(&Envelope::from_json(&fs::read(&path).unwrap()).unwrap()).unwrap();
        }
    }
}

#[test]
fn what_the_decoder_refuses_the_schema_refuses() {
    let path = folder("fixtures/order.created.v2.json");
    let schema = validator(&read(&folder("schemas/order.created.v2.json")));
    for (pointer, wrong) in [
        ("/order_id", json!("somebody")),
        ("/lines/0/quantity", json!(0)),
        ("/lines/0/quantity", json!(10_001)),
        ("/lines/1/sku", json!("not a sku")),
        ("/total/amount", json!(-1)),
        ("/total/currency", json!("eur")),
        ("/payment_method", json!(7)),
        ("/created_at", json!("yesterday")),
    ] {
        let mut fixture = read(&path);
        *fixture["data"].pointer_mut(pointer).unwrap() = wrong;
        assert!(!schema.is_valid(&fixture["data"]), "{pointer}");
        let bytes = serde_json::to_vec(&fixture).unwrap();
        let decoded = contracts::catalogue::find("order.created").unwrap().check;
        assert!(decoded(&Envelope::from_json(&bytes).unwrap()).is_err(), "{pointer}");
    }
}

/// The fields of an event, those of its lines with them; not what the small types are made of.
fn fields(schema: &Value) -> Vec<String> {
    let mut fields = Vec::new();
    for (name, field) in schema["properties"].as_object().unwrap() {
        match field["items"]["$ref"].as_str() {
            Some(line) => {
                let line = schema.pointer(line.trim_start_matches('#')).unwrap();
                fields.extend(line["properties"].as_object().unwrap().keys().map(|inner| format!("{name}[].{inner}")));
            }
            None => fields.push(name.clone()),
        }
    }
    fields
}

#[test]
fn every_consumer_is_listed_with_fields_that_exist() {
    let listed: Vec<_> = READERS.iter().map(|reader| (reader.event, reader.service)).collect();
    let expected: Vec<_> =
        CATALOGUE.iter().flat_map(|event| event.consumers.iter().map(|service| (event.name, *service))).collect();
    assert_eq!(listed, expected, "src/readers.rs lists the consumers of the catalogue, in its order");
    for reader in READERS {
        let version = contracts::catalogue::find(reader.event).unwrap().version;
        let known = fields(&read(&folder(&format!("schemas/{}.v{version}.json", reader.event))));
        for field in reader.fields {
            assert!(known.iter().any(|known| known == field), "{}: there is no {field}", reader.event);
        }
    }
}

/// All source files of a service beside its tests.
fn sources(folder: &Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().unwrap().to_str().unwrap() {
            "tests" | "tests.rs" => {}
            _ if path.is_dir() => sources(&path, texts),
            _ => {
                let text = fs::read_to_string(&path).unwrap();
                texts.push(text.split("#[cfg(test)]").next().unwrap().to_owned());
            }
        }
    }
}

/// Whether one of the texts takes the field `name` of something: `event.name`, or out of a pattern.
fn takes(texts: &[&String], name: &str) -> bool {
    let access = format!(".{name}");
    texts.iter().any(|text| {
        text.match_indices(&access).any(|(at, _)| {
            let after = text[at + access.len()..].chars().next();
            !after.is_some_and(|next| next.is_alphanumeric() || next == '_' || next == '(')
        })
    })
}

/// A field that a consumer's code takes, in files that know the event or its lines, is listed; and the other way round.
#[test]
fn the_listed_fields_are_those_that_the_consumers_take() {
    for reader in READERS {
        let mut texts = Vec::new();
        sources(&folder("../../services").join(reader.service.name()).join("src"), &mut texts);
        let event = contracts::catalogue::find(reader.event).unwrap();
        let schema = read(&folder(&format!("schemas/{}.v{}.json", event.name, event.version)));
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        let name: String = event.name.split('.').map(capital).collect();
        let lines = schema["$defs"].as_object().unwrap().iter().filter(|(_, kind)| kind["type"] == "object");
        let names: BTreeSet<String> =
            lines.map(|(line, _)| line.clone()).filter(|line| line != "Money").chain([name]).collect();
        let near: Vec<&String> = texts.iter().filter(|text| names.iter().any(|name| text.contains(name))).collect();
        for field in fields(&schema) {
            let last = field.rsplit('.').next().unwrap();
            let listed = reader.fields.contains(&field.as_str());
            assert!(takes(&near, last) || !listed, "{} is listed to read {field} of {}", reader.service, event.name);
            // a file that reads several events says `sku` of one of them
            let elsewhere =
                READERS.iter().filter(|other| other.service == reader.service && other.event != reader.event);
            let ambiguous =
                elsewhere.flat_map(|other| other.fields).any(|field| field.rsplit('.').next() == Some(last));
            assert!(!takes(&near, last) || listed || ambiguous, "{} reads {field} of {}", reader.service, event.name);
        }
    }
    assert_eq!(readers::of("order.confirmed").count(), 2);
}
