//! Takes everything out of a queue, and remembers it.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use contracts::envelope::Envelope;
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection};

use super::broker::Broker;
use super::{SOON, eventually};

/// A message as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) routing_key: String,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Vec<u8>,
}

impl Letter {
    fn new(delivery: &Delivery) -> Self {
        let routing_key = delivery.routing_key.to_string();
        Self { routing_key, properties: delivery.properties.clone(), body: delivery.data.clone() }
    }

    /// The message id.
    pub(crate) fn id(&self) -> String {
        self.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// Subject and sequence of the event inside.
    pub(crate) fn place(&self) -> (String, i64) {
        let envelope = Envelope::from_json(&self.body).expect("an envelope");
        (envelope.subject.clone().into_owned(), envelope.sequence)
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let headers = self.properties.headers().as_ref()?;
        match headers.inner().get(name)? {
            AMQPValue::LongString(text) => Some(text.to_string()),
            AMQPValue::LongInt(number) => Some(number.to_string()),
            other => Some(format!("{other:?}")),
        }
    }
}

/// A consumer of the test's own.
pub(crate) struct Tap {
    letters: Arc<Mutex<Vec<Letter>>>,
    _connection: Connection,
}

impl Tap {
    /// Opens a tap on a queue.
    pub(crate) async fn on(broker: &Broker, queue: &str) -> Self {
        let (connection, channel) = broker.channel().await;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let mut consumer =
            channel.basic_consume(queue.into(), "tap".into(), options, arguments).await.expect("a queue");
        let letters = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&letters);
        tokio::spawn(async move {
            while let Some(Ok(delivery)) = consumer.next().await {
                seen.lock().unwrap().push(Letter::new(&delivery));
                let _ = delivery.acker.ack(BasicAckOptions::default()).await;
            }
        });
        Self { letters, _connection: connection }
    }

    /// Everything so far.
    pub(crate) fn letters(&self) -> Vec<Letter> {
        self.letters.lock().unwrap().clone()
    }

    /// Until messages with that many different ids have come, and all that came.
    pub(crate) async fn until(&self, different: usize) -> Vec<Letter> {
        eventually(SOON, async || {
            let letters = self.letters();
            let ids: HashSet<String> = letters.iter().map(Letter::id).collect();
            if ids.len() >= different { Ok(letters) } else { Err(format!("{} of {different} messages", ids.len())) }
        })
        .await
    }
}

/// Fails unless the events of each subject came in the order of their sequence, not counting repeats.
pub(crate) fn assert_in_order(letters: &[Letter]) {
    let mut seen = HashSet::new();
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    for letter in letters.iter().filter(|letter| seen.insert(letter.id())) {
        let (subject, sequence) = letter.place();
        let before = last.insert(subject.clone(), sequence).unwrap_or(0);
        assert!(sequence > before, "{subject}: {sequence} came after {before}");
    }
}

/// How many messages came more than once.
pub(crate) fn repeats(letters: &[Letter]) -> usize {
    let ids: HashSet<String> = letters.iter().map(Letter::id).collect();
    letters.len() - ids.len()
}
