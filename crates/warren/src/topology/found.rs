//! What is found on a broker: by AMQP alone, or in full by its management interface.

use std::collections::{BTreeMap, BTreeSet};

use messaging::inspect::Presence;
use serde::Serialize;
use serde_json::{Map, Value};

/// What there is. What could not be looked at is `None`.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Exchanges by name, with their type.
    pub(super) exchanges: BTreeMap<String, Option<String>>,
    /// Queues by name.
    pub(super) queues: BTreeMap<String, Queue>,
    /// Bindings.
    pub(super) bindings: Option<BTreeSet<Binding>>,
}

/// A queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Its arguments.
    pub(super) arguments: Option<Map<String, Value>>,
    /// Messages in it; none just after it was made, when the broker has not counted yet.
    pub(super) messages: Option<u64>,
    /// Its consumers.
    pub(super) consumers: Option<u64>,
}

/// A binding: from this exchange, with this key, to this queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Binding {
    pub(super) exchange: String,
    pub(super) key: String,
    pub(super) queue: String,
}

impl From<Presence> for Found {
    fn from(presence: Presence) -> Self {
        let queues = presence.queues.into_iter().map(|queue| {
            let counts = Queue {
                arguments: None,
                messages: Some(queue.messages.into()),
                consumers: Some(queue.consumers.into()),
            };
            (queue.name, counts)
        });
        Self {
            exchanges: presence.exchanges.into_iter().map(|name| (name, None)).collect(),
            queues: queues.collect(),
            bindings: None,
        }
    }
}
