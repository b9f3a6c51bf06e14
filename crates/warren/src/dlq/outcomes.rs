//! What becomes of replayed messages: the service is asked whether their events took effect; what failed again is heard of
//! at once, see [`messaging::dead_letters::Failures`].

use std::collections::VecDeque;
use std::time::Duration;

use contracts::values::EventId;
use futures_util::future::join_all;
use serde::Deserialize;

use crate::client::Client;
use crate::client::error::CallError;

/// How many questions are under way at once: few enough that a service does not notice them beside its work.
const AT_ONCE: usize = 16;

/// Without a canary the last so many letters are asked for, and not each: more than a service has in hand at a time, so
/// those before them have been handled, and what failed was heard of.
const LAST: usize = 256;

/// The pause between two rounds of questions, first and longest.
pub(super) const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// A message whose outcome is not known yet.
#[derive(Debug)]
struct Waiting {
    id: String,
    /// What the service can be asked for; nothing of a body that is no event.
    event: Option<EventId>,
}

/// The messages that were handed over and whose outcome is not known yet.
pub(super) struct Outcomes {
    client: Option<Client>,
    every: bool,
    waiting: VecDeque<Waiting>,
}

#[derive(Deserialize)]
struct Inbox {
    state: String,
}

impl Outcomes {
    /// None yet. `every` is whether each has to be known; without a `client` nothing is asked.
    pub(super) fn new(client: Option<Client>, every: bool) -> Self {
        Self { client, every, waiting: VecDeque::new() }
    }

    /// Whether the service can be asked.
    pub(super) fn can_ask(&self) -> bool {
        self.client.is_some()
    }

    /// A message was handed over.
    pub(super) fn expect(&mut self, id: String, event: Option<EventId>) {
        if !self.every && self.waiting.len() == LAST {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting { id, event });
    }

    /// How many outcomes are not known.
    pub(super) fn open(&self) -> usize {
        self.waiting.len()
    }

    /// One of those whose outcome is not known.
    pub(super) fn example(&self) -> Option<&str> {
        self.waiting.front().map(|waiting| waiting.id.as_str())
    }

    /// A message failed again.
    pub(super) fn failed(&mut self, id: &str) {
        self.waiting.retain(|waiting| waiting.id != id);
    }

    /// Nobody can tell any more.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
    }

    /// Asks for the oldest few, and returns how many of them have taken effect.
    pub(super) async fn ask(&mut self) -> usize {
        let Some(client) = &self.client else { return 0 };
        let asked: Vec<EventId> = self.waiting.iter().filter_map(|waiting| waiting.event).take(AT_ONCE).collect();
        let answers = join_all(asked.iter().map(|event| done(client, *event))).await;
        let done: Vec<EventId> =
            asked.into_iter().zip(answers).filter_map(|(event, done)| done.unwrap_or(false).then_some(event)).collect();
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.event.is_none_or(|event| !done.contains(&event)));
        before - self.waiting.len()
    }
}

/// Whether an event took effect. An earlier failure stays on record until it does, so `failed` says nothing new.
///
/// # Errors
/// When the service cannot be asked.
pub(super) async fn done(client: &Client, event: EventId) -> Result<bool, CallError> {
    let inbox: Inbox = client.get(&format!("/v1/ops/inbox/{event}"), &[]).await?.read()?;
    Ok(inbox.state == "done")
}
