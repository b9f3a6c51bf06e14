//! The normal form of a schema: references replaced by what they stand for, without descriptions, lists sorted. Two
//! schemas that differ in more than words differ in their normal forms.

use serde_json::{Map, Value, json};

/// Keywords that say nothing about what is valid.
const WORDS: [&str; 11] = [
    "$schema",
    "$id",
    "$defs",
    "$comment",
    "title",
    "description",
    "examples",
    "default",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// The normal form of a whole schema.
pub(super) fn normal(schema: &Value) -> Value {
    node(schema, schema, &mut Vec::new())
}

/// The normal form of one schema within `root`; `open` are the references that led here.
fn node(root: &Value, schema: &Value, open: &mut Vec<String>) -> Value {
    let map = match schema {
        Value::Object(map) => map,
        Value::Bool(true) => return json!({}),
        Value::Bool(false) => return json!({"not": {}}),
        other => return other.clone(),
    };
    let mut out = Map::new();
    for (keyword, value) in map.iter().filter(|(keyword, _)| !WORDS.contains(&keyword.as_str())) {
        let value = match keyword.as_str() {
            "$ref" => continue,
            "properties" | "patternProperties" | "dependentSchemas" => match value {
                Value::Object(fields) => {
                    fields.iter().map(|(name, field)| (name.clone(), node(root, field, open))).collect()
                }
                other => other.clone(),
            },
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => match value {
                Value::Array(parts) => parts.iter().map(|part| node(root, part, open)).collect(),
                other => other.clone(),
            },
            "items"
            | "additionalProperties"
            | "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "propertyNames"
            | "unevaluatedProperties"
            | "unevaluatedItems" => node(root, value, open),
            "required" | "type" | "enum" => sorted(value),
            _ => value.clone(),
        };
        out.insert(keyword.clone(), value);
    }
    if let Some(Value::String(reference)) = map.get("$ref") {
        follow(root, reference, &mut out, open);
    }
    as_enum(out)
}

/// Puts into `out` what a reference stands for. What stands beside it holds as well.
fn follow(root: &Value, reference: &str, out: &mut Map<String, Value>, open: &mut Vec<String>) {
    let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
    let Some(target) = target.filter(|_| !open.iter().any(|known| known == reference)) else {
        // A circle, or somewhere else: the name, and everything that it could mean here.
        out.insert("$ref".to_owned(), json!([reference, root.get("$defs")]));
        return;
    };
    open.push(reference.to_owned());
    let target = node(root, target, open);
    open.pop();
    match target {
        Value::Object(target) => {
            for (keyword, value) in target {
                // a keyword on both sides: both hold
                let keyword = if out.contains_key(&keyword) { format!("{keyword} and") } else { keyword };
                out.insert(keyword, value);
            }
        }
        other => drop(out.insert("$ref".to_owned(), other)),
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(values) => {
            let mut values = values.clone();
            values.sort_by_cached_key(ToString::to_string);
            values.dedup();
            Value::Array(values)
        }
        other => other.clone(),
    }
}

/// Writes a choice of constants, each with its description, as the list of values that it is.
fn as_enum(mut map: Map<String, Value>) -> Value {
    let constant = |part: &Value| {
        let part = part.as_object()?;
        let plain = part.iter().all(|(keyword, value)| keyword == "const" || (keyword == "type" && value == "string"));
        part.get("const").filter(|value| plain && value.is_string()).cloned()
    };
    let constants: Option<Vec<Value>> = match map.get("oneOf") {
        Some(Value::Array(parts)) => parts.iter().map(constant).collect(),
        _ => None,
    };
    if let Some(constants) = constants.filter(|_| !map.contains_key("enum") && !map.contains_key("type")) {
        map.remove("oneOf");
        map.insert("type".to_owned(), "string".into());
        map.insert("enum".to_owned(), sorted(&Value::Array(constants)));
    }
    Value::Object(map)
}
