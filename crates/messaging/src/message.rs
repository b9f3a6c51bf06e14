//! Messages as they stand on the broker: an event on its first way, its copy on a rung of the ladder, its copy among the
//! dead letters.

use std::collections::BTreeMap;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use contracts::catalogue::find;
use contracts::envelope::CONTENT_TYPE;
use contracts::event::Service;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::event_log::LoggedEvent;
use crate::schedule::delay_name;
use crate::topology::{DEAD_KEY, EVENTS, dead_exchange, redeliver_exchange, retry_exchange};

/// Survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// How much of the sender's headers a copy takes over, in bytes. All properties must fit one frame, 128 KiB unless the broker
/// says otherwise; a copy that does not fit could never be published, and would hold up its queue for ever.
const MOST_HEADER_BYTES: usize = 64 * 1024;

/// The longest text of a header that is written here, in bytes.
const LONGEST_TEXT: usize = 1024;

/// The headers that this crate writes on copies. None begins with `x-`: those belong to the broker, and an old `x-death`
/// makes RabbitMQ 3.10 drop the message as a cycle.
pub mod header {
    /// Which attempt this delivery is; 1 is the first.
    pub const ATTEMPT: &str = "attempt";
    /// When the first attempt failed.
    pub const FIRST_FAILED_AT: &str = "first-failed-at";
    /// The routing key on the `events` exchange.
    pub const ORIGINAL_ROUTING_KEY: &str = "original-routing-key";
    /// Why it is a dead letter: one of [`super::ErrorKind`].
    pub const ERROR_KIND: &str = "error-kind";
    /// What failed, and where; never a value of the message.
    pub const ERROR: &str = "error";
    /// The handler that failed.
    pub const HANDLER: &str = "handler";
    /// When the last attempt failed.
    pub const FAILED_AT: &str = "failed-at";
    /// On which host.
    pub const FAILED_HOST: &str = "failed-host";
    /// The replay of dead letters that put this copy back into its queue. It has one attempt: a copy that fails again is a
    /// dead letter again at once.
    pub const REPLAY: &str = "replay";
    /// The trace (W3C Trace Context).
    pub const TRACEPARENT: &str = "traceparent";
    /// The span of the attempt that failed last, for the next one to link to; there when traces are recorded.
    pub const FAILED_TRACEPARENT: &str = "failed-traceparent";
}

/// Why a message is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Every attempt of the ladder failed.
    TransientExhausted,
    /// A field of the envelope or the data is missing or wrong.
    Malformed,
    /// Nobody here handles this type, nor did a newer copy turn up.
    UnknownType,
    /// Nobody here knows this version, nor did a newer copy turn up.
    UnsupportedVersion,
    /// The handler said never.
    Rejected,
    /// Its handling ended the process, or panicked, again and again.
    CrashedConsumer,
    /// Larger than an event may be.
    TooLarge,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::TransientExhausted,
        Self::Malformed,
        Self::UnknownType,
        Self::UnsupportedVersion,
        Self::Rejected,
        Self::CrashedConsumer,
        Self::TooLarge,
    ];

    /// The kind as it stands in the header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransientExhausted => "transient-exhausted",
            Self::Malformed => "malformed",
            Self::UnknownType => "unknown-type",
            Self::UnsupportedVersion => "unsupported-version",
            Self::Rejected => "rejected",
            Self::CrashedConsumer => "crashed-consumer",
            Self::TooLarge => "too-large",
        }
    }
}

/// What went wrong with a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its kind, should it become a dead letter.
    pub kind: ErrorKind,
    /// What and where, never values.
    pub error: String,
    /// Who failed.
    pub handler: &'static str,
}

/// A message that is to be published.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Where.
    pub exchange: String,
    /// With which key.
    pub routing_key: String,
    /// Whether it must reach a queue.
    pub mandatory: bool,
    /// The body.
    pub body: Vec<u8>,
    /// The properties; the message id is how a return is recognised.
    pub properties: BasicProperties,
}

