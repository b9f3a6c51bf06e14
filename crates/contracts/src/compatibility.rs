//! Whether a changed schema still means the same to those who know the old one.
//!
//! Within a version a contract can only grow: fields are added, and only optional ones. Then consumers of the old schema
//! read what is published by the new one, since they ignore what they do not know; and consumers of the new one read
//! what was published by the old one, which is stored and under way. Everything else needs a new version. What cannot be
//! judged counts as a change.

mod normal;
pub mod review;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use normal::normal;

/// One change that is not additive.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Which field: `lines[].quantity`; empty for the data as a whole.
    pub place: String,
    /// How it changed.
    pub kind: Kind,
}

/// How a field changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// It is no more; perhaps it has that other name now.
    Removed {
        /// A new field of the same shape beside it.
        renamed: Option<String>,
    },
    /// It is new, and required.
    AddedRequired,
    /// It was optional.
    BecameRequired,
    /// It was required.
    BecameOptional,
    /// It has another type.
    Retyped {
        /// The old one.
        was: String,
        /// The new one.
        is: String,
    },
    /// Other values are allowed.
    Values {
        /// New ones.
        added: Vec<String>,
        /// Those that are gone.
        removed: Vec<String>,
    },
    /// Another constraint has changed: `minimum`, `pattern`, …
    Constraint {
        /// The keyword of JSON Schema.
        keyword: String,
        /// The old value.
        was: String,
        /// The new value.
        is: String,
    },
}

impl Kind {
    /// The rule that it goes against.
    pub const fn rule(&self) -> &'static str {
        match self {
            Kind::Removed { .. } => "a field stays: consumers read it",
            Kind::AddedRequired => "a new field is optional: events that are stored or under way do not have it",
            Kind::BecameRequired => "a field stays optional: events that are stored or under way may lack it",
            Kind::BecameOptional => "a field stays required: consumers fail without it",
            Kind::Retyped { .. } => "a field keeps its type",
            Kind::Values { .. } => {
                "a list of values stays: consumers fail at new ones, and stored events hold the old ones"
            }
            Kind::Constraint { .. } => {
                "limits stay: what is looser breaks consumers, what is tighter breaks stored events"
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Removed { renamed: None } => f.write_str("was removed"),
            Kind::Removed { renamed: Some(name) } => write!(f, "was removed (renamed to {name}?)"),
            Kind::AddedRequired => f.write_str("was added as a required field"),
            Kind::BecameRequired => f.write_str("was optional and is required now"),
            Kind::BecameOptional => f.write_str("was required and is optional now"),
            Kind::Retyped { was, is } => write!(f, "was {was} and is {is} now"),
            Kind::Values { added, removed } => {
                let list = |verb: &str, values: &[String]| match values {
                    [] => None,
                    values => Some(format!("{verb} {}", values.join(", "))),
                };
                let lists: Vec<_> = [list("gained", added), list("lost", removed)].into_iter().flatten().collect();
                f.write_str(&lists.join(" and "))
            }
            Kind::Constraint { keyword, was, is } => write!(f, "{keyword} was {was} and is {is} now"),
        }
    }
}

/// All changes from the schema `old` to `new` that are not additive, in the order of their places.
pub fn changes(old: &Value, new: &Value) -> Vec<Change> {
    let mut comparison = Comparison::default();
    comparison.nodes("", &normal(old), &normal(new));
    comparison.0
}

/// Keywords that speak of all fields of an object: where one of them stands, an added field is not harmless.
const OF_ALL_FIELDS: [&str; 8] = [
    "additionalProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
];

#[derive(Default)]
struct Comparison(Vec<Change>);

impl Comparison {
    fn tell(&mut self, place: &str, kind: Kind) {
        self.0.push(Change { place: place.to_owned(), kind });
    }

