//! Taking messages from a queue without acknowledging them, any number of them, in bounded memory.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::{DeliveryTag, FieldTable};
use lapin::{Channel, Connection, Consumer};
use tokio::time::{sleep, timeout};

use super::DeadLetterError;
use crate::inspect::{is_not_found, refused};

/// How long any single answer of the broker may take.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// How many messages one channel takes. The client keeps what the broker sends it in memory until it is asked for, and the
/// broker sends as much as it may: this bounds it. Messages beyond are taken by further channels, one after the other, so
/// that they come back in their order; a connection has room for 2,047, so for 1.6 million messages. It is given back in 25
/// handfuls: a queue to which a channel has sent more than 32 commands at once puts them together, and shuffles.
const STAGE: u16 = 800;

/// After how long without a delivery the queue is asked whether there is anything left.
const QUIET: Duration = Duration::from_secs(1);

/// How often in a row that may be before the broker is taken to be broken, although the queue says it has more.
const MOST_QUIET: u32 = 30;

/// How long the broker may take to put messages back, of this process or of one that died.
const RETURN_PATIENCE: Duration = Duration::from_secs(20);

/// How long messages may be missing from a queue that nobody takes from any more: somebody else has emptied it.
const MISSING_PATIENCE: Duration = Duration::from_secs(2);

/// The pause between two looks whether they are back.
const RETURN_PAUSE: Duration = Duration::from_millis(20);

/// How many messages are given back at once. A quorum queue keeps those of a consumer in an Erlang map, which has an order
/// up to 32 entries: more at once come back shuffled.
const HANDFUL: usize = 32;

/// One channel and what it has taken.
#[derive(Debug)]
struct Stage {
    channel: Channel,
    consumer: Consumer,
    cancelled: bool,
    /// The tags of the deliveries that are not acknowledged.
    in_hand: BTreeSet<DeliveryTag>,
}

/// What a queue says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    /// Messages that nobody has taken.
    pub(super) messages: u32,
    /// Who consumes it.
    pub(super) consumers: u32,
}

/// Takes what was in a queue when it was opened.
#[derive(Debug)]
pub(super) struct Taker {
    queue: String,
    /// For questions, which no deliveries delay.
    control: Channel,
    stages: Vec<Stage>,
    /// How many there were at the beginning, and how many of those are to come.
    found: u32,
    left: u32,
    acknowledged: u32,
}

impl Taker {
    /// # Errors
    /// When there is no such queue.
    pub(super) async fn must_exist(connection: &Connection, queue: &str) -> Result<(), DeadLetterError> {
        let channel = answered(connection.create_channel()).await?.map_err(DeadLetterError::lost)?;
        count(&channel, queue).await?;
        let _ = answered(channel.close(200, "done".into())).await;
        Ok(())
    }

    /// Begins; the caller has the lock. What one who had it before has not given back yet is waited for.
    pub(super) async fn open(connection: &Connection, queue: String) -> Result<Self, DeadLetterError> {
        let control = answered(connection.create_channel()).await?.map_err(DeadLetterError::lost)?;
        let give_up = Instant::now() + RETURN_PATIENCE;
        let found = loop {
            let Count { messages, consumers } = count(&control, &queue).await?;
            // consumer and messages come off in one step of the queue
            if consumers == 0 {
                break messages;
            }
            if Instant::now() > give_up {
                return Err(DeadLetterError::Consumed(queue));
            }
            sleep(RETURN_PAUSE).await;
        };
        Ok(Self { queue, control, stages: Vec::new(), found, left: found, acknowledged: 0 })
    }

    pub(super) fn left(&self) -> u32 {
        self.left
    }

    pub(super) async fn count(&self, queue: &str) -> Result<Count, DeadLetterError> {
        count(&self.control, queue).await
    }

    /// The next message and the number of the stage that has it.
    pub(super) async fn next(&mut self, connection: &Connection) -> Result<Option<(Delivery, usize)>, DeadLetterError> {
        let mut quiet = 0;
        while self.left > 0 {
            let number = self.open_stage(connection).await?;
            let stage = &mut self.stages[number];
            match timeout(QUIET, stage.consumer.next()).await {
                Ok(Some(Ok(delivery))) => {
                    stage.in_hand.insert(delivery.delivery_tag);
                    self.left -= 1;
                    return Ok(Some((delivery, number)));
                }
                Ok(Some(Err(error))) => return Err(DeadLetterError::lost(error)),
                Ok(None) => return Err(DeadLetterError::Lost("the consumer was cancelled".to_owned())),
                Err(_) => {
                    quiet += 1;
                    let ready = count(&self.control, &self.queue).await?.messages;
                    // twice: what was on its way at the first look is here at the second
                    if ready == 0 && quiet >= 2 {
                        self.left = 0;
                    }
                    if quiet > MOST_QUIET {
                        return Err(DeadLetterError::Lost("the broker delivers nothing".to_owned()));
                    }
                }
            }
        }
        Ok(None)
    }

