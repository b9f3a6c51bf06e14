//! Dead letters as a service leaves them.

use end_to_end::broker::{Found, Message};
use lapin::types::{AMQPValue, FieldTable};

/// A message as a service leaves it among its dead letters.
pub(crate) fn dead_letter(mut message: Message, error_kind: &str, handler: &str) -> Message {
    let mut headers = FieldTable::default();
    let key = message.properties.kind().as_ref().map_or("unknown", |kind| kind.as_str()).to_owned();
    for (name, value) in [
        ("error-kind", error_kind),
        ("error", "SQLSTATE P0001"),
        ("handler", handler),
        ("first-failed-at", "2026-01-02T03:04:05.000Z"),
        ("failed-at", "2026-01-02T03:14:05.000Z"),
        ("failed-host", "somewhere:1"),
        ("original-routing-key", key.as_str()),
    ] {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    headers.insert("attempt".into(), AMQPValue::LongInt(4));
    message.properties = message.properties.with_headers(headers);
    message
}

/// The ids of messages, in their order.
pub(crate) fn ids(found: &[Found]) -> Vec<String> {
    found.iter().map(|letter| letter.message_id().to_owned()).collect()
}