    /// Compares two schemas in their normal form.
    fn nodes(&mut self, place: &str, old: &Value, new: &Value) {
        if old == new {
            return;
        }
        let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
            return self.constraint(place, "schema", Some(old), Some(new));
        };
        if kind_of(old) != kind_of(new) {
            return self.tell(place, Kind::Retyped { was: kind_of(old), is: kind_of(new) });
        }
        // what this keyword means depends on all the others: no part can be judged by itself
        if let Some(keyword) = ["unevaluatedProperties", "unevaluatedItems"]
            .into_iter()
            .find(|keyword| old.contains_key(*keyword) || new.contains_key(*keyword))
        {
            let whole = |node: &Map<String, Value>| Value::Object(node.clone());
            return self.constraint(place, keyword, Some(&whole(old)), Some(&whole(new)));
        }
        let keywords: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for keyword in keywords {
            let (was, is) = (old.get(keyword), new.get(keyword));
            match (keyword.as_str(), was, is) {
                ("required", ..) => {}
                ("properties", ..) => self.fields(place, old, new),
                ("items", Some(was), Some(is)) => self.nodes(&format!("{place}[]"), was, is),
                ("additionalProperties", Some(was @ Value::Object(_)), Some(is @ Value::Object(_))) => {
                    self.nodes(&format!("{place}.*"), was, is);
                }
                ("anyOf" | "allOf", Some(Value::Array(was)), Some(Value::Array(is))) if was.len() == is.len() => {
                    was.iter().zip(is).for_each(|(was, is)| self.nodes(place, was, is));
                }
                ("enum", Some(Value::Array(was)), Some(Value::Array(is))) => self.values(place, was, is),
                (_, was, is) if was == is => {}
                (keyword, was, is) => self.constraint(place, keyword, was, is),
            }
        }
        if !old.contains_key("properties") && !new.contains_key("properties") {
            self.required(place, old, new);
        }
    }

    fn fields(&mut self, place: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let none = Map::new();
        let fields = |node: &Map<String, Value>| node.get("properties").and_then(Value::as_object).cloned();
        let (was, is) = (fields(old).unwrap_or(none.clone()), fields(new).unwrap_or(none));
        for (name, schema) in &was {
            let inner = join(place, name);
            match is.get(name) {
                Some(now) => self.nodes(&inner, schema, now),
                None => {
                    let same = |(other, now): &(&String, &Value)| !was.contains_key(*other) && *now == schema;
                    let renamed = is.iter().find(same).map(|(other, _)| join(place, other));
                    self.tell(&inner, Kind::Removed { renamed });
                }
            }
        }
        for name in is.keys().filter(|name| !was.contains_key(*name)) {
            if let Some(keyword) = OF_ALL_FIELDS.into_iter().find(|keyword| old.contains_key(*keyword)) {
                let (was, is) = ("without it".to_owned(), "with it".to_owned());
                self.tell(&join(place, name), Kind::Constraint { keyword: keyword.to_owned(), was, is });
            }
        }
        self.required(place, old, new);
    }

    fn required(&mut self, place: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let (was, is) = (names(old, "required"), names(new, "required"));
        let field = |node: &Map<String, Value>, name: &str| {
            node.get("properties").and_then(|fields| fields.get(name)).is_some()
        };
        for name in is.difference(&was) {
            let kind = if field(old, name) { Kind::BecameRequired } else { Kind::AddedRequired };
            self.tell(&join(place, name), kind);
        }
        // a field that was removed as well is told once
        for name in was.difference(&is).filter(|name| field(new, name) || !field(old, name)) {
            self.tell(&join(place, name), Kind::BecameOptional);
        }
    }

    fn values(&mut self, place: &str, was: &[Value], is: &[Value]) {
        let beyond = |values: &[Value], known: &[Value]| -> Vec<String> {
            values.iter().filter(|value| !known.contains(value)).map(ToString::to_string).collect()
        };
        let (added, removed) = (beyond(is, was), beyond(was, is));
        if !added.is_empty() || !removed.is_empty() {
            self.tell(place, Kind::Values { added, removed });
        }
    }

    fn constraint(&mut self, place: &str, keyword: &str, was: Option<&Value>, is: Option<&Value>) {
        let text = |value: Option<&Value>| value.map_or_else(|| "absent".to_owned(), short);
        self.tell(place, Kind::Constraint { keyword: keyword.to_owned(), was: text(was), is: text(is) });
    }
}

fn join(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

fn names<'a>(node: &'a Map<String, Value>, keyword: &str) -> BTreeSet<&'a str> {
    node.get(keyword).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The type of a schema in words: `integer`, `string or null`, `string (uuid)`.
fn kind_of(node: &Map<String, Value>) -> String {
    let mut kinds: BTreeSet<String> = match node.get("type") {
        Some(Value::String(kind)) => [kind.clone()].into(),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => BTreeSet::new(),
    };
    for keyword in ["anyOf", "oneOf"] {
        let branches = node.get(keyword).and_then(Value::as_array).into_iter().flatten();
        kinds.extend(branches.filter_map(Value::as_object).map(kind_of));
    }
    let text = match kinds.len() {
        0 => "anything".to_owned(),
        _ => kinds.into_iter().collect::<Vec<_>>().join(" or "),
    };
    match node.get("format").and_then(Value::as_str) {
        Some(format) => format!("{text} ({format})"),
        None => text,
    }
}

/// A constraint for a message, which is no place for a whole schema.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