    /// A stage that still can take something: the last one, or a new one.
    async fn open_stage(&mut self, connection: &Connection) -> Result<usize, DeadLetterError> {
        if let Some(last) = self.stages.last_mut() {
            if last.in_hand.len() < usize::from(STAGE) {
                return Ok(self.stages.len() - 1);
            }
            // or it would take more out of turn as soon as something of it is acknowledged
            last.cancel().await?;
        }
        let stage = answered(async {
            let channel = connection.create_channel().await?;
            channel.basic_qos(STAGE, BasicQosOptions::default()).await?;
            let tag = format!("warren.{:04}", self.stages.len());
            let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
            let consumer =
                channel.basic_consume(self.queue.as_str().into(), tag.as_str().into(), options, arguments).await?;
            Ok(Stage { channel, consumer, cancelled: false, in_hand: BTreeSet::new() })
        });
        self.stages.push(stage.await?.map_err(refused)?);
        Ok(self.stages.len() - 1)
    }

    /// A message of that stage was acknowledged.
    pub(super) fn acknowledged(&mut self, stage: usize, tag: DeliveryTag) {
        self.stages[stage].in_hand.remove(&tag);
        self.acknowledged += 1;
    }

    /// Gives back what was not acknowledged, in its order, and waits until the queue has it.
    pub(super) async fn give_back(&mut self) -> Result<(), DeadLetterError> {
        // first, or it would take what the others give back
        if let Some(last) = self.stages.last_mut() {
            last.cancel().await?;
        }
        for mut stage in self.stages.drain(..) {
            stage.give_back().await?;
        }
        let began = Instant::now();
        loop {
            let Count { messages, consumers } = count(&self.control, &self.queue).await?;
            let back = messages >= self.found - self.acknowledged || began.elapsed() > MISSING_PATIENCE;
            if consumers == 0 && back {
                return Ok(());
            }
            if began.elapsed() > RETURN_PATIENCE {
                return Err(DeadLetterError::Lost(format!("{} has {messages} letters back only", self.queue)));
            }
            sleep(RETURN_PAUSE).await;
        }
    }
}

impl Stage {
    async fn cancel(&mut self) -> Result<(), DeadLetterError> {
        if !std::mem::replace(&mut self.cancelled, true) {
            let cancel = self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default());
            answered(cancel).await?.map_err(DeadLetterError::lost)?;
        }
        Ok(())
    }

    async fn give_back(&mut self) -> Result<(), DeadLetterError> {
        // what had arrived and nobody asked for
        while let Some(delivery) = answered(self.consumer.next()).await? {
            self.in_hand.insert(delivery.map_err(DeadLetterError::lost)?.delivery_tag);
        }
        let tags: Vec<DeliveryTag> = self.in_hand.iter().copied().collect();
        let options = BasicNackOptions { multiple: true, requeue: true };
        for last in tags.chunks(HANDFUL).filter_map(|tags| tags.last()) {
            answered(self.channel.basic_nack(*last, options)).await?.map_err(DeadLetterError::lost)?;
        }
        answered(self.channel.close(200, "done".into())).await?.map_err(DeadLetterError::lost)
    }
}

/// Asks a queue about itself. An error closes the channel.
async fn count(channel: &Channel, queue: &str) -> Result<Count, DeadLetterError> {
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    match answered(channel.queue_declare(queue.into(), options, FieldTable::default())).await? {
        Ok(queue) => Ok(Count { messages: queue.message_count(), consumers: queue.consumer_count() }),
        Err(error) if is_not_found(&error) => Err(DeadLetterError::NoQueue(queue.to_owned())),
        Err(error) => Err(refused(error).into()),
    }
}

/// An answer of the broker, in time.
pub(super) async fn answered<T>(answer: impl Future<Output = T>) -> Result<T, DeadLetterError> {
    timeout(BROKER_TIMEOUT, answer)
        .await
        .map_err(|_| DeadLetterError::Lost(format!("no answer within {} s", BROKER_TIMEOUT.as_secs())))
}
