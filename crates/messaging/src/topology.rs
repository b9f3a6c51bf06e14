//! Exchanges, queues and bindings: a value that follows from the catalogue, and the one function that declares it.
//!
//! It means the same on RabbitMQ 3.10 to 4.x: every queue is a quorum queue with explicit limits, since the defaults
//! differ between versions (`x-delivery-limit`: none in 3.10, 20 in 4.0).

use std::time::Duration;

use contracts::catalogue::consumed_by;
use contracts::event::Service;
use futures_util::future::try_join_all;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use crate::schedule::{RetrySchedule, delay_name};

/// The topic exchange that all events are published to; the routing key is the event's type.
pub const EVENTS: &str = "events";

/// The routing key of a service's dead letters on its own `SERVICE.dlx`.
pub const DEAD_KEY: &str = "dead";

/// How many messages a work queue or a rung of the ladder holds before it rejects. A policy on the broker may lower it.
const MAX_LENGTH: i64 = 100_000;

/// After how many deliveries without an answer the broker itself moves a message to the dead letters: a last net below
/// the attempts that are counted here.
const DELIVERY_LIMIT: i64 = 50;

/// The delivery limit of a dead-letter queue: looking at it must never empty it.
const DEAD_DELIVERY_LIMIT: i64 = 1_000_000;

/// The exchange through which a service's failed messages go to a rung of its ladder.
pub fn retry_exchange(service: Service) -> String {
    format!("{service}.retry")
}

/// The exchange through which a rung gives its messages back to the service's queue.
pub fn redeliver_exchange(service: Service) -> String {
    format!("{service}.redeliver")
}

/// The exchange through which messages become dead letters.
pub fn dead_exchange(service: Service) -> String {
    format!("{service}.dlx")
}

/// The queue of one rung.
pub fn retry_queue(service: Service, delay: Duration) -> String {
    format!("{service}.retry.{}", delay_name(delay))
}

/// The dead-letter queue.
pub fn dead_queue(service: Service) -> String {
    format!("{service}.dead")
}

/// An exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// `topic` for [`EVENTS`], else `direct`.
    pub kind: Kind,
}

/// The two kinds of exchanges in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Routes by pattern.
    Topic,
    /// Routes by equal key.
    Direct,
}

impl Kind {
    /// The name in AMQP.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Topic => "topic",
            Kind::Direct => "direct",
        }
    }
}

/// A queue and its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Its arguments beside `x-queue-type=quorum`.
    pub arguments: Vec<(&'static str, Argument)>,
}

/// The value of a queue's argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

/// A binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// From this exchange,
    pub exchange: String,
    /// messages with this key
    pub key: String,
    /// go to this queue.
    pub queue: String,
}

/// Everything on the broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    /// All exchanges.
    pub exchanges: Vec<Exchange>,
    /// All queues.
    pub queues: Vec<Queue>,
    /// All bindings.
    pub bindings: Vec<Binding>,
}

impl Topology {
    /// The topology of the whole catalogue, with that ladder.
    pub fn new(schedule: &RetrySchedule) -> Self {
        let mut topology = Self {
            exchanges: vec![Exchange { name: EVENTS.to_owned(), kind: Kind::Topic }],
            queues: Vec::new(),
            bindings: Vec::new(),
        };
        for service in Service::ALL {
            topology.add(service, schedule);
        }
        topology
    }

