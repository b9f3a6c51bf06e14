//! What the services have seen, from their `/metrics`.

use std::collections::BTreeMap;

/// The counter of handled messages, by queue, event and outcome.
const PROCESSED: &str = "warren_messages_processed_total";

/// The counter of messages of a type that the catalogue does not have.
const UNKNOWN: &str = "warren_unknown_events_total";

/// What one service has seen since it started.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Messages by the type of their event.
    pub(super) events: BTreeMap<String, u64>,
    /// Deliveries of a type that it does not know.
    pub(super) unknown: u64,
}

/// Reads the text format of Prometheus.
pub(super) fn read(text: &str) -> Seen {
    let mut seen = Seen::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let Ok(count) = value.parse::<u64>() else { continue };
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        match name {
            UNKNOWN => seen.unknown += count,
            PROCESSED => {
                if let Some(event) = label(labels, "event") {
                    *seen.events.entry(event.to_owned()).or_default() += count;
                }
            }
            _ => {}
        }
    }
    seen
}

/// The value of a label; ours need no escapes.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.trim_end_matches('}').split(',').find_map(|pair| {
        let (known, value) = pair.split_once('=')?;
        (known.trim() == name).then(|| value.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_added_up_over_outcomes() {
        let text = "# HELP warren_messages_processed Messages\n\
            warren_messages_processed_total{queue=\"email\",event=\"a.b\",outcome=\"done\"} 3\n\
            warren_messages_processed_total{queue=\"email\",event=\"a.b\",outcome=\"retry\"} 2\n\
            warren_messages_processed_total{queue=\"email\",event=\"c.d\",outcome=\"done\"} 1\n\
            warren_message_age_seconds_sum 0.5\n\
            warren_unknown_events_total 4\n# EOF\n";
        let events = [("a.b".to_owned(), 5), ("c.d".to_owned(), 1)].into();
        assert_eq!(read(text), Seen { events, unknown: 4 });
    }
}
