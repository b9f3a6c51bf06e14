//! The dead letters of a service, as an operator works with them: look at them, put some back into their service's queue,
//! take some away.
//!
//! AMQP has no way to look at a message without taking it. So they are taken and not acknowledged, which leaves them to
//! the broker: they are given back in their order at the end, and if this process dies before, the broker has them again.
//! While they are taken nobody else sees them; a lock makes a second operator wait. Nothing here sees a database.

mod error;
mod letter;
mod lock;

mod taker;

mod failures;
mod journal;

use std::time::{Duration, Instant};

use contracts::event::Service;
use lapin::Connection;
use tokio::time::sleep;

use crate::acknowledge::acknowledge;
use crate::connection::Session;
use crate::inspect::{connect_any, refused};
use crate::message::{self, Outgoing};
use crate::publisher::{Publisher, Verdict};
use crate::settings::AmqpUrls;
use crate::topology::dead_queue;

pub use error::DeadLetterError;
pub use failures::Failures;
pub use journal::{AUDIT_QUEUE, Journal};
pub(crate) use letter::event_id;
pub use letter::{Letter, fingerprint};
use lock::Lock;
use taker::{Taker, answered};

/// What the broker's list of connections shows of us.
const CONNECTION_NAME: &str = "warren dlq";

/// How long a work queue that is full may take no message at all.
const FULL_PATIENCE: Duration = Duration::from_mins(1);

/// The pause before a full queue is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(200);

/// The dead letters of one service, in one operator's hands until [`DeadLetters::close`].
#[derive(Debug)]
pub struct DeadLetters {
    service: Service,
    urls: AmqpUrls,
    /// Takes and acknowledges. A broker under memory pressure stops reading from connections that publish, so those are
    /// others.
    connection: Connection,
    lock: Lock,
    taker: Taker,
    publisher: Option<Publisher>,
}

impl DeadLetters {
    /// Takes the dead letters of `service` in hand. Another operator who has them is waited for.
    ///
    /// # Errors
    /// [`DeadLetterError::Busy`] when he still has them after `patience`; others when the broker cannot be asked.
    pub async fn open(urls: &AmqpUrls, service: Service, patience: Duration) -> Result<Self, DeadLetterError> {
        let connection = connect_any(urls, CONNECTION_NAME).await?;
        let queue = dead_queue(service);
        Taker::must_exist(&connection, &queue).await?;
        let lock = Lock::take(&connection, service.name(), &queue, patience).await?;
        let taker = Taker::open(&connection, queue).await?;
        Ok(Self { service, urls: urls.clone(), connection, lock, taker, publisher: None })
    }

    /// Whose they are.
    pub fn service(&self) -> Service {
        self.service
    }

    /// How many there are still to come from [`DeadLetters::next`].
    pub fn left(&self) -> u32 {
        self.taker.left()
    }

    /// The next one, oldest first; `None` after the last of those that were there when this was opened.
    ///
    /// # Errors
    /// When the connection is lost, or the broker takes the letters back.
    pub async fn next(&mut self) -> Result<Option<Letter>, DeadLetterError> {
        let taken = self.taker.next(&self.connection).await?;
        Ok(taken.map(|(delivery, stage)| Letter::read(self.service, delivery, stage)))
    }

    /// Tells, from now on, of every message of this service that becomes a dead letter.
    ///
    /// # Errors
    /// When the connection is lost, or the broker refuses.
    pub async fn watch(&self) -> Result<Failures, DeadLetterError> {
        Failures::watch(&self.connection, &self.lock, self.service).await
    }

    /// Puts letters back into their service's queue, as copies that the broker has confirmed; then takes the letters away.
    /// If this ends in between, the letter and its copy are both there, and the inbox takes care of the second.
    ///
    /// # Errors
    /// [`DeadLetterError::Full`] when the queue takes nothing for a minute, [`DeadLetterError::NoRoute`] when there is
    /// none; others when a connection is lost.
    pub async fn replay(&mut self, letters: &[Letter], run: &str) -> Result<(), DeadLetterError> {
        let service = self.service;
        let copy = |letter: &&Letter| message::replay(&letter.delivery, service, &letter.original_routing_key, run);
        self.hand_over(letters.iter().map(|letter| (letter, copy(&letter))).collect()).await
    }

