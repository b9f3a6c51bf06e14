//! One event with everything that is known of it: what the list, the site and the AsyncAPI document are made of.

use anyhow::Context;
use contracts::catalogue::{CATALOGUE, EventType};
use contracts::readers::{self, Reader};
use serde::Serialize;
use serde_json::Value;

use super::documents::{FIXTURES, SCHEMAS, find};

/// An event of the catalogue.
pub(super) struct Entry {
    /// Its line of the catalogue.
    pub(super) event: &'static EventType,
    /// Its consumers, with what they read.
    pub(super) readers: Vec<&'static Reader>,
    /// Its versions, the newest first.
    pub(super) versions: Vec<Version>,
}

/// One version of an event's data.
pub(super) struct Version {
    /// Its number.
    pub(super) number: u16,
    /// The JSON Schema of the data.
    pub(super) schema: Value,
    /// A whole event of this version, as it travels.
    pub(super) example: Value,
    /// The fields, from the schema.
    pub(super) fields: Vec<Field>,
}

/// A field of the data.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Field {
    /// Where: `lines[].sku`.
    pub(super) path: String,
    /// What it is, in words.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Whether it is always there.
    pub(super) required: bool,
    /// What it says.
    pub(super) meaning: String,
}

/// All events, in the order of the catalogue.
///
/// # Errors
/// When a schema or fixture is missing in this build or is no JSON, which the tests of contracts rule out.
pub(super) fn all() -> anyhow::Result<Vec<Entry>> {
    CATALOGUE.iter().map(Entry::new).collect()
}

/// The schema of the envelope.
///
/// # Errors
/// As [`all`].
pub(super) fn envelope() -> anyhow::Result<Value> {
    document(SCHEMAS, "envelope")
}

fn document(documents: &[(&'static str, &'static str)], name: &str) -> anyhow::Result<Value> {
    let text = find(documents, name).with_context(|| format!("this build lacks {name}.json"))?;
    serde_json::from_str(text).with_context(|| format!("{name}.json of this build is no JSON"))
}

impl Entry {
    fn new(event: &'static EventType) -> anyhow::Result<Self> {
        let version = |number: u16| {
            let name = format!("{}.v{number}", event.name);
            let schema = document(SCHEMAS, &name)?;
            let mut fields = Vec::new();
            describe(&schema, &schema, "", &mut fields);
            Ok(Version { number, example: document(FIXTURES, &name)?, schema, fields })
        };
        let versions = (1..=event.version).rev().map(version).collect::<anyhow::Result<_>>()?;
        Ok(Self { event, readers: readers::of(event.name).collect(), versions })
    }

    /// The newest version.
    pub(super) fn newest(&self) -> &Version {
        &self.versions[0]
    }
}

/// Follows a reference within the schema; what stands beside it wins.
fn resolve(root: &Value, node: &Value) -> Value {
    let Some(target) = node["$ref"].as_str().and_then(|reference| root.pointer(reference.trim_start_matches('#')))
    else {
        return node.clone();
    };
    let mut resolved = target.clone();
    if let (Some(map), Some(beside)) = (resolved.as_object_mut(), node.as_object()) {
        map.extend(beside.iter().filter(|(keyword, _)| *keyword != "$ref").map(|(k, v)| (k.clone(), v.clone())));
    }
    resolved
}

/// Lists the fields of an object in the order in which it requires them, then the optional ones. What is an amount or an
/// id stays one field.
fn describe(root: &Value, node: &Value, above: &str, fields: &mut Vec<Field>) {
    let required: Vec<&str> = node["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(properties) = node["properties"].as_object() else { return };
    let optional = properties.keys().map(String::as_str).filter(|name| !required.contains(name));
    for name in required.iter().copied().chain(optional) {
        let Some(field) = properties.get(name) else { continue };
        let field = resolve(root, field);
        let path = format!("{above}{name}");
        fields.push(Field {
            path: path.clone(),
            kind: kind(root, &field),
            required: required.contains(&name),
            meaning: meaning(&field),
        });
        if field["items"].is_object() {
            describe(root, &resolve(root, &field["items"]), &format!("{path}[]."), fields);
        }
    }
}

fn meaning(field: &Value) -> String {
    let mut text = field["description"].as_str().unwrap_or_default().to_owned();
    let values = field["oneOf"].as_array().into_iter().flatten().filter_map(|value| {
        Some(format!("`{}`: {}", value["const"].as_str()?, value["description"].as_str().unwrap_or_default()))
    });
    for value in values {
        text.push(' ');
        text.push_str(&value);
    }
    text
}

/// The type of a field, as people say it.
fn kind(root: &Value, field: &Value) -> String {
    if let Some(branches) = field["anyOf"].as_array() {
        let kinds = branches.iter().map(|branch| resolve(root, branch)).filter(|branch| branch["type"] != "null");
        return kinds.map(|branch| kind(root, &branch)).collect::<Vec<_>>().join(" or ");
    }
    let name = match &field["type"] {
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("anything")
        }
        kind => kind.as_str().unwrap_or(if field["oneOf"].is_array() { "one of" } else { "anything" }),
    };
    let format = field["format"].as_str();
    match (name, format) {
        ("object", _) if field["properties"]["currency"].is_object() => "money: minor units and currency".to_owned(),
        ("array", _) => "list".to_owned(),
        ("string", Some("uuid")) => "id (UUID)".to_owned(),
        ("string", Some("date-time")) => "time (RFC 3339)".to_owned(),
        ("string", _) => match field["pattern"].as_str() {
            Some(pattern) => format!("text `{}`", pattern.trim_matches(['^', '$'])),
            None => "text".to_owned(),
        },
        ("integer", _) => match (field["minimum"].as_i64(), field["maximum"].as_i64()) {
            (Some(least), Some(most)) => format!("whole number, {least} to {most}"),
            (Some(least), None) => format!("whole number from {least}"),
            _ => "whole number".to_owned(),
        },
        ("number", _) => "decimal number".to_owned(),
        ("boolean", _) => "yes or no".to_owned(),
        ("one of", _) => "one of these texts".to_owned(),
        (other, _) => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_in_words() {
        let entries = all().unwrap();
        let by = |name: &str| entries.iter().find(|entry| entry.event.name == name).unwrap().newest().fields.clone();
        let created = by("order.created");
        let told: Vec<_> = created.iter().map(|field| (field.path.as_str(), field.kind.as_str())).collect();
        assert_eq!(told[0], ("order_id", "id (UUID)"));
        assert!(told.contains(&("lines[].quantity", "whole number, 1 to 10000")), "{told:?}");
        assert!(told.contains(&("total", "money: minor units and currency")), "{told:?}");
        let cancelled = by("order.cancelled");
        let customer = cancelled.iter().find(|field| field.path == "customer_id").unwrap();
        assert_eq!((customer.kind.as_str(), customer.required), ("id (UUID)", false));
        assert!(cancelled.iter().any(|field| field.meaning.contains("`out-of-stock`: Inventory could not")));
    }
}
