//! The catalogue and its topology as an AsyncAPI 3.0 document with AMQP bindings (0.3.0), for tools of that world.

use std::path::Path;

use anyhow::Context;
use contracts::envelope::{CONTENT_TYPE, schema_urn};
use contracts::event::Service;
use messaging::topology::{EVENTS, dead_queue};
use serde_json::{Map, Value, json};

use super::entry::{self, Entry, Version};
use crate::output;

/// The version of the AMQP bindings.
const BINDING: &str = "0.3.0";

/// Writes the document; `-` is standard output.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(file: &Path, entries: &[Entry]) -> anyhow::Result<()> {
    let text = format!("{:#}\n", document(entries)?);
    if file.as_os_str() == "-" {
        return Ok(output::print(&text)?);
    }
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn document(entries: &[Entry]) -> anyhow::Result<Value> {
    let mut schemas = Map::new();
    let envelope = hoisted(entry::envelope()?, "envelope", &mut schemas);
    schemas.insert("envelope".to_owned(), envelope);
    let (mut channels, mut operations, mut messages) = (Map::new(), Map::new(), Map::new());
    for entry in entries {
        for version in &entry.versions {
            let name = format!("{}.v{}", entry.event.name, version.number);
            let data = hoisted(version.schema.clone(), &name, &mut schemas);
            schemas.insert(name.clone(), data);
            messages.insert(name, message(entry, version));
        }
        channels.insert(entry.event.name.to_owned(), event_channel(entry));
        operations.insert(format!("{}.publish.{}", entry.event.publisher, entry.event.name), publish(entry));
        for reader in &entry.readers {
            operations.insert(format!("{}.receive.{}", reader.service, entry.event.name), receive(entry, reader));
        }
    }
    for service in Service::ALL {
        let title = format!("The mailbox of {service}: what it is bound to, and what comes back from its retries");
        channels.insert(format!("queue.{service}"), queue_channel(service.name(), &title));
        let title = format!("The dead letters of {service}: as they came, with headers that say why");
        channels.insert(format!("queue.{}", dead_queue(service)), queue_channel(&dead_queue(service), &title));
    }
    Ok(json!({
        "asyncapi": "3.0.0",
        "id": "urn:warren:events",
        "info": {
            "title": "Warren's events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What order, inventory and email tell each other over RabbitMQ. Made from the catalogue by `warren catalog --asyncapi`.",
            "license": {"name": "MIT OR Apache-2.0", "url": "https://spdx.org/licenses/MIT.html"},
            "contact": {"name": "The maintainers of Warren", "url": "https://github.com/"},
            "tags": Service::ALL.map(|service| json!({"name": service.name(), "description": format!("Published by {service}")})),
        },
        "servers": {
            "rabbitmq": {
                "host": "localhost:5672",
                "protocol": "amqp",
                "protocolVersion": "0.9.1",
                "description": "RabbitMQ 3.10 to 4.x; AMQP_URL says where",
            },
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {"schemas": schemas, "messages": messages},
    }))
}

/// A schema whose definitions are moved to the document's, where AsyncAPI looks for them, each with the name of its schema
/// before its own: two versions may mean different things by one name.
fn hoisted(mut schema: Value, name: &str, schemas: &mut Map<String, Value>) -> Value {
    let definitions = schema.as_object_mut().and_then(|map| {
        map.remove("$schema");
        map.remove("$id");
        map.remove("$defs")
    });
    let Some(Value::Object(definitions)) = definitions else { return schema };
    let own = |definition: &str| format!("{name}.{definition}");
    let refer = |value: &mut Value| rename(value, &|definition| format!("#/components/schemas/{}", own(definition)));
    for (definition, mut body) in definitions {
        refer(&mut body);
        schemas.insert(own(&definition), body);
    }
    refer(&mut schema);
    schema
}

fn rename(value: &mut Value, new: &dyn Fn(&str) -> String) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get_mut("$ref")
                && let Some(definition) = reference.strip_prefix("#/$defs/")
            {
                *reference = new(definition);
            }
            map.values_mut().for_each(|inner| rename(inner, new));
        }
        Value::Array(values) => values.iter_mut().for_each(|inner| rename(inner, new)),
        _ => {}
    }
}

