//! Random schemas, random edits of a schema, and random data that is valid by it.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A small generator of numbers: the same seed gives the same data (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % sides as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.roll(choices.len())]
    }
}

/// Leaves: what a field without fields may be.
fn leaves() -> Vec<Value> {
    vec![
        json!({"type": "string"}),
        json!({"type": "string", "format": "uuid"}),
        json!({"type": "string", "format": "date-time"}),
        json!({"type": "string", "minLength": 1, "maxLength": 5}),
        json!({"type": "string", "enum": ["a", "b"]}),
        json!({"oneOf": [{"type": "string", "const": "a"}, {"type": "string", "const": "b", "description": "B"}]}),
        json!({"type": "integer"}),
        json!({"type": "integer", "minimum": 0}),
        json!({"type": "integer", "minimum": 1, "maximum": 9}),
        json!({"type": "number"}),
        json!({"type": "boolean"}),
        json!({"type": ["string", "null"]}),
        json!({"$ref": "#/$defs/Small"}),
        json!({"anyOf": [{"$ref": "#/$defs/Small"}, {"type": "null"}]}),
        json!({"$ref": "#/$defs/Code"}),
    ]
}

/// A schema of an object with a few fields, lists and objects among them.
pub(crate) fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop::sample::select(leaves());
    let field = leaf.prop_recursive(3, 12, 4, |inner| {
        let object = prop::collection::btree_map("[a-d]", (inner.clone(), any::<bool>()), 1..4).prop_map(object);
        prop_oneof![
            2 => object,
            1 => inner.prop_map(|items| json!({"type": "array", "items": items})),
        ]
    });
    prop::collection::btree_map("[a-e]", (field, any::<bool>()), 1..5).prop_map(|fields| {
        let mut schema = object(fields);
        schema["$defs"] = json!({
            "Small": {"type": "object", "properties": {"n": {"type": "integer"}, "m": {"type": "string"}}, "required": ["n"]},
            "Code": {"type": "string", "pattern": "^[A-Z]{3}$"},
        });
        schema
    })
}

