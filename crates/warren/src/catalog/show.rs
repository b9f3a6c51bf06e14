//! `warren catalog` on the terminal: all events in a table, or one with its fields.

use serde_json::{Value, json};

use super::entry::{Entry, Version};
use crate::failure::Usage;
use crate::output;

/// The table, or one event, or the same as JSON.
///
/// # Errors
/// [`Usage`] for an event that does not exist.
pub(super) fn page(entries: &[Entry], event: Option<&str>, json: bool) -> anyhow::Result<String> {
    let chosen: Vec<&Entry> = match event {
        None => entries.iter().collect(),
        Some(name) => {
            let one = entries.iter().find(|entry| entry.event.name == name);
            vec![one.ok_or_else(|| Usage(format!("there is no event {name}: `warren catalog` lists them")))?]
        }
    };
    Ok(match (json, &chosen[..]) {
        (true, _) => serde_json::to_string_pretty(&json!({"events": chosen.iter().map(as_json).collect::<Vec<_>>()}))?,
        (false, [entry]) if event.is_some() => one(entry)?,
        (false, _) => table(&chosen),
    })
}

/// One event with everything that is known of it.
pub(super) fn as_json(entry: &&Entry) -> Value {
    let versions: Vec<_> = entry.versions.iter().map(version_json).collect();
    let readers: Vec<_> = entry
        .readers
        .iter()
        .map(|reader| json!({"service": reader.service.name(), "purpose": reader.purpose, "reads": reader.fields}))
        .collect();
    json!({
        "type": entry.event.name,
        "version": entry.event.version,
        "meaning": entry.event.meaning,
        "publisher": entry.event.publisher.name(),
        "consumers": readers,
        "versions": versions,
    })
}

fn version_json(version: &Version) -> Value {
    json!({"version": version.number, "fields": version.fields, "schema": version.schema, "example": version.example})
}

fn consumers(entry: &Entry) -> String {
    match entry.event.consumers {
        [] => "nobody".to_owned(),
        consumers => consumers.iter().map(|service| service.name()).collect::<Vec<_>>().join(", "),
    }
}

fn table(entries: &[&Entry]) -> String {
    let rows = entries.iter().map(|entry| {
        [
            entry.event.name.to_owned(),
            format!("v{}", entry.event.version),
            entry.event.publisher.name().to_owned(),
            consumers(entry),
            entry.event.meaning.to_owned(),
        ]
    });
    let table = output::table(["event", "version", "from", "to", "meaning"], rows);
    format!("{table}\n`warren catalog EVENT` shows its fields, `--json` also its schemas and an example.\n")
}

fn one(entry: &Entry) -> anyhow::Result<String> {
    let newest = entry.newest();
    let mut page = format!(
        "{} v{}: {}\n\npublished by {}",
        entry.event.name, newest.number, entry.event.meaning, entry.event.publisher
    );
    if entry.readers.is_empty() {
        page.push_str(", read by nobody: it is a part of the history\n");
    } else {
        page.push('\n');
    }
    for reader in &entry.readers {
        page.push_str(&format!("read by {}, which {}: {}\n", reader.service, reader.purpose, reader.fields.join(", ")));
    }
    let rows = newest.fields.iter().map(|field| {
        let path = if field.required { field.path.clone() } else { format!("{}?", field.path) };
        [path, field.kind.clone(), field.meaning.clone()]
    });
    page.push_str(&format!("\n{}", output::table(["field", "type", "meaning"], rows)));
    page.push_str(&format!("\nAn example, as it travels:\n{}\n", serde_json::to_string_pretty(&newest.example)?));
    Ok(page)
}
