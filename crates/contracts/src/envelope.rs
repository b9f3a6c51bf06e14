//! The envelope: how an event travels, as a CloudEvents 1.0 JSON object.
//!
//! `correlationid` and `causationid` follow the CloudEvents correlation extension, `traceparent` W3C Trace Context,
//! `sequence` the CloudEvents sequence extension.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::event::{DecodeError, Event, MAX_EVENT_BYTES, read};
use crate::values::EventId;

/// The media type of an envelope.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The longest subject, source or id text of an envelope, in bytes.
const MAX_TEXT: usize = 256;

/// An event on its way. The data stays as it was written until its type and version are known.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Envelope<'a> {
    /// Always `1.0`.
    #[cfg_attr(feature = "schema", schemars(extend("const" = "1.0")))]
    pub specversion: Cow<'a, str>,
    /// The event's own id, unique over all sources: what an inbox remembers.
    pub id: EventId,
    /// Who published it: `/warren/order`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_TEXT)))]
    pub source: Cow<'a, str>,
    /// The event's type, which is also the routing key.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_TEXT)))]
    #[serde(rename = "type")]
    pub event_type: Cow<'a, str>,
    /// The schema of `data`: `urn:warren:order.created:2`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^urn:warren:.+:[1-9][0-9]*$")))]
    pub dataschema: Cow<'a, str>,
    /// The aggregate that it is about.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_TEXT)))]
    pub subject: Cow<'a, str>,
    /// Counts the events of one source and subject from 1.
    #[serde(serialize_with = "sequence_as_text")]
    #[cfg_attr(feature = "schema", schemars(with = "String", regex(pattern = "^[1-9][0-9]*$")))]
    pub sequence: i64,
    /// When it happened, by the publisher's database.
    #[serde(serialize_with = "time_as_text")]
    pub time: DateTime<Utc>,
    /// The media type of `data`, always `application/json`; that is also meant where it is absent.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub datacontenttype: Cow<'a, str>,
    /// The same for all that one request set off.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_TEXT)))]
    pub correlationid: Cow<'a, str>,
    /// The id of the event or request that caused this one.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_TEXT)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causationid: Option<Cow<'a, str>>,
    /// The trace that it belongs to.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_TEXT)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Cow<'a, str>>,
    /// The event itself, in the shape that `dataschema` names.
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
    pub data: Cow<'a, RawValue>,
}

fn sequence_as_text<S: Serializer>(sequence: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(sequence)
}

fn time_as_text<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time_text(time))
}

/// A time as it stands in envelopes and answers: RFC 3339, UTC, microseconds as the database keeps them.
pub fn time_text(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The `dataschema` of an event type in a version.
pub fn schema_urn(event_type: &str, version: u16) -> String {
    format!("urn:warren:{event_type}:{version}")
}

/// The envelope's fields as they come from outside. Unknown fields are other people's extensions and are ignored.
#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    id: EventId,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    dataschema: Cow<'a, str>,
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(deserialize_with = "sequence_from_text")]
    sequence: i64,
    time: DateTime<Utc>,
    #[serde(borrow, default)]
    datacontenttype: Option<Cow<'a, str>>,
    #[serde(borrow)]
    correlationid: Cow<'a, str>,
    #[serde(borrow, default)]
    causationid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    traceparent: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: &'a RawValue,
}

fn sequence_from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    match text.parse() {
        Ok(sequence) if sequence >= 1 => Ok(sequence),
        _ => Err(serde::de::Error::custom("not a sequence")),
    }
}