/// An event on its first way.
///
/// # Errors
/// When the row does not hold JSON, which the database rules out.
pub fn first(event: &LoggedEvent, service: Service) -> serde_json::Result<Outgoing> {
    let mut headers = FieldTable::default();
    if let Some(traceparent) = &event.traceparent {
        headers.insert(header::TRACEPARENT.into(), text(traceparent));
    }
    let properties = BasicProperties::default()
        .with_message_id(event.id.to_string().into())
        .with_type(event.event_type.as_str().into())
        .with_correlation_id(short(&event.correlation_id))
        .with_timestamp(u64::try_from(event.time.timestamp()).unwrap_or(0))
        .with_content_type(CONTENT_TYPE.into())
        .with_app_id(service.name().into())
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers);
    Ok(Outgoing {
        exchange: EVENTS.to_owned(),
        routing_key: event.event_type.clone(),
        mandatory: find(&event.event_type).is_some_and(|known| !known.consumers.is_empty()),
        body: serde_json::to_vec(&event.envelope(service)?)?,
        properties,
    })
}

/// The copy for the next rung of the ladder.
///
/// `span` is that of the attempt that failed.
pub fn retry(delivery: &Delivery, service: Service, delay: std::time::Duration, span: Option<String>) -> Outgoing {
    let mut headers = kept_headers(delivery);
    put_history(&mut headers, delivery, &now());
    put_attempt(&mut headers, span);
    headers.insert(header::ATTEMPT.into(), attempt_value(attempt(delivery).saturating_add(1)));
    copy(delivery, retry_exchange(service), delay_name(delay), headers)
}

/// The copy for the dead letters: body, properties and headers as they came, and what is known of the failure.
///
/// `span` is that of the attempt that failed.
pub fn dead(delivery: &Delivery, service: Service, failure: &Failure, host: &str, span: Option<String>) -> Outgoing {
    let mut headers = kept_headers(delivery);
    let now = now();
    put_history(&mut headers, delivery, &now);
    put_attempt(&mut headers, span);
    headers.insert(header::ATTEMPT.into(), attempt_value(attempt(delivery)));
    for (name, value) in [
        (header::ERROR_KIND, failure.kind.as_str()),
        (header::ERROR, failure.error.as_str()),
        (header::HANDLER, failure.handler),
        (header::FAILED_AT, &now),
        (header::FAILED_HOST, host),
    ] {
        headers.insert(name.into(), text(value));
    }
    copy(delivery, dead_exchange(service), DEAD_KEY.to_owned(), headers)
}

/// The copy that puts a dead letter back into its service's queue, by way of the exchange that is bound to that queue alone:
/// another consumer of the event, who had no trouble with it, does not get it again. What told of the failure stays behind.
pub(crate) fn replay(delivery: &Delivery, service: Service, original_routing_key: &str, run: &str) -> Outgoing {
    let mut headers = kept_headers(delivery);
    for name in [header::ERROR_KIND, header::ERROR, header::HANDLER, header::FAILED_AT, header::FAILED_HOST] {
        headers.remove(name);
    }
    put_history(&mut headers, delivery, &now());
    headers.insert(header::ORIGINAL_ROUTING_KEY.into(), text(original_routing_key));
    headers.insert(header::ATTEMPT.into(), attempt_value(attempt(delivery).saturating_add(1)));
    headers.insert(header::REPLAY.into(), text(run));
    copy(delivery, redeliver_exchange(service), service.name().to_owned(), headers)
}

/// Whether a delivery was put back into the queue by an operator.
pub(crate) fn is_replayed(delivery: &Delivery) -> bool {
    let headers = delivery.properties.headers().as_ref().map(FieldTable::inner);
    headers.is_some_and(|headers| headers.contains_key(header::REPLAY))
}

/// Which attempt a delivery is: 1 unless a copy says otherwise.
pub fn attempt(delivery: &Delivery) -> u32 {
    let headers = delivery.properties.headers().as_ref().map(FieldTable::inner);
    let number = match headers.and_then(|headers| headers.get(header::ATTEMPT)) {
        Some(AMQPValue::LongInt(number)) => i64::from(*number),
        Some(AMQPValue::LongUInt(number)) => i64::from(*number),
        Some(AMQPValue::LongLongInt(number)) => *number,
        Some(AMQPValue::ShortInt(number)) => i64::from(*number),
        Some(AMQPValue::ShortShortInt(number)) => i64::from(*number),
        _ => 1,
    };
    u32::try_from(number).unwrap_or(1).max(1)
}

/// The span of the attempt at a delivery that failed last.
pub(crate) fn failed_attempt(delivery: &Delivery) -> Option<String> {
    match delivery.properties.headers().as_ref()?.inner().get(header::FAILED_TRACEPARENT) {
        Some(AMQPValue::LongString(span)) => Some(span.to_string()),
        _ => None,
    }
}

