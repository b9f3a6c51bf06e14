//! JSON Schemas (2020-12) of every version of every event and of the envelope, made from the types.
//!
//! They are committed under `schemas/`, so that a change of a contract is seen as one, and so that programs in other
//! languages can read them. `cargo xtask contracts` writes and checks them.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::catalogue::CATALOGUE;
use crate::envelope::{Envelope, schema_urn};
use crate::event::Event;
use crate::order::{OrderCreated, created_v1};

/// The shapes of earlier versions, which are still read.
const EARLIER: &[Earlier] = &[(OrderCreated::TYPE, 1, of::<created_v1::OrderCreated>)];

/// An event's type, one of its earlier versions, and what describes its data.
type Earlier = (&'static str, u16, fn() -> Schema);

/// The name of the envelope's schema; it has no version.
pub const ENVELOPE: &str = "envelope";

/// The schema of an event's data, or of the envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// The event's type and the version of its data; none for the envelope.
    pub event: Option<(&'static str, u16)>,
    /// The schema.
    pub json: Value,
}

impl Described {
    /// The name of its file under `schemas/`: `order.created.v2.json`.
    pub fn file(&self) -> String {
        match self.event {
            Some((name, version)) => format!("{name}.v{version}.json"),
            None => format!("{ENVELOPE}.json"),
        }
    }

    /// The content of that file.
    pub fn text(&self) -> String {
        format!("{:#}\n", self.json)
    }
}

/// All schemas: the envelope's, then every version of every event in the order of the catalogue.
pub fn all() -> Vec<Described> {
    let mut all =
        vec![Described { event: None, json: titled(of::<Envelope<'_>>(), "envelope", "urn:warren:envelope") }];
    for event in CATALOGUE {
        for version in 1..=event.version {
            let earlier = EARLIER.iter().find(|(name, earlier, _)| (*name, *earlier) == (event.name, version));
            let schema = match earlier {
                Some((.., schema)) => schema(),
                None if version == event.version => (event.schema)(),
                // what is missing here, every check of the catalogue's versions finds
                None => continue,
            };
            let title = format!("{}, version {version}", event.name);
            let json = titled(schema, &title, &schema_urn(event.name, version));
            all.push(Described { event: Some((event.name, version)), json });
        }
    }
    all
}

/// The schema of what is read as a `T`.
pub(crate) fn of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with_transform(PlainText);
    settings.into_generator().into_root_schema_for::<T>()
}

fn titled(mut schema: Schema, title: &str, id: &str) -> Value {
    schema.insert("title".to_owned(), title.into());
    schema.insert("$id".to_owned(), id.into());
    schema.to_value()
}

/// Makes plain text of the links that descriptions have as comments of the code: ``[`Thing`]`` becomes `` `Thing` ``.
#[derive(Debug, Clone)]
struct PlainText;

impl Transform for PlainText {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.replace("[`", "`").replace("`]", "`").replace('\n', " ").replace("  ", " ");
        }
        transform_subschemas(self, schema);
    }
}