fn object(fields: std::collections::BTreeMap<String, (Value, bool)>) -> Value {
    let required: Vec<&String> = fields.iter().filter(|(_, (_, required))| *required).map(|(name, _)| name).collect();
    let properties: Map<String, Value> =
        fields.iter().map(|(name, (schema, _))| (name.clone(), schema.clone())).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// The schema with one or two random edits; half of them only add something optional.
pub(crate) fn edited(schema: &Value, seed: u64) -> Value {
    let mut dice = Dice(seed);
    let mut edited = schema.clone();
    for _ in 0..=dice.roll(2) {
        let mut places = Vec::new();
        nodes(&edited, String::new(), &mut places);
        let place = dice.pick(&places).clone();
        edit(edited.pointer_mut(&place).unwrap(), &mut dice);
    }
    edited
}

/// The places of all schemas within a schema.
fn nodes(node: &Value, place: String, places: &mut Vec<String>) {
    for keyword in ["properties", "$defs"] {
        for (name, inner) in node[keyword].as_object().into_iter().flatten() {
            nodes(inner, format!("{place}/{keyword}/{name}"), places);
        }
    }
    for keyword in ["anyOf", "oneOf"] {
        for (index, inner) in node[keyword].as_array().into_iter().flatten().enumerate() {
            nodes(inner, format!("{place}/{keyword}/{index}"), places);
        }
    }
    if node["items"].is_object() {
        nodes(&node["items"], format!("{place}/items"), places);
    }
    places.push(place);
}

fn edit(node: &mut Value, dice: &mut Dice) {
    let leaf = dice.pick(&leaves()).clone();
    // a reference to a definition that this schema lacks means nothing
    let known = leaf.to_string().contains("$ref");
    let leaf = if known { json!({"type": "array", "items": {"type": "integer"}}) } else { leaf };
    let fields: Vec<String> =
        node["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let required = |node: &Value| node["required"].as_array().cloned().unwrap_or_default();
    match (dice.roll(12), fields.is_empty()) {
        (0..=4, false) => node["properties"][format!("new{}", dice.roll(3))] = leaf,
        (5, _) => node["description"] = json!("other words"),
        (6, false) => drop(node["properties"].as_object_mut().unwrap().remove(dice.pick(&fields))),
        (7, false) => {
            let name = dice.pick(&fields).clone();
            let now = match required(node) {
                mut names if names.contains(&json!(name)) => {
                    names.retain(|known| *known != json!(name));
                    names
                }
                names => [names, vec![json!(name)]].concat(),
            };
            node["required"] = json!(now);
        }
        (8, false) => node["properties"][dice.pick(&fields).as_str()] = leaf,
        (8, true) => node["maxLength"] = json!(dice.roll(3) + 1),
        (9, _) => node["minimum"] = json!(dice.roll(5)),
        (10, _) if node["enum"].is_array() => node["enum"] = json!(["a", "c"]),
        (10, _) => node["type"] = dice.pick(&[json!("string"), json!("integer"), json!(["object", "null"])]).clone(),
        (11, false) => node["additionalProperties"] = json!(false),
        (_, _) => node["title"] = json!("another title"),
    }
}

/// Data as a publisher of that schema writes it: with its own fields and no others, optional ones now and then.
pub(crate) fn instance(schema: &Value, seed: u64) -> Value {
    value(schema, schema, &mut Dice(seed))
}

fn value(root: &Value, node: &Value, dice: &mut Dice) -> Value {
    if let Some(reference) = node["$ref"].as_str() {
        return value(root, root.pointer(reference.trim_start_matches('#')).unwrap(), dice);
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(branches) = node[keyword].as_array() {
            return value(root, dice.pick(branches), dice);
        }
    }
    if let Some(fixed) = node.get("const") {
        return fixed.clone();
    }
    if let Some(values) = node["enum"].as_array() {
        return dice.pick(values).clone();
    }
    let kind = match &node["type"] {
        Value::Array(kinds) => dice.pick(kinds).as_str().unwrap(),
        kind => kind.as_str().unwrap(),
    };
    match kind {
        "object" => {
            let required = node["required"].as_array().cloned().unwrap_or_default();
            let fields = node["properties"].as_object().into_iter().flatten();
            let written = fields.filter_map(|(name, field)| {
                let write = required.contains(&json!(name)) || dice.roll(2) == 0;
                write.then(|| (name.clone(), value(root, field, dice)))
            });
            Value::Object(written.collect())
        }
        "array" => (0..dice.roll(3)).map(|_| value(root, &node["items"], dice)).collect(),
        "integer" | "number" => {
            let lowest = node["minimum"].as_i64().unwrap_or(-3);
            let highest = node["maximum"].as_i64().unwrap_or(lowest + 9).max(lowest);
            json!(lowest + i64::try_from(dice.roll(usize::try_from(highest - lowest + 1).unwrap())).unwrap())
        }
        "boolean" => json!(dice.roll(2) == 0),
        "null" => Value::Null,
        _ => json!(text(node, dice)),
    }
}

fn text(node: &Value, dice: &mut Dice) -> String {
    match (node["format"].as_str(), node["pattern"].as_str()) {
        (Some("uuid"), _) => format!("0198c0de-0000-7000-8000-{:012x}", dice.roll(1 << 20)),
        (Some("date-time"), _) => format!("2026-01-15T10:30:{:02}Z", dice.roll(60)),
        (_, Some("^[A-Z]{3}$")) => (*dice.pick(&["EUR", "USD", "JPY"])).to_owned(),
        (_, Some(_)) => (*dice.pick(&["tea-500g", "cup", "A_1.b"])).to_owned(),
        _ => {
            let lowest = usize::try_from(node["minLength"].as_u64().unwrap_or(0)).unwrap();
            let highest = usize::try_from(node["maxLength"].as_u64().unwrap_or(6)).unwrap();
            let length = lowest + dice.roll(highest.saturating_sub(lowest) + 1);
            (0..length).map(|_| *dice.pick(&['a', 'ü', ' ', '7'])).collect()
        }
    }
}
