//! What the messaging of a service shows to Prometheus.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// A message that was handled.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Processed {
    /// The service's queue.
    pub queue: &'static str,
    /// The event's type if it is in the catalogue, else `unknown`.
    pub event: &'static str,
    /// `done`, `duplicate`, `retry` or `dead`.
    pub outcome: &'static str,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Queue {
    /// Its name.
    pub queue: &'static str,
}

/// Messages of a queue that failed for good in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeadLetter {
    /// The service's queue.
    pub queue: &'static str,
    /// Its [`ErrorKind`](crate::message::ErrorKind), as the letter's headers have it.
    pub error: &'static str,
}

/// A queue of the topology, by its whole name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WorkQueue {
    /// Its name.
    pub queue: String,
}

/// Messages of a queue in one state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct QueueState {
    /// Its name.
    pub queue: String,
    /// `ready`: not delivered to anybody.
    pub state: &'static str,
}

/// A circuit breaker.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Breaker {
    /// What it protects.
    pub name: &'static str,
}

/// A table of the service's database.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Table {
    /// Its name.
    pub table: String,
}

/// All families. A clone shows the same numbers.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Messages by what became of them.
    pub processed: Family<Processed, Counter>,
    /// Seconds from taking a batch to its settlement.
    pub processing_seconds: Histogram,
    /// Seconds from an event's time to its settlement.
    pub age_seconds: Histogram,
    /// Copies sent to a retry queue.
    pub retries: Family<Queue, Counter>,
    /// Copies sent to the dead letters.
    pub dead_letters: Family<DeadLetter, Counter>,
    /// Dead letters that wait for somebody, as the broker counts.
    pub dead_letters_waiting: Family<Queue, Gauge>,
    /// Messages in the service's queues, as the broker counts.
    pub queue_messages: Family<QueueState, Gauge>,
    /// Consumers of the service's queue, as the broker counts.
    pub queue_consumers: Family<WorkQueue, Gauge>,
    /// Unpublished events.
    pub outbox_pending: Gauge,
    /// Seconds since the oldest of them happened.
    pub outbox_oldest_seconds: Gauge<f64, AtomicU64>,
    /// Seconds from publishing a window to its last confirm.
    pub confirm_seconds: Histogram,
    /// 0 closed, 1 probing, 2 open.
    pub breaker_state: Family<Breaker, Gauge>,
    /// The gauges of that family by name, since a family cannot be asked for its members.
    known_breakers: Arc<Mutex<BTreeMap<&'static str, Gauge>>>,
    /// Messages whose type the catalogue does not have.
    pub unknown_events: Counter,
    /// Bytes of each table, with its indexes.
    pub table_bytes: Family<Table, Gauge>,
}

impl Metrics {
    /// Registers all families.
    pub fn register(registry: &mut Registry) -> Self {
        // from half a millisecond to half a minute
        let seconds = || Histogram::new(exponential_buckets(0.0005, 2.0, 17));
        let metrics = Self {
            processed: Family::default(),
            processing_seconds: seconds(),
            age_seconds: seconds(),
            retries: Family::default(),
            dead_letters: Family::default(),
            dead_letters_waiting: Family::default(),
            queue_messages: Family::default(),
            queue_consumers: Family::default(),
            outbox_pending: Gauge::default(),
            outbox_oldest_seconds: Gauge::default(),
            confirm_seconds: seconds(),
            breaker_state: Family::default(),
            known_breakers: Arc::default(),
            unknown_events: Counter::default(),
            table_bytes: Family::default(),
        };
        let m = &metrics;
        registry.register("warren_messages_processed", "Messages by what became of them", m.processed.clone());
        registry.register(
            "warren_message_processing_seconds",
            "From taking a batch to its settlement",
            m.processing_seconds.clone(),
        );
        registry.register(
            "warren_message_age_seconds",
            "From an event's time to its settlement",
            m.age_seconds.clone(),
        );
        registry.register("warren_retries", "Copies sent to a retry queue", m.retries.clone());
        registry.register(
            "warren_dead_letters_published",
            "Copies sent to the dead letters, by why",
            m.dead_letters.clone(),
        );
        registry.register(
            "warren_dead_letters",
            "Dead letters that wait for somebody, as the broker counts",
            m.dead_letters_waiting.clone(),
        );
        registry.register(
            "warren_queue_messages",
            "Messages in a queue, as the broker counts",
            m.queue_messages.clone(),
        );
        registry.register(
            "warren_queue_consumers",
            "Consumers of a queue, as the broker counts",
            m.queue_consumers.clone(),
        );
        registry.register("warren_outbox_pending", "Events that wait to be published", m.outbox_pending.clone());
        registry.register("warren_outbox_oldest_seconds", "Age of the oldest of them", m.outbox_oldest_seconds.clone());
        registry.register(
            "warren_publish_confirm_seconds",
            "From publishing a window to its last confirm",
            m.confirm_seconds.clone(),
        );
        registry.register("warren_breaker_state", "0 closed, 1 probing, 2 open", m.breaker_state.clone());
        registry.register(
            "warren_unknown_events",
            "Messages of a type that the catalogue does not have",
            m.unknown_events.clone(),
        );
        registry.register("warren_table_bytes", "How large a table is, with its indexes", m.table_bytes.clone());
        metrics
    }

    /// The gauge of the breaker of that name, at 0.
    pub(crate) fn breaker(&self, name: &'static str) -> Gauge {
        let gauge = self.breaker_state.get_or_create(&Breaker { name }).clone();
        gauge.set(0);
        self.known_breakers.lock().unwrap_or_else(PoisonError::into_inner).insert(name, gauge.clone());
        gauge
    }

    /// All circuit breakers of the process and their states in words.
    pub fn breakers(&self) -> BTreeMap<&'static str, &'static str> {
        let known = self.known_breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let state = |gauge: &Gauge| match gauge.get() {
            0 => "closed",
            1 => "probing",
            _ => "open",
        };
        known.iter().map(|(name, gauge)| (*name, state(gauge))).collect()
    }
}
