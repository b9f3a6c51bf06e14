//! What an event is: a serde struct with a type name, a schema version and a subject.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The largest envelope that may travel, in bytes. Brokers accept far more (16 MiB and up), but an event that needs more
/// than this is a document, and should be an id of one.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;

/// Something that happened, as its publisher tells it to the others.
///
/// A handler only ever sees the newest shape: [`Event::from_version`] turns older data into it.
pub trait Event: Serialize + Sized + Send + Sync + 'static {
    /// The name of the event, which is also its routing key: `order.created`.
    const TYPE: &'static str;
    /// The newest schema version, counted from 1.
    const VERSION: u16;

    /// The id of the aggregate that the event is about. Events of one subject are numbered without a gap by their publisher.
    fn subject(&self) -> String;

    /// Reads the `data` of schema version `version`.
    ///
    /// # Errors
    /// [`DecodeError::UnsupportedVersion`] for a version that this build does not know,
    /// [`DecodeError::Malformed`] for data that is not of that version's shape.
    fn from_version(version: u16, data: &RawValue) -> Result<Self, DecodeError>;
}

/// Why bytes are not an event for us. The texts name places, never values: they travel in headers and logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not an envelope, or a field of it or of its data is missing or wrong. It can never succeed.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A type that is not in the catalogue, or that the reader does not consume. A newer copy of the reader may.
    #[error("unknown type")]
    UnknownType,
    /// A version newer than the reader knows. A newer copy of it may be on its way.
    #[error("version {version} of {event} is not supported, newest known is {newest}")]
    UnsupportedVersion {
        /// The event's type.
        event: String,
        /// The version that was received.
        version: u16,
        /// The newest version that this build reads.
        newest: u16,
    },
}

/// Reads JSON into `T` and names the place of the first fault, without repeating any value.
///
/// # Errors
/// [`DecodeError::Malformed`], its text starting with `root` and the path below it.
pub(crate) fn read<T: DeserializeOwned>(root: &str, json: &str) -> Result<T, DecodeError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        // What is no JSON may break off within a field that is not ours, whose name is not ours to repeat.
        let path = if error.inner().is_data() { error.path().to_string() } else { ".".to_owned() };
        let place = match (root, path.as_str()) {
            ("", ".") => "envelope".to_owned(),
            ("", _) => path,
            (_, ".") => root.to_owned(),
            _ => format!("{root}.{path}"),
        };
        DecodeError::Malformed(format!("{place}: {}", fault(error.inner())))
    })
}

/// What is wrong, in words that hold no value of the message.
fn fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // serde names a missing or doubled field by our own field name, which is safe to repeat
    if text.starts_with("missing field") || text.starts_with("duplicate field") {
        text.split(" at line").next().unwrap_or("missing field").to_owned()
    } else if error.is_data() {
        "wrong type or value".to_owned()
    } else {
        "not valid JSON".to_owned()
    }
}

/// Reads the only version an event has so far.
pub(crate) fn only_version<E: Event + DeserializeOwned>(version: u16, data: &RawValue) -> Result<E, DecodeError> {
    match version {
        1 => read("data", data.get()),
        _ => Err(unsupported::<E>(version)),
    }
}

/// The error for a version outside of those that `E` knows.
pub(crate) fn unsupported<E: Event>(version: u16) -> DecodeError {
    DecodeError::UnsupportedVersion { event: E::TYPE.to_owned(), version, newest: E::VERSION }
}

/// One of the three services: publisher, consumer, and the name of its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Customers, orders, payments.
    Order,
    /// Products, stock, reservations.
    Inventory,
    /// Recipients and mails.
    Email,
}

impl Service {
    /// All services, in the order in which people list them.
    pub const ALL: [Service; 3] = [Service::Order, Service::Inventory, Service::Email];

    /// The name: of the binary, the database, the queue.
    pub const fn name(self) -> &'static str {
        match self {
            Service::Order => "order",
            Service::Inventory => "inventory",
            Service::Email => "email",
        }
    }

    /// The service of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    /// The `source` of the events it publishes (CloudEvents 1.0).
    pub fn source(self) -> String {
        format!("/warren/{}", self.name())
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
