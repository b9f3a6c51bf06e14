//! One event as text.

use std::borrow::Cow;
use std::fmt::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use tracing::Level;

use super::fields::Fields;

/// Widths that let the columns of the three services' lines meet.
const SERVICE_WIDTH: usize = 9;
const MESSAGE_WIDTH: usize = 26;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const BLUE: &str = "\x1b[34m";
const PURPLE: &str = "\x1b[35m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";

/// The names that a field cannot take from the line itself.
const RESERVED: [&str; 5] = ["timestamp", "level", "service", "message", "target"];

/// What JSON has and people are spared: the whole text of a slow statement, whose beginning is there as well, and the same
/// numbers a second time.
const LONG_WINDED: [&str; 3] = ["db.statement", "elapsed_secs", "slow_threshold"];

/// All that is known of an event.
pub(super) struct Line<'a> {
    pub(super) at: DateTime<Utc>,
    pub(super) level: Level,
    pub(super) service: &'a str,
    pub(super) target: &'a str,
    pub(super) fields: &'a Fields,
}

impl Line<'_> {
    /// `12:34:56.789  INFO order     order placed               order_id=… event=…`
    pub(super) fn pretty(&self, color: bool) -> String {
        let paint = |code: &'static str| if color { code } else { "" };
        let (dim, reset) = (paint(DIM), paint(RESET));
        let time = self.at.format("%H:%M:%S%.3f");
        let level = paint(level_color(self.level));
        let service = paint(service_color(self.service));
        let message = printable(&self.fields.message);
        let loud = if self.level <= Level::WARN { paint(BOLD) } else { "" };
        let mut line = format!(
            "{dim}{time}{reset} {level}{:>5}{reset} {service}{:<SERVICE_WIDTH$}{reset} {loud}{message:<MESSAGE_WIDTH$}{reset}",
            self.level.as_str(),
            self.service,
        );
        // What a line is about comes first, and what only programs follow comes last.
        let place = |name: &str| match name {
            "order_id" => 0,
            "event" => 1,
            "correlation_id" => 3,
            _ => 2,
        };
        let mut fields: Vec<_> = self.fields.others.iter().filter(|(name, _)| !LONG_WINDED.contains(name)).collect();
        fields.sort_by_key(|(name, _)| place(name));
        for (name, value) in fields {
            let _ = write!(line, " {dim}{name}={reset}{}", plain(value));
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }

    /// `{"timestamp":…,"level":…,"service":…,"message":…,"target":…, …}`
    pub(super) fn json(&self) -> String {
        let mut line = String::from("{");
        let time = self.at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let own = [time.as_str(), self.level.as_str(), self.service, &self.fields.message, self.target];
        for (name, value) in RESERVED.into_iter().zip(own) {
            let _ = write!(line, "\"{name}\":{},", Value::from(value));
        }
        for (name, value) in self.fields.others.iter().filter(|(name, _)| !RESERVED.contains(name)) {
            let _ = write!(line, "{}:{value},", Value::from(*name));
        }
        line.pop();
        line.push_str("}\n");
        line
    }
}

/// A value for people: bare where that is unambiguous, else quoted.
fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text)
            if !text.is_empty() && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '"') =>
        {
            Cow::Borrowed(text)
        }
        Value::String(text) => Cow::Owned(format!("{text:?}")),
        other => Cow::Owned(other.to_string()),
    }
}

/// The text on one line, and without control sequences that a terminal would obey.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .flat_map(|c| if c.is_control() { c.escape_debug().collect::<Vec<_>>() } else { vec![c] })
            .collect(),
    )
}

fn level_color(level: Level) -> &'static str {
    match level {
        Level::ERROR => RED,
        Level::WARN => YELLOW,
        Level::INFO => GREEN,
        _ => DIM,
    }
}

/// A service keeps its colour, so that a story over several of them can be followed by eye.
fn service_color(service: &str) -> &'static str {
    const COLORS: [&str; 3] = [BLUE, PURPLE, CYAN];
    let spread = service.bytes().next().map_or(0, usize::from) + service.len();
    COLORS[spread % COLORS.len()]
}
