//! Hearing of failures as they happen: the lock's queue is bound beside the dead letters and gets a copy of each new one.

use contracts::event::Service;
use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, QueueBindOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};

use super::lock::Lock;
use super::taker::answered;
use super::{DeadLetterError, Letter};
use crate::inspect::refused;
use crate::topology::{DEAD_KEY, dead_exchange};

/// The messages of one service that become dead letters from now on.
#[derive(Debug)]
pub struct Failures {
    service: Service,
    _channel: Channel,
    consumer: Consumer,
}

impl Failures {
    pub(super) async fn watch(connection: &Connection, lock: &Lock, service: Service) -> Result<Self, DeadLetterError> {
        let (owner, queue) = lock.queue();
        let bind = owner.queue_bind(
            queue.into(),
            dead_exchange(service).into(),
            DEAD_KEY.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        answered(bind).await?.map_err(refused)?;
        let channel = answered(connection.create_channel()).await?.map_err(DeadLetterError::lost)?;
        let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
        let consume = channel.basic_consume(queue.into(), "warren.failures".into(), options, FieldTable::default());
        let consumer = answered(consume).await?.map_err(refused)?;
        Ok(Self { service, _channel: channel, consumer })
    }

    /// The next one; waits for it. It is a copy to be looked at, the letter itself is in the queue. It may be dropped
    /// while it waits, nothing is missed.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn next(&mut self) -> Result<Letter, DeadLetterError> {
        match self.consumer.next().await {
            Some(Ok(delivery)) => Ok(Letter::read(self.service, delivery, usize::MAX)),
            Some(Err(error)) => Err(DeadLetterError::lost(error)),
            None => Err(DeadLetterError::Lost("the consumer was cancelled".to_owned())),
        }
    }
}
