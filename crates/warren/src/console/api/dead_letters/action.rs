//! What changes dead letters, as a value: it outlives the request that asked for it.

use contracts::event::Service;
use serde_json::{Value, json};

use crate::dlq::desk::Desk;
use crate::dlq::discard::discard;
use crate::dlq::edit::edit;
use crate::dlq::replay::{Replay, replay};

/// One action.
#[derive(Debug)]
pub(super) enum Action {
    /// Put letters back into their service's queue.
    Replay(Replay),
    /// The same with another body.
    Edit {
        /// Which letter.
        id: String,
        /// Whose.
        queue: Option<Service>,
        /// Its new body.
        body: String,
    },
    /// Take letters away for good.
    Discard {
        /// Which letters.
        ids: Vec<String>,
        /// Whose.
        queue: Option<Service>,
    },
}

impl Action {
    /// Its name in the journal.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Replay(_) => "replay",
            Self::Edit { .. } => "edit",
            Self::Discard { .. } => "discard",
        }
    }

    /// Does it, and tells what it came to.
    ///
    /// # Errors
    /// When it cannot be done; see the functions of `dlq`.
    pub(super) async fn act(self, desk: &Desk<'_>) -> anyhow::Result<Value> {
        match self {
            Self::Replay(wish) => Ok(replay(desk, &wish).await?.value()),
            Self::Edit { id, queue, body } => {
                Ok(edit(desk, &id, queue, body.into_bytes(), "the new body").await?.value())
            }
            Self::Discard { ids, queue } => Ok(json!({"discarded": discard(desk, &ids, queue).await?.len()})),
        }
    }
}
