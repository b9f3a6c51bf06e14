//! One event of an order's history as a line.

use chrono::{DateTime, Utc};
use contracts::event::Event as _;
use contracts::money::Money;
use contracts::order::OrderCancelled;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::model::{self, coloured_event};
use crate::output::{self, Paint};

/// The event after which an order has no future; only its refund may follow.
const LAST: &str = OrderCancelled::TYPE;

/// What is read of an envelope.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    name: String,
    sequence: String,
    time: DateTime<Utc>,
    data: Data,
}

/// What is told of an event's data.
#[derive(Deserialize)]
struct Data {
    reason: Option<String>,
    total: Option<Money>,
    amount: Option<Money>,
    payment_method: Option<String>,
}

/// Prints events of one order as they come: each once, with the time since the one before.
#[derive(Default)]
pub(super) struct History {
    json: bool,
    newest: i64,
    before: Option<DateTime<Utc>>,
    /// Whether nothing more can come.
    pub(super) ended: bool,
}

impl History {
    /// An empty one.
    pub(super) fn new(json: bool) -> Self {
        Self { json, ..Self::default() }
    }

    /// Prints an envelope, unless it or a later one was printed before.
    ///
    /// # Errors
    /// When it is none, or cannot be printed.
    pub(super) fn add(&mut self, envelope: &RawValue) -> anyhow::Result<()> {
        let event: Event = serde_json::from_str(envelope.get())?;
        let sequence = event.sequence.parse()?;
        if sequence <= self.newest {
            return Ok(());
        }
        self.newest = sequence;
        self.ended |= event.name == LAST;
        if self.json {
            output::print(envelope.get())?;
        } else {
            output::print(&line(&event, self.before, Paint::stdout()))?;
        }
        self.before = Some(event.time);
        Ok(())
    }
}

fn line(event: &Event, before: Option<DateTime<Utc>>, paint: Paint) -> String {
    let since = before.map_or_else(String::new, |before| format!("+{:.3} s", (event.time - before).as_seconds_f64()));
    let name = coloured_event(&event.name, paint);
    // padded by the plain name: colours have no width
    let padding = " ".repeat(20_usize.saturating_sub(event.name.len()));
    let data = &event.data;
    let told: Vec<String> =
        [data.reason.clone(), data.total.or(data.amount).map(|money| money.to_string()), data.payment_method.clone()]
            .into_iter()
            .flatten()
            .collect();
    let line = format!(
        "{}  {since:>11}  {:>3}  {name}{padding}  {}",
        model::time(event.time),
        event.sequence,
        told.join(", ")
    );
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_when_what_and_why() {
        let event: Event = serde_json::from_str(
            r#"{"type":"payment.failed","sequence":"3","time":"2026-01-02T03:04:05.5Z",
                "data":{"reason":"declined","amount":{"amount":700,"currency":"EUR"},"payment_id":"x"}}"#,
        )
        .unwrap();
        let before = DateTime::parse_from_rfc3339("2026-01-02T03:04:04.25Z").unwrap().into();
        assert_eq!(
            line(&event, Some(before), Paint::on(false)),
            "2026-01-02T03:04:05.500Z     +1.250 s    3  payment.failed        declined, 7.00 EUR"
        );
    }
}