    /// As [`DeadLetters::replay`], of one letter with another body, which is `event`'s; it must have been checked.
    ///
    /// # Errors
    /// As [`DeadLetters::replay`].
    pub async fn replay_edited(
        &mut self,
        letter: &Letter,
        run: &str,
        event: &contracts::envelope::Envelope<'_>,
        body: Vec<u8>,
    ) -> Result<(), DeadLetterError> {
        let mut copy = message::replay(&letter.delivery, self.service, &letter.original_routing_key, run);
        copy.properties = std::mem::take(&mut copy.properties)
            .with_message_id(event.id.to_string().into())
            .with_type(event.event_type.as_ref().into())
            .with_content_type(contracts::envelope::CONTENT_TYPE.into());
        copy.body = body;
        self.hand_over(vec![(letter, copy)]).await
    }

    async fn hand_over(&mut self, mut waiting: Vec<(&Letter, Outgoing)>) -> Result<(), DeadLetterError> {
        let mut progress = Instant::now();
        while !waiting.is_empty() {
            let copies: Vec<Outgoing> = waiting.iter().map(|(_, copy)| copy.clone()).collect();
            let verdicts = self.publish(&copies).await?;
            if verdicts.contains(&Verdict::Returned) {
                return Err(DeadLetterError::NoRoute(self.service.name()));
            }
            let before = waiting.len();
            let mut rejected = Vec::new();
            for ((letter, copy), verdict) in waiting.into_iter().zip(verdicts) {
                match verdict {
                    Verdict::Confirmed => self.take_away(letter).await?,
                    _ => rejected.push((letter, copy)),
                }
            }
            waiting = rejected;
            if waiting.len() < before {
                progress = Instant::now();
            } else if progress.elapsed() > FULL_PATIENCE {
                return Err(DeadLetterError::Full(self.service.name()));
            }
            if !waiting.is_empty() {
                sleep(FULL_PAUSE).await;
            }
        }
        Ok(())
    }

    /// Takes a letter away for good.
    ///
    /// # Errors
    /// When the connection is lost: the letter is in its queue again then.
    pub async fn take_away(&mut self, letter: &Letter) -> Result<(), DeadLetterError> {
        match answered(acknowledge(&letter.delivery, false)).await?.map_err(DeadLetterError::lost)? {
            true => {
                self.taker.acknowledged(letter.stage, letter.delivery.delivery_tag);
                Ok(())
            }
            false => Err(DeadLetterError::Lost("the broker has taken the letters back".to_owned())),
        }
    }

    /// How many messages wait in the service's own queue, beside those that it has in hand.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn waiting_for_service(&self) -> Result<u32, DeadLetterError> {
        Ok(self.taker.count(self.service.name()).await?.messages)
    }

    async fn publish(&mut self, copies: &[Outgoing]) -> Result<Vec<Verdict>, DeadLetterError> {
        if self.publisher.as_ref().is_none_or(|publisher| !publisher.is_usable()) {
            let session = Session::alone(connect_any(&self.urls, CONNECTION_NAME).await?);
            self.publisher = Some(Publisher::open(session).await.map_err(DeadLetterError::publish)?);
        }
        let publisher = self.publisher.as_ref().expect("opened above");
        publisher.publish(copies).await.map_err(DeadLetterError::publish)
    }

    /// Gives back what was not taken away, and returns when it is in its queue again.
    ///
    /// # Errors
    /// When the connection is lost: the broker gives everything back by itself then.
    pub async fn close(mut self) -> Result<(), DeadLetterError> {
        let returned = self.taker.give_back().await;
        let closed = answered(self.connection.close(200, "done".into())).await;
        returned.and(closed?.map_err(|error| refused(error).into()))
    }
}
