//! `warren order diff`: what changed between two versions of an order, and which event did it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::model;
use crate::client::Client;
use crate::failure::Verdict;
use crate::output::{self, Paint};

const EXAMPLES: &str = "\
Examples:
  warren order diff ID                               all that happened to it
  warren order diff ID 2..4                          from its version 2 to its version 4
  warren order diff ID 3..                           from its version 3 to the newest
  warren order diff ID --json | jq -r '.steps[].event'

Every event makes a version. The version itself and the time of the last change are in
every step, and not listed.";

/// What every event changes, which is why it says nothing.
const ALWAYS: [&str; 2] = ["version", "updated_at"];

/// Options of `order diff`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DiffArgs {
    /// The order
    id: Uuid,

    /// From which version to which; either may be left out
    #[arg(value_name = "A..B", default_value = "..")]
    span: Span,
}

/// `A..B`, where A is the first version and B the newest when left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: usize,
    to: Option<usize>,
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} is not a span of versions, such as 1..4, 2.. or ..3");
        let (from, to) = text.split_once("..").ok_or_else(wrong)?;
        let version = |text: &str| match text.parse() {
            Ok(version) if version >= 1 => Ok(version),
            _ => Err(wrong()),
        };
        let from = if from.is_empty() { 1 } else { version(from)? };
        let to = if to.is_empty() { None } else { Some(version(to)?) };
        match to {
            Some(to) if to < from => Err(format!("{text} goes backwards: write {to}..{from}")),
            _ => Ok(Self { from, to }),
        }
    }
}

/// What is read of the list of an order's events.
#[derive(Deserialize)]
struct History {
    items: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    id: Uuid,
    #[serde(rename = "type")]
    name: String,
    time: DateTime<Utc>,
}

/// The way from one version to another.
#[derive(Debug, Serialize)]
struct Diff {
    order_id: Uuid,
    from: usize,
    to: usize,
    steps: Vec<Step>,
}

/// What one event changed.
#[derive(Debug, Serialize)]
struct Step {
    version: usize,
    event: String,
    event_id: Uuid,
    at: DateTime<Utc>,
    changes: Vec<Change>,
}

/// A field, before and after; null where there is none.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Change {
    field: String,
    from: Value,
    to: Value,
}

pub(super) async fn run(args: &DiffArgs, client: &Client, json: bool) -> anyhow::Result<Verdict> {
    let path = format!("/v1/orders/{}", args.id);
    let history: History = client.get(&format!("{path}/events"), &[]).await?.read()?;
    let Span { from, to } = args.span;
    let to = to.unwrap_or(history.items.len()).max(from);
    let at_version = async |version: usize| -> anyhow::Result<Value> {
        Ok(client.get(&path, &[("version", &version.to_string())]).await?.read()?)
    };
    // the newest first: a version that the order does not have is told before anything else is asked
    let mut after = at_version(to).await?;
    let mut steps = Vec::new();
    for version in (from + 1..=to).rev() {
        let before = at_version(version - 1).await?;
        let Some(Event { id, name, time }) = history.items.get(version - 1) else {
            anyhow::bail!("version {version} came after the history was read; try again");
        };
        let changes = changes(&before, &after);
        steps.push(Step { version, event: name.clone(), event_id: *id, at: *time, changes });
        after = before;
    }
    steps.reverse();
    let diff = Diff { order_id: args.id, from, to, steps };
    if json {
        output::print_json(&diff)?;
    } else {
        output::print(&page(&diff, Paint::stdout()))?;
    }
    Ok(Verdict::Fine)
}

/// The fields in which two versions differ, by their names.
fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    flatten("", before, &mut old);
    flatten("", after, &mut new);
    let fields = old.keys().chain(new.keys()).collect::<std::collections::BTreeSet<_>>();
    let value = |fields: &BTreeMap<String, Value>, field| fields.get(field).cloned().unwrap_or(Value::Null);
    fields
        .into_iter()
        .filter(|field| !ALWAYS.contains(&field.as_str()))
        .map(|field| Change { field: field.clone(), from: value(&old, field), to: value(&new, field) })
        .filter(|change| change.from != change.to)
        .collect()
}

/// The leaves of a value under their paths: `payment.status`, `lines[0].sku`.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                flatten(&if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value, into);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), value, into);
            }
        }
        leaf => {
            into.insert(path.to_owned(), leaf.clone());
        }
    }
}

fn page(diff: &Diff, paint: Paint) -> String {
    let mut page = format!("order {}, version {} to {}\n", diff.order_id, diff.from, diff.to);
    if diff.steps.is_empty() {
        page.push_str("nothing lies between a version and itself\n");
    }
    let width = diff.steps.iter().flat_map(|step| &step.changes).map(|change| change.field.len()).max().unwrap_or(0);
    for step in &diff.steps {
        let (name, at) = (model::coloured_event(&step.event, paint), paint.dim(&model::time(step.at)));
        let _ = write!(page, "\n{:>3}  {name}  {at}\n", step.version);
        if step.changes.is_empty() {
            page.push_str("     nothing that an order shows\n");
        }
        for Change { field, from, to } in &step.changes {
            let (from, to) = (paint.red(&word(from)), paint.green(&word(to)));
            let _ = writeln!(page, "     {field:<width$}  {from} -> {to}");
        }
    }
    page
}

/// A value as a person reads it.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_span_has_two_ends_that_may_be_left_out() {
        let span = |text: &str| text.parse::<Span>().map(|span| (span.from, span.to));
        assert_eq!(span("2..4"), Ok((2, Some(4))));
        assert_eq!(span("2.."), Ok((2, None)));
        assert_eq!(span("..3"), Ok((1, Some(3))));
        assert_eq!(span(".."), Ok((1, None)));
        assert_eq!(span("3..3"), Ok((3, Some(3))));
        for bad in ["", "3", "0..1", "1..0", "-1..2", "a..b", "1...4"] {
            assert!(span(bad).is_err(), "{bad}");
        }
        assert!(span("4..2").unwrap_err().contains("2..4"));
    }

    #[test]
    fn changes_are_told_field_by_field() {
        let before =
            json!({"status": "reserved", "version": 2, "payment": {"status": "pending"}, "lines": [{"sku": "a"}]});
        let after = json!({"status": "cancelled", "version": 3, "payment": {"status": "none"}, "lines": [{"sku": "a"}],
            "cancel_reason": "requested"});
        let change = |field: &str, from, to| Change { field: field.to_owned(), from, to };
        assert_eq!(
            changes(&before, &after),
            [
                change("cancel_reason", Value::Null, json!("requested")),
                change("payment.status", json!("pending"), json!("none")),
                change("status", json!("reserved"), json!("cancelled")),
            ]
        );
    }
}
