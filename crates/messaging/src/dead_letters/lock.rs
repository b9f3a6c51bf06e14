//! One operator at a time: an exclusive queue is the lock. The broker deletes it with its connection, however that ends.

use std::time::{Duration, Instant};

use lapin::options::QueueDeclareOptions;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ErrorKind};
use tokio::time::sleep;

use super::DeadLetterError;
use super::taker::answered;
use crate::inspect::refused;

/// The pause between two tries to get the lock.
const PAUSE: Duration = Duration::from_millis(250);

/// How many messages the lock's own queue holds when it is used to watch failures. Whoever watches reads them at once; if
/// he cannot, the oldest go, and no service is ever held up.
const MOST_WATCHED: i32 = 10_000;

/// The lock, held as long as its connection lives.
#[derive(Debug)]
pub(super) struct Lock {
    channel: Channel,
    name: String,
}

impl Lock {
    /// Waits until nobody else has the lock of that name; `queue` is what it protects, for the error.
    pub(super) async fn take(
        connection: &Connection,
        name: &str,
        queue: &str,
        patience: Duration,
    ) -> Result<Self, DeadLetterError> {
        let give_up = Instant::now() + patience;
        let name = format!("warren.dlq.{name}");
        loop {
            // a refusal closes the channel
            let channel = answered(connection.create_channel()).await?.map_err(DeadLetterError::lost)?;
            let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
            let mut arguments = FieldTable::default();
            arguments.insert("x-max-length".into(), AMQPValue::LongInt(MOST_WATCHED));
            match answered(channel.queue_declare(name.as_str().into(), options, arguments)).await? {
                Ok(_) => return Ok(Self { channel, name }),
                Err(error) if !is_locked(&error) => return Err(refused(error).into()),
                Err(_) if Instant::now() > give_up => return Err(DeadLetterError::Busy(queue.to_owned())),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// The queue that is the lock, and a channel of its owner.
    pub(super) fn queue(&self) -> (&Channel, &str) {
        (&self.channel, &self.name)
    }
}

fn is_locked(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(amqp)
        if *amqp.kind() == AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED))
}