impl<'a> Envelope<'a> {
    /// Reads the envelope around an event; the data is not looked into yet.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`], naming the field that is missing or wrong.
    pub fn from_json(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_EVENT_BYTES {
            return Err(malformed("envelope", "larger than 256 KiB"));
        }
        let json = std::str::from_utf8(bytes).map_err(|_| malformed("envelope", "not UTF-8"))?;
        // The quick way names no place; only a message that fails it is read again by the one that does.
        let incoming: Incoming<'a> = match serde_json::from_str(json) {
            Ok(incoming) => incoming,
            Err(_) => {
                return Err(read::<Owned>("", json)
                    .err()
                    .unwrap_or_else(|| malformed("envelope", "wrong type or value")));
            }
        };
        incoming.checked()
    }

    /// The schema version at the end of `dataschema`.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] when `dataschema` is not that of the envelope's type.
    pub fn version(&self) -> Result<u16, DecodeError> {
        self.dataschema
            .strip_prefix("urn:warren:")
            .and_then(|rest| rest.strip_prefix(self.event_type.as_ref()))
            .and_then(|rest| rest.strip_prefix(':'))
            .and_then(|number| number.parse().ok())
            .filter(|version| *version >= 1)
            .ok_or_else(|| malformed("dataschema", "not urn:warren:TYPE:VERSION of this type"))
    }

    /// The event inside, in its newest shape.
    ///
    /// # Errors
    /// All of [`DecodeError`]: another type than `E`, a version that `E` does not know, data of another shape, or data
    /// that is about another subject than the envelope.
    pub fn event<E: Event>(&self) -> Result<E, DecodeError> {
        if self.event_type != E::TYPE {
            return Err(DecodeError::UnknownType);
        }
        let event = E::from_version(self.version()?, &self.data)?;
        if event.subject() != self.subject {
            return Err(malformed("subject", "not the one of the data"));
        }
        Ok(event)
    }
}

/// [`Incoming`] without borrows, for naming the place of a fault.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read for its errors alone")]
struct Owned {
    specversion: String,
    id: EventId,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    dataschema: String,
    subject: String,
    #[serde(deserialize_with = "sequence_from_text")]
    sequence: i64,
    time: DateTime<Utc>,
    #[serde(default)]
    datacontenttype: Option<String>,
    correlationid: String,
    #[serde(default)]
    causationid: Option<String>,
    #[serde(default)]
    traceparent: Option<String>,
    data: Box<RawValue>,
}

impl<'a> Incoming<'a> {
    fn checked(self) -> Result<Envelope<'a>, DecodeError> {
        if self.specversion != "1.0" {
            return Err(malformed("specversion", "not 1.0"));
        }
        if self.datacontenttype.as_ref().is_some_and(|kind| kind != "application/json") {
            return Err(malformed("datacontenttype", "not application/json"));
        }
        let texts = [
            ("source", Some(&self.source)),
            ("type", Some(&self.event_type)),
            ("subject", Some(&self.subject)),
            ("correlationid", Some(&self.correlationid)),
            ("causationid", self.causationid.as_ref()),
            ("traceparent", self.traceparent.as_ref()),
        ];
        for (name, text) in texts {
            if text.is_some_and(|text| text.is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control)) {
                return Err(malformed(name, "empty, too long, or with control characters"));
            }
        }
        // PostgreSQL's text cannot hold U+0000, and no text of ours needs it.
        if holds_nul(self.data.get()) {
            return Err(malformed("data", "holds U+0000"));
        }
        let envelope = Envelope {
            specversion: self.specversion,
            id: self.id,
            source: self.source,
            event_type: self.event_type,
            dataschema: self.dataschema,
            subject: self.subject,
            sequence: self.sequence,
            time: self.time,
            datacontenttype: Cow::Borrowed("application/json"),
            correlationid: self.correlationid,
            causationid: self.causationid,
            traceparent: self.traceparent,
            data: Cow::Borrowed(self.data),
        };
        envelope.version()?;
        Ok(envelope)
    }
}

/// Whether a JSON text holds an escaped U+0000; a backslash that is itself escaped begins none.
fn holds_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let backslashes = json[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        backslashes % 2 == 0
    })
}

fn malformed(place: &str, what: &str) -> DecodeError {
    DecodeError::Malformed(format!("{place}: {what}"))
}
