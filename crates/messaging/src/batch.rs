//! Handling a batch of deliveries: one transaction for all of them, and a value for each that says what happened.
//!
//! A batch that fails is rolled back and halved until the message that makes it fail is alone, so a bad message harms no
//! neighbour. Nothing here touches the broker; [`crate::subscriber`] turns the outcomes into broker actions.

use std::collections::{BTreeSet, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::context::Context;
use crate::failpoint;
use crate::fault::{Fault, classify, database_error, describe, in_time};
use crate::handler::{AnyEvent, HandlerError, Key, Subscriptions};
use crate::inbox;
use crate::message::{ErrorKind, Failure};
use crate::trace::{self, Span};
use crate::tx::Database;
use chrono::{DateTime, Utc};
use contracts::envelope::Envelope;
use contracts::event::{DecodeError, MAX_EVENT_BYTES};
use contracts::values::EventId;
use futures_util::FutureExt;

/// How often transactions may get in each other's way before that counts as a failure of the message.
const MOST_COLLISIONS: u32 = 20;

/// What happened to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It took effect now.
    Done,
    /// It had taken effect before.
    Duplicate,
    /// Not now: on to the next rung of the ladder, or to the dead letters after the last.
    Retry(Failure),
    /// Never: to the dead letters at once.
    Dead(Failure),
}

/// Why a batch has no outcome yet: something that it needs is away. No attempt is spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    /// What is away.
    pub(crate) dependency: &'static str,
    /// What was seen of it, without values.
    pub(crate) error: String,
}

/// A message on its way to its handler.
#[derive(Debug)]
pub(crate) struct Item {
    id: EventId,
    time: DateTime<Utc>,
    handler: usize,
    event: AnyEvent,
    keys: Vec<Key>,
    redelivered: bool,
    /// Whether the start of its handling is on record. A wait for the database before its end makes no new start of it.
    begun: AtomicBool,
}

impl Item {
    /// When the event happened.
    pub(crate) fn time(&self) -> DateTime<Utc> {
        self.time
    }
}

/// Reads a message as far as its handler needs it. `span` becomes that of its processing.
pub(crate) fn decode(
    subscriptions: &Subscriptions,
    body: &[u8],
    redelivered: bool,
    span: &mut Span,
) -> Result<Item, Outcome> {
    let read = catch_unwind(AssertUnwindSafe(|| read(subscriptions, body, redelivered, span)));
    read.unwrap_or_else(|_| {
        let (kind, error) = (ErrorKind::CrashedConsumer, "reading it panicked".to_owned());
        Err(Outcome::Retry(Failure { kind, error, handler: "decode" }))
    })
}

fn read(subscriptions: &Subscriptions, body: &[u8], redelivered: bool, span: &mut Span) -> Result<Item, Outcome> {
    let failure = |kind, error: String, handler| Failure { kind, error, handler };
    if body.len() > MAX_EVENT_BYTES {
        let error = format!("{} bytes, of at most {MAX_EVENT_BYTES}", body.len());
        return Err(Outcome::Dead(failure(ErrorKind::TooLarge, error, "decode")));
    }
    let outcome = |error: DecodeError, handler| match error {
        DecodeError::Malformed(place) => Outcome::Dead(failure(ErrorKind::Malformed, place, handler)),
        // a newer copy of this service may be on its way and know it
        DecodeError::UnknownType => Outcome::Retry(failure(ErrorKind::UnknownType, error.to_string(), handler)),
        DecodeError::UnsupportedVersion { .. } => {
            Outcome::Retry(failure(ErrorKind::UnsupportedVersion, error.to_string(), handler))
        }
    };
    let mut envelope = Envelope::from_json(body).map_err(|error| outcome(error, "decode"))?;
    *span = trace::process(&mut envelope, subscriptions.service());
    let index =
        subscriptions.index_of(&envelope.event_type).ok_or_else(|| outcome(DecodeError::UnknownType, "decode"))?;
    let handler = subscriptions.handler(index);
    let (event, keys) = handler.decode(&envelope).map_err(|error| outcome(error, handler.name()))?;
    let (id, time, begun) = (envelope.id, envelope.time, AtomicBool::new(false));
    Ok(Item { id, time, handler: index, event, keys, redelivered, begun })
}

/// Handles batches against one database.
#[derive(Debug, Clone)]
pub(crate) struct Processor {
    pub(crate) database: Database,
    pub(crate) subscriptions: Subscriptions,
}

