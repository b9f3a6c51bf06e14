//! The catalogue as a site: static pages with relative links and nothing from elsewhere, so that it works from a file.

mod flow;
mod json;

use std::fs;
use std::path::Path;

use anyhow::Context;
use contracts::event::Service;
use messaging::schedule::{RetrySchedule, delay_name};
use messaging::topology::dead_queue;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, context};

use super::documents::{FIXTURES, SCHEMAS, find};
use super::entry::Entry;

/// The pages' templates and their style.
const TEMPLATES: [(&str, &str); 3] = [
    ("base.html", include_str!("site/base.html")),
    ("index.html", include_str!("site/index.html")),
    ("event.html", include_str!("site/event.html")),
];
const STYLE: &str = include_str!("site/style.css");

/// Writes the site into a folder, which is made if need be, and tells how many pages it has.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn write(folder: &Path, entries: &[Entry], schedule: &RetrySchedule) -> anyhow::Result<usize> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.context("the usual delimiters")?);
    environment.add_filter("prose", prose);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    let save = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    fs::create_dir_all(folder.join("events")).with_context(|| format!("cannot make {}", folder.display()))?;
    save("style.css", STYLE)?;
    let delays: Vec<String> = schedule.delays().iter().map(|delay| delay_name(*delay)).collect();
    let groups: Vec<Value> = Service::ALL.into_iter().map(|service| group(service, entries)).collect();
    let index = context! {
        root => "", groups => &groups, flow => Value::from_safe_string(flow::map(entries)), delays => &delays,
        attempts => schedule.attempts(), count => entries.len(),
    };
    save("index.html", &environment.get_template("index.html")?.render(index)?)?;
    let template = environment.get_template("event.html")?;
    for (index, entry) in entries.iter().enumerate() {
        let neighbour = |index: Option<usize>| index.and_then(|index| entries.get(index)).map(|entry| entry.event.name);
        let page = context! {
            before => neighbour(index.checked_sub(1)), after => neighbour(Some(index + 1)),
            ..event(entry, &delays, schedule, &groups)?
        };
        save(&format!("events/{}.html", entry.event.name), &template.render(page)?)?;
    }
    Ok(1 + entries.len())
}

/// The events of one publisher, for the first page and the list at the side.
fn group(service: Service, entries: &[Entry]) -> Value {
    let own = entries.iter().filter(|entry| entry.event.publisher == service);
    let events: Vec<Value> = own
        .map(|entry| {
            context! {
                name => entry.event.name,
                version => entry.event.version,
                meaning => entry.event.meaning,
                consumers => entry.event.consumers.iter().map(|service| service.name()).collect::<Vec<_>>(),
            }
        })
        .collect();
    context! { service => service.name(), events }
}

fn event(entry: &Entry, delays: &[String], schedule: &RetrySchedule, groups: &[Value]) -> anyhow::Result<Value> {
    let readers: Vec<Value> = entry
        .readers
        .iter()
        .map(|reader| {
            let service = reader.service;
            context! {
                service => service.name(), purpose => reader.purpose, fields => reader.fields.to_vec(), dead => dead_queue(service),
            }
        })
        .collect();
    let version = |version: &super::entry::Version| -> anyhow::Result<Value> {
        Ok(context! {
            number => version.number,
            fields => version.fields.iter().map(field).collect::<Vec<_>>(),
            schema => document(SCHEMAS, entry.event.name, version.number)?,
            example => document(FIXTURES, entry.event.name, version.number)?,
        })
    };
    Ok(context! {
        root => Value::from_safe_string("../".to_owned()),
        groups => groups.to_vec(),
        name => entry.event.name,
        meaning => entry.event.meaning,
        publisher => entry.event.publisher.name(),
        newest => entry.event.version,
        readers,
        versions => entry.versions.iter().map(version).collect::<anyhow::Result<Vec<_>>>()?,
        delays => delays.to_vec(),
        attempts => schedule.attempts(),
        flow => Value::from_safe_string(flow::way(entry, delays)),
        tall => Value::from_safe_string(flow::tall(entry, delays)),
    })
}

/// A committed document as it was written, in colours.
fn document(documents: &[(&'static str, &'static str)], event: &str, version: u16) -> anyhow::Result<Value> {
    let name = format!("{event}.v{version}");
    let text = find(documents, &name).with_context(|| format!("this build lacks {name}.json"))?;
    Ok(Value::from_safe_string(json::coloured(text.trim_end())))
}

fn field(field: &super::entry::Field) -> Value {
    context! { path => &field.path, kind => &field.kind, required => field.required, meaning => &field.meaning }
}

/// Text with its `code` marked as such.
fn prose(text: String) -> Value {
    let mut html = String::new();
    for (index, part) in text.split('`').enumerate() {
        let part = escaped(part);
        html.push_str(&if index % 2 == 1 { format!("<code>{part}</code>") } else { part });
    }
    Value::from_safe_string(html)
}

/// Text as it stands in HTML and SVG.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_marked_and_everything_is_escaped() {
        let html = prose("a <b> of `x & y`.".to_owned());
        assert_eq!(html.as_str(), Some("a &lt;b&gt; of <code>x &amp; y</code>."));
    }
}
