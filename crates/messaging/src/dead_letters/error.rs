//! What can get in the way.

use crate::inspect::InspectError;
use crate::publisher::PublishFailure;

/// Why an operator could not do what he wanted. Nothing is lost by any of them.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The broker cannot be reached, or refuses.
    #[error(transparent)]
    Broker(#[from] InspectError),
    /// There is no such queue.
    #[error("there is no queue {0}: `warren topology apply` makes it")]
    NoQueue(String),
    /// Somebody else has them.
    #[error(
        "another `warren dlq` is at work on {0} and has its letters in hand: wait until it ends, or stop it, and try again"
    )]
    Busy(String),
    /// Somebody consumes them who does not take the lock.
    #[error("{0} has a consumer that is not `warren`: stop it, what it has in hand cannot be seen")]
    Consumed(String),
    /// The connection was lost, or the broker took the letters back, as it does from those who keep them for half an hour.
    #[error("connection to the broker lost: {0}; every letter that was not handed over is in its queue again")]
    Lost(String),
    /// No queue took a copy.
    #[error("no queue takes what is replayed to {0}: `warren topology apply` binds it")]
    NoRoute(&'static str),
    /// The queue has no room.
    #[error("the queue {0} is full and takes nothing: is the service running?")]
    Full(&'static str),
    /// The broker does not read from us.
    #[error("the broker blocks publishing (an alarm of its memory or disk): try again when it has ended")]
    Blocked,
}

impl DeadLetterError {
    pub(super) fn lost(error: lapin::Error) -> Self {
        Self::Lost(error.to_string())
    }

    pub(super) fn publish(failure: PublishFailure) -> Self {
        match failure {
            PublishFailure::Blocked => Self::Blocked,
            other => Self::Lost(other.to_string()),
        }
    }
}