/// Why the transaction of a group did not commit.
enum GroupError {
    Collision,
    Hold(Hold),
    Handler { name: &'static str, kind: ErrorKind, error: String, never: bool },
}

impl Processor {
    /// Handles `items` and says what happened to each, in their order.
    pub(crate) async fn process(&self, items: &[Item]) -> Result<Vec<Outcome>, Hold> {
        let mut outcomes = Vec::with_capacity(items.len());
        let mut rest = items;
        while let Some(first) = rest.first() {
            // A redelivered message may have killed its consumer: it goes alone, so that only the culprit is charged.
            let together = if first.redelivered { 1 } else { rest.iter().take_while(|item| !item.redelivered).count() };
            let (group, after) = rest.split_at(together);
            match first.redelivered {
                true => outcomes.push(self.suspect(first).await?),
                false => outcomes.extend(self.group(group).await?),
            }
            rest = after;
        }
        Ok(outcomes)
    }

    /// Handles a message that was delivered before, its start on record before anything can go wrong.
    async fn suspect(&self, item: &Item) -> Result<Outcome, Hold> {
        let outcome = match in_time(self.begin(item)).await.map_err(|error| away(&error))? {
            None => Ok(Outcome::Duplicate),
            Some(starts) if starts > inbox::MOST_STARTS => Ok(Outcome::Dead(Failure {
                kind: ErrorKind::CrashedConsumer,
                error: format!("its handling began {} times and never ended", inbox::MOST_STARTS),
                handler: self.subscriptions.handler(item.handler).name(),
            })),
            Some(_) => self.group(std::slice::from_ref(item)).await.map(|mut outcomes| outcomes.remove(0)),
        };
        // A wait is an end as well: this consumer lives. With the database away, `begun` remembers it.
        let ended = in_time(self.end(item)).await.map_err(|error| away(&error));
        outcome.and_then(|outcome| ended.map(|()| outcome))
    }

    /// How often the handling of `item` has begun by now; `None` when it took effect already.
    async fn begin(&self, item: &Item) -> sqlx::Result<Option<i32>> {
        let mut conn = self.database.pool().acquire().await?;
        if inbox::contains(&mut conn, item.id).await? {
            return Ok(None);
        }
        if item.begun.load(Ordering::Relaxed) {
            return inbox::starts(&mut conn, item.id).await.map(Some);
        }
        let starts = inbox::begin_attempt(&mut conn, item.id).await?;
        item.begun.store(true, Ordering::Relaxed);
        Ok(Some(starts))
    }

    async fn end(&self, item: &Item) -> sqlx::Result<()> {
        inbox::end_attempt(&mut *self.database.pool().acquire().await?, item.id).await?;
        item.begun.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Handles a group in one transaction; one that fails is halved until the failing message is alone.
    async fn group(&self, items: &[Item]) -> Result<Vec<Outcome>, Hold> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; items.len()];
        let mut pending: Vec<_> = std::iter::once(0..items.len()).collect();
        let mut collisions = 0;
        while let Some(range) = pending.pop() {
            let group = &items[range.clone()];
            match in_time(self.attempt(group)).await {
                Ok(new) => {
                    for (item, outcome) in group.iter().zip(&mut outcomes[range]) {
                        *outcome = Some(if new.contains(&item.id) { Outcome::Done } else { Outcome::Duplicate });
                    }
                    mark_repeats(items, &mut outcomes);
                }
                Err(GroupError::Hold(hold)) => return Err(hold),
                Err(GroupError::Collision) if collisions < MOST_COLLISIONS => {
                    collisions += 1;
                    tokio::time::sleep(Duration::from_millis(u64::from(collisions) * 2)).await;
                    pending.push(range);
                }
                Err(_) if group.len() > 1 => {
                    let middle = range.start + group.len() / 2;
                    pending.push(middle..range.end);
                    pending.push(range.start..middle);
                }
                Err(GroupError::Collision) => {
                    let handler = self.subscriptions.handler(group[0].handler).name();
                    let error = "transactions collide again and again".to_owned();
                    let failure = Failure { kind: ErrorKind::TransientExhausted, error, handler };
                    outcomes[range.start] = Some(Outcome::Retry(failure));
                }
                Err(GroupError::Handler { name, kind, error, never }) => {
                    let failure = Failure { kind, error, handler: name };
                    outcomes[range.start] = Some(if never { Outcome::Dead(failure) } else { Outcome::Retry(failure) });
                }
            }
        }
        Ok(outcomes.into_iter().map(|outcome| outcome.expect("halving ends with an outcome for each")).collect())
    }

