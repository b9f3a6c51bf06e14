//! A dead letter: the message as it came, and what its headers tell of its failure.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::catalogue::find;
use contracts::envelope::Envelope;
use contracts::event::Service;
use contracts::values::EventId;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::message::{self, ErrorKind, header};

/// What stands where nothing is known.
const UNKNOWN: &str = "unknown";

/// A dead letter, taken and not given back yet. Its texts come from outside; control characters in them are replaced.
#[derive(Debug)]
pub struct Letter {
    /// Whose.
    pub service: Service,
    /// What an operator calls it by: the event's id; of a message that has none, its `message_id`, else a fingerprint of
    /// its body.
    pub id: String,
    /// The id of the event that it is, or says it is.
    pub event_id: Option<EventId>,
    /// The event's type, as far as anything says it.
    pub event_type: String,
    /// Why it is dead: one of [`ErrorKind`].
    pub error_kind: String,
    /// What failed, and where.
    pub error: String,
    /// Who failed.
    pub handler: String,
    /// Which attempt was the last.
    pub attempt: u32,
    /// When the first attempt failed.
    pub first_failed_at: Option<DateTime<Utc>>,
    /// When the last attempt failed.
    pub failed_at: Option<DateTime<Utc>>,
    /// On which host.
    pub failed_host: String,
    /// Its routing key on `events`.
    pub original_routing_key: String,
    /// The replay after which it failed again.
    pub replay: Option<String>,
    pub(super) delivery: Delivery,
    pub(super) stage: usize,
}

/// What a body says of itself, as far as it can be read at all.
#[derive(Default, Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    event_type: Option<&'a RawValue>,
}

impl Letter {
    pub(super) fn read(service: Service, delivery: Delivery, stage: usize) -> Self {
        let headers = delivery.properties.headers().as_ref();
        let text = |name: &str| headers.and_then(|headers| text_of(headers.inner().get(name)));
        let time = |name: &str| text(name).and_then(|text| DateTime::parse_from_rfc3339(&text).ok()).map(Into::into);
        let said: Said<'_> = serde_json::from_slice(&delivery.data).unwrap_or_default();
        let event_id = id_of(&said, &delivery);
        // A message that the broker itself gave up has none of our headers, but tells of its death in its own way.
        let death = Death::of(&delivery);
        let unless_given_up = |kind: Option<String>| match &death {
            Some(_) if kind.is_none() => Some(ErrorKind::CrashedConsumer.as_str().to_owned()),
            _ => kind,
        };
        let routing_key = text(header::ORIGINAL_ROUTING_KEY)
            .or_else(|| death.as_ref().and_then(|death| death.routing_key.clone()))
            .unwrap_or_else(|| message::original_routing_key(&delivery));
        let event_type = said
            .event_type
            .and_then(|raw| serde_json::from_str::<String>(raw.get()).ok())
            .or_else(|| delivery.properties.kind().as_ref().map(|kind| kind.to_string()))
            .or_else(|| find(&routing_key).map(|event| event.name.to_owned()));
        let or_unknown = |text: Option<String>| clean(&text.unwrap_or_else(|| UNKNOWN.to_owned()));
        let died_at = death.as_ref().and_then(|death| death.time);
        Self {
            service,
            id: match (&event_id, delivery.properties.message_id()) {
                (Some(id), _) => id.to_string(),
                (None, Some(id)) if !id.as_str().is_empty() => clean(id.as_str()),
                (None, _) => format!("body-{:016x}", fingerprint([delivery.data.as_slice()])),
            },
            event_id,
            event_type: or_unknown(event_type),
            error_kind: or_unknown(unless_given_up(text(header::ERROR_KIND))),
            error: or_unknown(text(header::ERROR).or_else(|| death.as_ref().map(|death| death.reason.clone()))),
            handler: or_unknown(text(header::HANDLER)),
            attempt: message::attempt(&delivery),
            first_failed_at: time(header::FIRST_FAILED_AT).or(died_at),
            failed_at: time(header::FAILED_AT).or(died_at),
            failed_host: or_unknown(text(header::FAILED_HOST)),
            original_routing_key: clean(&routing_key),
            replay: text(header::REPLAY).map(|run| clean(&run)),
            delivery,
            stage,
        }
    }