    fn add(&mut self, service: Service, schedule: &RetrySchedule) {
        let name = service.name();
        for exchange in [retry_exchange(service), redeliver_exchange(service), dead_exchange(service)] {
            self.exchanges.push(Exchange { name: exchange, kind: Kind::Direct });
        }
        self.queues.push(Queue {
            name: name.to_owned(),
            arguments: [
                ("x-max-length", Argument::Number(MAX_LENGTH)),
                ("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)),
            ]
            .into_iter()
            .chain(dead_letters_to(&dead_exchange(service), DEAD_KEY))
            .collect(),
        });
        self.bind(&redeliver_exchange(service), name, name);
        for delay in schedule.delays() {
            let queue = retry_queue(service, *delay);
            let millis = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
            self.bind(&retry_exchange(service), &delay_name(*delay), &queue);
            self.queues.push(Queue {
                name: queue,
                arguments: [
                    ("x-max-length", Argument::Number(MAX_LENGTH)),
                    ("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)),
                    ("x-message-ttl", Argument::Number(millis)),
                ]
                .into_iter()
                .chain(dead_letters_to(&redeliver_exchange(service), name))
                .collect(),
            });
        }
        self.queues.push(Queue {
            name: dead_queue(service),
            arguments: vec![("x-delivery-limit", Argument::Number(DEAD_DELIVERY_LIMIT))],
        });
        self.bind(&dead_exchange(service), DEAD_KEY, &dead_queue(service));
        for event in consumed_by(service) {
            self.bind(EVENTS, event.name, name);
        }
    }

    fn bind(&mut self, exchange: &str, key: &str, queue: &str) {
        self.bindings.push(Binding { exchange: exchange.to_owned(), key: key.to_owned(), queue: queue.to_owned() });
    }

    /// The bindings of one service's own queues.
    pub fn bindings_of(&self, service: Service) -> impl Iterator<Item = &Binding> {
        let own = format!("{service}.");
        self.bindings.iter().filter(move |binding| binding.queue == service.name() || binding.queue.starts_with(&own))
    }

    /// Declares everything. What is there already stays as it is; what is there with other arguments is an error.
    ///
    /// # Errors
    /// When the broker refuses, which closes the channel.
    pub async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        try_join_all(self.exchanges.iter().map(|exchange| {
            let kind = match exchange.kind {
                Kind::Topic => ExchangeKind::Topic,
                Kind::Direct => ExchangeKind::Direct,
            };
            let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
            channel.exchange_declare(exchange.name.as_str().into(), kind, options, FieldTable::default())
        }))
        .await?;
        try_join_all(self.queues.iter().map(|queue| {
            let options = QueueDeclareOptions { durable: true, ..Default::default() };
            channel.queue_declare(queue.name.as_str().into(), options, queue.table())
        }))
        .await?;
        bind(channel, self.bindings.iter()).await
    }
}

/// Makes bindings; those that are there already stay.
pub(crate) async fn bind(channel: &Channel, bindings: impl Iterator<Item = &Binding>) -> lapin::Result<()> {
    try_join_all(bindings.map(|binding| {
        channel.queue_bind(
            binding.queue.as_str().into(),
            binding.exchange.as_str().into(),
            binding.key.as_str().into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
    }))
    .await?;
    Ok(())
}

/// The arguments by which a queue's dead letters reach their next queue at least once. That strategy needs
/// `reject-publish`; with the default overflow the broker silently falls back to at most once.
fn dead_letters_to(exchange: &str, key: &str) -> [(&'static str, Argument); 4] {
    [
        ("x-overflow", Argument::Text("reject-publish".to_owned())),
        ("x-dead-letter-strategy", Argument::Text("at-least-once".to_owned())),
        ("x-dead-letter-exchange", Argument::Text(exchange.to_owned())),
        ("x-dead-letter-routing-key", Argument::Text(key.to_owned())),
    ]
}

impl Queue {
    fn table(&self) -> FieldTable {
        let mut table = FieldTable::default();
        table.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        for (name, argument) in &self.arguments {
            let value = match argument {
                Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
                Argument::Number(number) => AMQPValue::LongLongInt(*number),
            };
            table.insert((*name).into(), value);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_from_the_catalogue() {
        let topology = Topology::new(&"1s,60s,90s".parse().unwrap());
        let queues: Vec<_> = topology.queues.iter().map(|queue| queue.name.as_str()).collect();
        assert_eq!(&queues[..5], ["order", "order.retry.1s", "order.retry.1m", "order.retry.90s", "order.dead"]);
        assert_eq!(topology.exchanges.len(), 1 + 3 * 3);
        let keys: Vec<_> = topology
            .bindings_of(Service::Inventory)
            .filter(|binding| binding.exchange == EVENTS)
            .map(|binding| binding.key.as_str())
            .collect();
        assert_eq!(keys, ["order.created", "order.confirmed", "order.cancelled"]);
    }

    #[test]
    fn only_the_dead_letters_have_no_length_limit() {
        for queue in Topology::new(&RetrySchedule::default()).queues {
            let limited = queue.arguments.iter().any(|(name, _)| *name == "x-max-length");
            assert_eq!(limited, !queue.name.ends_with(".dead"), "{}", queue.name);
        }
    }
}