fn message(entry: &Entry, version: &Version) -> Value {
    let name = format!("{}.v{}", entry.event.name, version.number);
    let urn = schema_urn(entry.event.name, version.number);
    json!({
        "name": name,
        "title": format!("{}, version {}", entry.event.name, version.number),
        "summary": entry.event.meaning,
        "contentType": CONTENT_TYPE,
        "headers": {
            "type": "object",
            "properties": {"traceparent": {"type": "string", "description": "W3C Trace Context"}},
        },
        "correlationId": {"location": "$message.payload#/correlationid"},
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/envelope"},
                {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string", "const": entry.event.name},
                        "dataschema": {"type": "string", "const": urn},
                        "data": {"$ref": format!("#/components/schemas/{name}")},
                    },
                },
            ],
        },
        "examples": [{"name": name, "payload": version.example}],
        "bindings": {"amqp": {"messageType": entry.event.name, "bindingVersion": BINDING}},
    })
}

fn event_channel(entry: &Entry) -> Value {
    let messages: Map<String, Value> = entry
        .versions
        .iter()
        .map(|version| {
            let name = format!("{}.v{}", entry.event.name, version.number);
            (name.clone(), json!({"$ref": format!("#/components/messages/{name}")}))
        })
        .collect();
    json!({
        "address": entry.event.name,
        "title": entry.event.name,
        "description": entry.event.meaning,
        "messages": messages,
        "tags": [{"name": entry.event.publisher.name()}],
        "bindings": {"amqp": {
            "is": "routingKey",
            "exchange": {"name": EVENTS, "type": "topic", "durable": true, "autoDelete": false, "vhost": "/"},
            "bindingVersion": BINDING,
        }},
    })
}

fn queue_channel(queue: &str, title: &str) -> Value {
    json!({
        "address": queue,
        "title": queue,
        "description": title,
        "bindings": {"amqp": {
            "is": "queue",
            "queue": {"name": queue, "durable": true, "exclusive": false, "autoDelete": false, "vhost": "/"},
            "bindingVersion": BINDING,
        }},
    })
}

fn publish(entry: &Entry) -> Value {
    let name = entry.event.name;
    let newest = format!("{name}.v{}", entry.event.version);
    json!({
        "action": "send",
        "channel": {"$ref": format!("#/channels/{name}")},
        "title": format!("{} publishes {name}", entry.event.publisher),
        "summary": entry.event.meaning,
        "description": "Persistent, confirmed by the broker, and mandatory where there are consumers.",
        "messages": [{"$ref": format!("#/channels/{name}/messages/{newest}")}],
        "bindings": {"amqp": {
            "deliveryMode": 2,
            "mandatory": !entry.event.consumers.is_empty(),
            "timestamp": true,
            "bindingVersion": BINDING,
        }},
    })
}

fn receive(entry: &Entry, reader: &contracts::readers::Reader) -> Value {
    let name = entry.event.name;
    let messages = entry
        .versions
        .iter()
        .map(|version| json!({"$ref": format!("#/channels/{name}/messages/{name}.v{}", version.number)}));
    json!({
        "action": "receive",
        "channel": {"$ref": format!("#/channels/{name}")},
        "title": format!("{} reads {name}", reader.service),
        "summary": format!("{} {}", reader.service, reader.purpose),
        "description": format!(
            "From the queue {}, acknowledged after its effects are committed. It reads {}.",
            reader.service,
            reader.fields.join(", ")
        ),
        "messages": messages.collect::<Vec<_>>(),
        "bindings": {"amqp": {"ack": true, "bindingVersion": BINDING}},
    })
}