/// The key with which a delivery was first published.
pub fn original_routing_key(delivery: &Delivery) -> String {
    let headers = delivery.properties.headers().as_ref().map(FieldTable::inner);
    match headers.and_then(|headers| headers.get(header::ORIGINAL_ROUTING_KEY)) {
        Some(AMQPValue::LongString(key)) => key.to_string(),
        _ => delivery.routing_key.to_string(),
    }
}

fn put_history(headers: &mut BTreeMap<ShortString, AMQPValue>, delivery: &Delivery, now: &str) {
    headers.insert(header::ORIGINAL_ROUTING_KEY.into(), text(&original_routing_key(delivery)));
    headers.entry(header::FIRST_FAILED_AT.into()).or_insert_with(|| text(now));
}

fn put_attempt(headers: &mut BTreeMap<ShortString, AMQPValue>, span: Option<String>) {
    if let Some(span) = span {
        headers.insert(header::FAILED_TRACEPARENT.into(), text(&span));
    }
}

/// The sender's headers, without the broker's own, as many as fit a frame again.
fn kept_headers(delivery: &Delivery) -> BTreeMap<ShortString, AMQPValue> {
    let Some(headers) = delivery.properties.headers() else { return BTreeMap::new() };
    let mut room = MOST_HEADER_BYTES;
    let mut kept = BTreeMap::new();
    for (name, value) in headers.inner().iter().filter(|(name, _)| !name.as_str().starts_with("x-")) {
        let size = field_size(name, value);
        if size <= room {
            room -= size;
            kept.insert(name.clone(), value.clone());
        }
    }
    kept
}

/// What a field of a table takes on the wire, in bytes.
fn field_size(name: &ShortString, value: &AMQPValue) -> usize {
    1 + name.as_str().len() + value_size(value)
}

/// What a value takes on the wire, in bytes, with its type.
fn value_size(value: &AMQPValue) -> usize {
    let content = match value {
        AMQPValue::LongString(text) => 4 + text.as_bytes().len(),
        AMQPValue::ByteArray(bytes) => 4 + bytes.as_slice().len(),
        AMQPValue::ShortString(text) => 1 + text.as_str().len(),
        AMQPValue::FieldArray(values) => 4 + values.as_slice().iter().map(value_size).sum::<usize>(),
        AMQPValue::FieldTable(fields) => {
            4 + fields.inner().iter().map(|(name, value)| field_size(name, value)).sum::<usize>()
        }
        // numbers and times
        _ => 8,
    };
    1 + content
}

/// The same message elsewhere. `expiration` and `user_id` stay behind: the one would let the copy die on the way, the
/// other makes the broker refuse it.
fn copy(
    delivery: &Delivery,
    exchange: String,
    routing_key: String,
    headers: BTreeMap<ShortString, AMQPValue>,
) -> Outgoing {
    let from = &delivery.properties;
    let mut to = BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(headers.into());
    if let Some(value) = from.message_id() {
        to = to.with_message_id(value.clone());
    }
    if let Some(value) = from.kind() {
        to = to.with_type(value.clone());
    }
    if let Some(value) = from.correlation_id() {
        to = to.with_correlation_id(value.clone());
    }
    if let Some(value) = from.timestamp() {
        to = to.with_timestamp(*value);
    }
    if let Some(value) = from.content_type() {
        to = to.with_content_type(value.clone());
    }
    if let Some(value) = from.content_encoding() {
        to = to.with_content_encoding(value.clone());
    }
    if let Some(value) = from.app_id() {
        to = to.with_app_id(value.clone());
    }
    if let Some(value) = from.reply_to() {
        to = to.with_reply_to(value.clone());
    }
    if let Some(value) = from.priority() {
        to = to.with_priority(*value);
    }
    Outgoing { exchange, routing_key, mandatory: true, body: delivery.data.clone(), properties: to }
}

fn attempt_value(attempt: u32) -> AMQPValue {
    AMQPValue::LongInt(i32::try_from(attempt).unwrap_or(i32::MAX))
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(cut(value, LONGEST_TEXT).into())
}

/// A text that fits AMQP's short strings (255 bytes).
fn short(value: &str) -> ShortString {
    cut(value, 255).into()
}

/// The beginning of a text, at most that many bytes of it.
fn cut(value: &str, most: usize) -> &str {
    &value[..value.floor_char_boundary(most)]
}

fn now() -> String {
    DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Millis, true)
}
