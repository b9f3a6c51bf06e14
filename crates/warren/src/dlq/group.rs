//! Groups: dead letters that failed in the same way, which as a rule have the same cause and the same cure.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use messaging::dead_letters::{Letter, fingerprint};
use serde::{Serialize, Serializer};

use crate::output;

/// The letters of one queue that have type, error kind and handler in common.
#[derive(Debug, Serialize)]
pub(crate) struct Group {
    /// Its name, which follows from what they have in common: the same at any time, for any operator.
    group: String,
    queue: &'static str,
    #[serde(rename = "type")]
    event_type: String,
    error_kind: String,
    handler: String,
    pub(crate) count: usize,
    #[serde(serialize_with = "time")]
    first_failed_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "time")]
    last_failed_at: Option<DateTime<Utc>>,
    pub(crate) ids: Vec<String>,
}

/// The name of the group that a letter belongs to: short enough to be typed.
pub(crate) fn name_of(letter: &Letter) -> String {
    let parts = [letter.service.name(), &letter.event_type, &letter.error_kind, &letter.handler];
    let number = fingerprint(parts.map(str::as_bytes));
    format!("{:08x}", (number >> 32) ^ (number & 0xffff_ffff))
}

/// A time as the services write it.
pub(crate) fn time_text(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn time<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    time.as_ref().map(time_text).serialize(serializer)
}

/// All groups, filled letter by letter. Of a letter its id is kept and nothing else.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    by_name: HashMap<String, usize>,
    groups: Vec<Group>,
}

impl Groups {
    /// Counts a letter.
    pub(crate) fn add(&mut self, letter: &Letter) {
        let name = name_of(letter);
        let index = *self.by_name.entry(name).or_insert_with_key(|name| {
            self.groups.push(Group {
                group: name.clone(),
                queue: letter.service.name(),
                event_type: letter.event_type.clone(),
                error_kind: letter.error_kind.clone(),
                handler: letter.handler.clone(),
                count: 0,
                first_failed_at: None,
                last_failed_at: None,
                ids: Vec::new(),
            });
            self.groups.len() - 1
        });
        let group = &mut self.groups[index];
        group.count += 1;
        group.first_failed_at = [group.first_failed_at, letter.first_failed_at].into_iter().flatten().min();
        group.last_failed_at = group.last_failed_at.max(letter.failed_at);
        group.ids.push(letter.id.clone());
    }

    /// How many letters were counted.
    pub(crate) fn count(&self) -> usize {
        self.groups.iter().map(|group| group.count).sum()
    }

    /// The groups: by queue, the largest first.
    pub(crate) fn into_vec(mut self) -> Vec<Group> {
        // stable: queues stay in the order in which they were read
        self.groups.sort_by(|a, b| if a.queue == b.queue { b.count.cmp(&a.count) } else { std::cmp::Ordering::Equal });
        self.groups
    }
}

/// The groups as a table, each with the id of one letter to begin with.
pub(super) fn table(groups: &[Group]) -> String {
    let shown = |time: &Option<DateTime<Utc>>| {
        time.map_or_else(String::new, |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
    };
    let rows = groups.iter().map(|group| {
        [
            group.group.clone(),
            group.queue.to_owned(),
            group.event_type.clone(),
            group.error_kind.clone(),
            group.handler.clone(),
            group.count.to_string(),
            shown(&group.first_failed_at),
            shown(&group.last_failed_at),
            group.ids.first().cloned().unwrap_or_default(),
        ]
    });
    let headings =
        ["group", "queue", "type", "error", "handler", "count", "first failed", "last failed", "for example"];
    output::table(headings, rows)
}