    /// The body as it came.
    pub fn body(&self) -> &[u8] {
        &self.delivery.data
    }

    /// Whether the body is an event in its envelope, so that its service may remember its id.
    pub fn is_event(&self) -> bool {
        Envelope::from_json(self.body()).is_ok_and(|envelope| Some(envelope.id) == self.event_id)
    }

    /// The AMQP properties that are set, beside the headers.
    pub fn properties(&self) -> BTreeMap<&'static str, String> {
        let from = &self.delivery.properties;
        let texts = [
            ("message_id", from.message_id()),
            ("type", from.kind()),
            ("correlation_id", from.correlation_id()),
            ("content_type", from.content_type()),
            ("content_encoding", from.content_encoding()),
            ("app_id", from.app_id()),
            ("reply_to", from.reply_to()),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, clean(text.as_ref()?.as_str()))));
        let timestamp = from.timestamp().map(|seconds| ("timestamp", seconds.to_string()));
        texts.chain(timestamp).collect()
    }

    /// The headers, as text, those of the broker's own left out.
    pub fn headers(&self) -> BTreeMap<String, String> {
        let headers = self.delivery.properties.headers().as_ref().map(FieldTable::inner);
        let own = headers.into_iter().flatten().filter(|(name, _)| !name.as_str().starts_with("x-"));
        own.map(|(name, value)| (clean(name.as_str()), clean(&shown(value)))).collect()
    }
}

/// The id of the event that a message is, or says it is.
pub(crate) fn event_id(delivery: &Delivery) -> Option<EventId> {
    id_of(&serde_json::from_slice(&delivery.data).unwrap_or_default(), delivery)
}

fn id_of(said: &Said<'_>, delivery: &Delivery) -> Option<EventId> {
    let in_body = said.id.and_then(|raw| serde_json::from_str(raw.get()).ok());
    in_body.or_else(|| delivery.properties.message_id().as_ref()?.as_str().parse().ok())
}

/// What the broker tells of a message that it gave up by itself (`x-death`): after so many deliveries without an answer.
struct Death {
    reason: String,
    time: Option<DateTime<Utc>>,
    routing_key: Option<String>,
}

impl Death {
    fn of(delivery: &Delivery) -> Option<Self> {
        let headers = delivery.properties.headers().as_ref()?.inner();
        let AMQPValue::FieldArray(deaths) = headers.get("x-death")? else { return None };
        deaths.as_slice().iter().find_map(|death| {
            let AMQPValue::FieldTable(death) = death else { return None };
            let death = death.inner();
            let reason = text_of(death.get("reason"))?;
            // rungs of the ladder expire messages all the time
            if reason != "delivery_limit" {
                return None;
            }
            let time = match death.get("time") {
                Some(AMQPValue::Timestamp(seconds)) => {
                    i64::try_from(*seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0))
                }
                _ => None,
            };
            let routing_key = match death.get("routing-keys") {
                Some(AMQPValue::FieldArray(keys)) => text_of(keys.as_slice().first()),
                _ => None,
            };
            Some(Self { reason: format!("the broker gave it up: {reason}"), time, routing_key })
        })
    }
}

fn text_of(value: Option<&AMQPValue>) -> Option<String> {
    match value {
        Some(AMQPValue::LongString(text)) => Some(text.to_string()),
        Some(AMQPValue::ShortString(text)) => Some(text.to_string()),
        _ => None,
    }
}

