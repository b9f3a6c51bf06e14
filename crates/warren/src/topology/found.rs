//! What is found on a broker: by AMQP alone, or in full by its management interface.

use std::collections::{BTreeMap, BTreeSet};

use messaging::inspect::Presence;
use serde::Serialize;
use serde_json::{Map, Value};

/// What there is. What could not be looked at is `None`.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Exchanges by name, with their type.
    pub(crate) exchanges: BTreeMap<String, Option<String>>,
    /// Queues by name.
    pub(crate) queues: BTreeMap<String, Queue>,
    /// Bindings.
    pub(crate) bindings: Option<BTreeSet<Binding>>,
}

/// A queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Its arguments.
    pub(crate) arguments: Option<Map<String, Value>>,
    /// Messages in it; none just after it was made, when the broker has not counted yet.
    pub(crate) messages: Option<u64>,
    /// Its consumers.
    pub(crate) consumers: Option<u64>,
    /// How many messages a policy lets it hold, where one says so.
    pub(crate) limit: Option<u64>,
}

/// A binding: from this exchange, with this key, to this queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Binding {
    pub(crate) exchange: String,
    pub(crate) key: String,
    pub(crate) queue: String,
}

impl From<Presence> for Found {
    fn from(presence: Presence) -> Self {
        let queues = presence.queues.into_iter().map(|queue| {
            let counts = Queue {
                arguments: None,
                messages: Some(queue.messages.into()),
                consumers: Some(queue.consumers.into()),
                limit: None,
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