    /// One transaction: inbox rows, locks, handlers, commit. Returns the ids that took effect in it.
    async fn attempt(&self, group: &[Item]) -> Result<HashSet<EventId>, GroupError> {
        let nobody = Context { correlation_id: String::new(), causation_id: None, traceparent: None };
        let mut tx = self.database.begin(nobody).await.map_err(of_inbox)?;
        let ids: Vec<EventId> = group.iter().map(|item| item.id).collect();
        let mut new = inbox::remember(&mut tx, &ids).await.map_err(of_inbox)?;
        if failpoint::is_broken("inbox") {
            // the rows are there, and nobody looks at them
            new = ids.iter().copied().collect();
        }
        if new.is_empty() {
            return Ok(new);
        }
        let mut seen = HashSet::new();
        let fresh: Vec<&Item> = group.iter().filter(|item| new.contains(&item.id) && seen.insert(item.id)).collect();
        let keys: BTreeSet<&Key> = fresh.iter().flat_map(|item| &item.keys).collect();
        let keys: Vec<Key> = keys.into_iter().cloned().collect();
        caught("lock", self.subscriptions.lock(&mut tx, &keys)).await?;
        for index in 0..self.subscriptions.len() {
            let events: Vec<&AnyEvent> =
                fresh.iter().filter(|item| item.handler == index).map(|item| &item.event).collect();
            if !events.is_empty() {
                let handler = self.subscriptions.handler(index);
                caught(handler.name(), handler.handle(&mut tx, events)).await?;
            }
        }
        // A commit whose answer was lost may have happened: the batch comes again and finds its inbox rows, or does not.
        tx.commit().await.map_err(|error| of_handler(error.into(), "commit"))?;
        Ok(new)
    }
}

/// Runs a service's own code; a panic in it is a failure of the message.
async fn caught(name: &'static str, code: impl Future<Output = Result<(), HandlerError>>) -> Result<(), GroupError> {
    match AssertUnwindSafe(code).catch_unwind().await {
        Ok(handled) => handled.map_err(|error| of_handler(error, name)),
        Err(_) => {
            let (kind, error) = (ErrorKind::CrashedConsumer, "the handler panicked".to_owned());
            Err(GroupError::Handler { name, kind, error, never: false })
        }
    }
}

/// The second delivery of one id within a batch is a repeat of the first.
fn mark_repeats(items: &[Item], outcomes: &mut [Option<Outcome>]) {
    let mut seen = HashSet::new();
    for (item, outcome) in items.iter().zip(outcomes) {
        if *outcome == Some(Outcome::Done) && !seen.insert(item.id) {
            *outcome = Some(Outcome::Duplicate);
        }
    }
}

impl From<sqlx::Error> for GroupError {
    fn from(error: sqlx::Error) -> Self {
        of_inbox(error)
    }
}

/// An error beside the handlers is never the message's fault: without a session, or with an inbox that cannot be written,
/// no message could be handled.
fn of_inbox(error: sqlx::Error) -> GroupError {
    match classify(&error) {
        Fault::Collision => GroupError::Collision,
        Fault::Outage | Fault::Refusal => GroupError::Hold(away(&error)),
    }
}

fn away(error: &sqlx::Error) -> Hold {
    Hold { dependency: "database", error: describe(error) }
}

fn of_handler(error: HandlerError, name: &'static str) -> GroupError {
    let (kind, error, never) = match error {
        HandlerError::Unavailable(dependency) => {
            return GroupError::Hold(Hold { dependency, error: format!("{name} needs it") });
        }
        HandlerError::Reject(reason) => (ErrorKind::Rejected, reason, true),
        HandlerError::Again(source) => match database_error(source.as_ref()).map(|error| (classify(error), error)) {
            Some((Fault::Collision, _)) => return GroupError::Collision,
            Some((Fault::Outage, error)) => {
                return GroupError::Hold(away(error));
            }
            Some((Fault::Refusal, error)) => (ErrorKind::TransientExhausted, describe(error), false),
            None => (ErrorKind::TransientExhausted, source.to_string(), false),
        },
    };
    GroupError::Handler { name, kind, error, never }
}