fn shown(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => text.to_string(),
        AMQPValue::ShortString(text) => text.to_string(),
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::ShortShortInt(number) => number.to_string(),
        AMQPValue::ShortInt(number) => number.to_string(),
        AMQPValue::LongInt(number) => number.to_string(),
        AMQPValue::LongUInt(number) => number.to_string(),
        AMQPValue::LongLongInt(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// A text that does a terminal no harm.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A short number for some texts, the same in every version of this program (FNV-1a, 64 bits): for names that people type,
/// not against people who want two things to have one name.
pub fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    // each part ends with a byte that no UTF-8 text has, so that "ab" "c" is not "a" "bc"
    let bytes = parts.into_iter().flat_map(|part| part.iter().copied().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::BasicProperties;
    use lapin::types::FieldArray;

    fn letter(body: &[u8], properties: BasicProperties) -> Letter {
        let mut delivery = Delivery::mock(1, "order.dlx".into(), "dead".into(), false, body.to_vec());
        delivery.properties = properties;
        Letter::read(Service::Order, delivery, 0)
    }

    fn headers(pairs: &[(&str, AMQPValue)]) -> BasicProperties {
        let mut table = FieldTable::default();
        for (name, value) in pairs {
            table.insert((*name).into(), value.clone());
        }
        BasicProperties::default().with_headers(table)
    }

    fn text(value: &str) -> AMQPValue {
        AMQPValue::LongString(value.into())
    }

    #[test]
    fn the_event_names_the_letter_then_the_message_then_the_body() {
        let (event, message) = (EventId::new(), EventId::new());
        let body = format!(r#"{{"id": "{event}", "type": "a.type", "rest": [1, {{}}]}}"#);
        let with_id = || BasicProperties::default().with_message_id(message.to_string().into());
        let both = letter(body.as_bytes(), with_id());
        assert_eq!((both.id, both.event_id, both.event_type), (event.to_string(), Some(event), "a.type".to_owned()));
        let unreadable = letter(b"{\"id\":", with_id());
        assert_eq!((unreadable.id, unreadable.event_id), (message.to_string(), Some(message)));
        let no_uuid = letter(b"{}", BasicProperties::default().with_message_id("order\n7".into()));
        assert_eq!((no_uuid.id.as_str(), no_uuid.event_id), ("order\u{fffd}7", None));
        let nameless = letter(b"{\"id\": 7}", BasicProperties::default());
        assert!(nameless.id.starts_with("body-") && nameless.id.len() == 21, "{}", nameless.id);
        assert_ne!(nameless.id, letter(b"{\"id\": 8}", BasicProperties::default()).id);
        assert_eq!((nameless.event_type.as_str(), nameless.error_kind.as_str()), (UNKNOWN, UNKNOWN));
    }

    #[test]
    fn headers_tell_of_the_failure() {
        let read = letter(
            b"",
            headers(&[
                (header::ERROR_KIND, text("rejected")),
                (header::ERROR, text("no\u{1b}[2J")),
                (header::ATTEMPT, AMQPValue::LongInt(4)),
                (header::FIRST_FAILED_AT, text("2026-01-02T03:04:05.678Z")),
                (header::REPLAY, text("run")),
                ("x-death", text("not one")),
            ]),
        );
        assert_eq!((read.error_kind.as_str(), read.error.as_str(), read.attempt), ("rejected", "no\u{fffd}[2J", 4));
        assert_eq!(read.first_failed_at.map(|at| at.timestamp_millis()), Some(1_767_323_045_678));
        assert_eq!((read.replay.as_deref(), read.failed_at), (Some("run"), None));
        assert!(!read.headers().contains_key("x-death"));
    }

    #[test]
    fn the_broker_tells_of_those_that_it_gave_up_itself() {
        let death = |reason: &str, key: &str| {
            let mut death = FieldTable::default();
            death.insert("reason".into(), text(reason));
            death.insert("time".into(), AMQPValue::Timestamp(1_767_323_045));
            death.insert("routing-keys".into(), AMQPValue::FieldArray(FieldArray::from(vec![text(key)])));
            AMQPValue::FieldTable(death)
        };
        let deaths = vec![death("expired", "1s"), death("delivery_limit", "some.type")];
        let read = letter(b"", headers(&[("x-death", AMQPValue::FieldArray(FieldArray::from(deaths)))]));
        assert_eq!((read.error_kind.as_str(), read.original_routing_key.as_str()), ("crashed-consumer", "some.type"));
        assert_eq!(read.failed_at.map(|at| at.timestamp()), Some(1_767_323_045));
    }

    #[test]
    fn a_fingerprint_tells_where_one_part_ends() {
        let of = |parts: [&str; 2]| fingerprint(parts.map(str::as_bytes));
        assert_ne!(of(["ab", "c"]), of(["a", "bc"]));
        assert_eq!(fingerprint([b"a".as_slice()]), fingerprint([b"a".as_slice()]));
    }
}
