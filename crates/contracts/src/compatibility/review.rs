//! The review of a change: schemas against the types, and against what others have already.

use std::collections::BTreeMap;

use serde_json::Value;

use super::changes;
use crate::catalogue;
use crate::readers;
use crate::schema::{Described, ENVELOPE};

/// The texts of schemas by the names of their files.
pub type Files = BTreeMap<String, String>;

/// Where the committed schemas do not say what the types say.
pub fn against_types(types: &[Described], committed: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    for described in types {
        match committed.get(&described.file()) {
            None => faults.push(format!("{}: there is no schemas/{}", name(&described.file()), described.file())),
            Some(text) if *text != described.text() => {
                faults.push(format!(
                    "{}: schemas/{} is not what its type says",
                    name(&described.file()),
                    described.file()
                ));
            }
            Some(_) => {}
        }
    }
    for file in committed.keys().filter(|file| !types.iter().any(|described| described.file() == **file)) {
        faults.push(format!("{}: schemas/{file} belongs to no type", name(file)));
    }
    for event in catalogue::CATALOGUE {
        for version in 1..=event.version {
            if !types.iter().any(|described| described.event == Some((event.name, version))) {
                faults.push(format!("{} version {version}: its shape is not listed in src/schema.rs", event.name));
            }
        }
    }
    faults
}

/// Which changes from `base`, which others have already, are not additive: each with the event, the field, the rule and
/// the consumers that it breaks.
pub fn against_base(base: &Files, types: &[Described]) -> Vec<String> {
    let mut faults = Vec::new();
    for (file, text) in base {
        let Some(described) = types.iter().find(|described| described.file() == *file) else {
            faults.push(removed(file));
            continue;
        };
        let Ok(old) = serde_json::from_str::<Value>(text) else {
            faults.push(format!("{}: the schema of the base branch is not JSON", name(file)));
            continue;
        };
        let changes = changes(&old, &described.json);
        faults.extend(changes.iter().map(|change| {
            let place = match change.place.as_str() {
                "" => "the data as a whole",
                place => place,
            };
            format!(
                "{}: {place} {}\n  rule: {}\n  {}\n  {}",
                name(file),
                change.kind,
                change.kind.rule(),
                read_by(file, &change.place),
                remedy(file)
            )
        }));
    }
    faults
}

fn removed(file: &str) -> String {
    format!(
        "{}: was removed\n  rule: a version stays readable: stored events have it, and so have older producers\n  {}\n  \
         keep its shape, and its line in src/schema.rs or in the catalogue",
        name(file),
        read_by(file, "")
    )
}

/// `order.created version 2`, as people say it.
fn name(file: &str) -> String {
    match parts(file) {
        Some((event, version)) => format!("{event} version {version}"),
        None => "the envelope".to_owned(),
    }
}

fn parts(file: &str) -> Option<(&str, u16)> {
    let (event, version) = file.strip_suffix(".json")?.rsplit_once(".v")?;
    Some((event, version.parse().ok()?))
}

/// Who reads what changed. Fields are listed for the newest version alone; an older one is read by all consumers.
fn read_by(file: &str, place: &str) -> String {
    let Some((event, version)) = parts(file) else {
        return format!("read by: every consumer of every event ({ENVELOPE})");
    };
    let newest = catalogue::find(event).is_none_or(|event| event.version == version);
    let services = |readers: Vec<&readers::Reader>| -> String {
        let names: Vec<&str> = readers.iter().map(|reader| reader.service.name()).collect();
        names.join(", ")
    };
    let all: Vec<_> = readers::of(event).collect();
    let touched: Vec<_> = all.iter().copied().filter(|reader| !newest || reader.reads(place)).collect();
    match (touched.as_slice(), all.as_slice()) {
        ([], []) => "read by: nobody today; it is stored in the log of its publisher".to_owned(),
        ([], _) => format!("read by: no consumer reads this field; consumers of the event: {}", services(all)),
        _ => format!("read by: {}", services(touched)),
    }
}

fn remedy(file: &str) -> String {
    match parts(file) {
        Some((event, version)) => {
            let next = catalogue::find(event).map_or(version, |event| event.version).max(version) + 1;
            format!("leave version {version} as it was, and make a version {next}: docs/changing-an-event.md")
        }
        None => "the envelope has no versions: it can only grow".to_owned(),
    }
}
