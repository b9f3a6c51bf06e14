//! Who did what: lines that operators leave on the broker, which all of them share, in a queue that keeps the newest.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection};

use super::lock::Lock;
use super::taker::{Taker, answered};
use super::{CONNECTION_NAME, DeadLetterError};
use crate::connection::Session;
use crate::inspect::{connect_any, refused};
use crate::message::Outgoing;
use crate::publisher::{Publisher, Verdict};
use crate::settings::AmqpUrls;

/// The queue of the [`Journal`]. It is no service's, so it does not begin with a service's name, and no service declares it.
pub const AUDIT_QUEUE: &str = "warren.audit";

/// How many lines are kept; then the oldest go.
const MAX_LENGTH: i64 = 100_000;

/// Looking at it must never empty it.
const DELIVERY_LIMIT: i64 = 1_000_000;

/// The journal of what operators did.
#[derive(Debug)]
pub struct Journal {
    publisher: Publisher,
}

impl Journal {
    /// Opens the journal, and makes it if this is the first time.
    ///
    /// # Errors
    /// When the broker cannot be reached, or refuses.
    pub async fn open(urls: &AmqpUrls) -> Result<Self, DeadLetterError> {
        let connection = connect_any(urls, CONNECTION_NAME).await?;
        declare(&connection).await?;
        let publisher = Publisher::open(Session::alone(connection)).await.map_err(DeadLetterError::publish)?;
        Ok(Self { publisher })
    }

    /// Adds a line; returns when the broker has it safely.
    ///
    /// # Errors
    /// When it does not.
    pub async fn add(&self, line: Vec<u8>) -> Result<(), DeadLetterError> {
        let properties = BasicProperties::default().with_delivery_mode(2).with_content_type("application/json".into());
        let message = Outgoing {
            // the exchange that routes by the queue's name: an operator may write everywhere, unlike a service
            exchange: String::new(),
            routing_key: AUDIT_QUEUE.to_owned(),
            mandatory: true,
            body: line,
            properties,
        };
        match self.publisher.publish(&[message]).await.map_err(DeadLetterError::publish)?.as_slice() {
            [Verdict::Confirmed] => Ok(()),
            _ => Err(DeadLetterError::Lost(format!("{AUDIT_QUEUE} does not take the line"))),
        }
    }

    /// All lines, oldest first.
    ///
    /// # Errors
    /// When the broker cannot be reached, or somebody else reads them for longer than `patience`.
    pub async fn read(urls: &AmqpUrls, patience: Duration) -> Result<Vec<Vec<u8>>, DeadLetterError> {
        let connection = connect_any(urls, CONNECTION_NAME).await?;
        let mut lines = Vec::new();
        match Taker::must_exist(&connection, AUDIT_QUEUE).await {
            // nobody has done anything yet
            Err(DeadLetterError::NoQueue(_)) => return Ok(lines),
            there => there?,
        }
        let _lock = Lock::take(&connection, "audit", AUDIT_QUEUE, patience).await?;
        let mut taker = Taker::open(&connection, AUDIT_QUEUE.to_owned()).await?;
        while let Some((delivery, _)) = taker.next(&connection).await? {
            lines.push(delivery.data);
        }
        taker.give_back().await?;
        let _ = answered(connection.close(200, "done".into())).await;
        Ok(lines)
    }
}

async fn declare(connection: &Connection) -> Result<(), DeadLetterError> {
    let channel = answered(connection.create_channel()).await?.map_err(DeadLetterError::lost)?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MAX_LENGTH));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("drop-head".into()));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    answered(channel.queue_declare(AUDIT_QUEUE.into(), options, arguments)).await?.map_err(refused)?;
    let _ = answered(channel.close(200, "done".into())).await;
    Ok(())
}
