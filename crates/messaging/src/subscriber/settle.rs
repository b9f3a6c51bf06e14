//! Settling: what the broker is told about a batch once its outcomes are known.

use std::borrow::Cow;
use std::time::Instant;

use chrono::{DateTime, Utc};
use contracts::catalogue::{find, is_about_an_order};
use contracts::envelope::Envelope;
use contracts::values::EventId;
use lapin::message::Delivery;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::{BACKOFF, PROBE, Stop, Subscriber, answered};
use crate::acknowledge::acknowledge;
use crate::batch::Outcome;
use crate::dead_letters::event_id;
use crate::failpoint;
use crate::fault::{Fault, classify, describe, in_time};
use crate::inbox;
use crate::message::{ErrorKind, Failure, Outgoing, attempt, dead, is_replayed, retry};
use crate::metrics::{DeadLetter, Processed, Queue};
use crate::publisher::{Outlet, Verdict};
use crate::schedule::delay_name;
use crate::trace::Span;

/// A delivery and what became of it.
pub(super) struct Settled {
    pub(super) delivery: Delivery,
    pub(super) outcome: Outcome,
    /// When its event happened, if that could be read.
    pub(super) time: Option<DateTime<Utc>>,
    /// Its processing.
    pub(super) span: Span,
}

impl Subscriber {
    /// Settles a whole batch: publishes the copies of those that failed, then acknowledges all.
    pub(super) async fn settle(
        &self,
        mut settled: Vec<Settled>,
        outlet: &mut Outlet,
        began: Instant,
    ) -> Result<(), Stop> {
        let copies = settled.iter_mut().filter_map(|settled| self.copy(settled)).collect();
        self.remember_failures(&settled).await?;
        self.publish(copies, outlet).await?;
        failpoint::reach("before-ack");
        if !failpoint::is_broken("ack-before-commit") {
            self.acknowledge(settled.last().map(|settled| &settled.delivery)).await?;
        }
        failpoint::reach("after-ack");
        self.count(&mut settled, began);
        Ok(())
    }

    /// The copy that a failed message leaves before it is acknowledged. After the last rung a failure is for good.
    fn copy(&self, Settled { delivery, outcome, span, .. }: &mut Settled) -> Option<Outgoing> {
        let attempt = attempt(delivery);
        let delay = match outcome {
            // an operator watches what he replays: he is told at once, and not after another climb of the ladder
            Outcome::Retry(_) if !is_replayed(delivery) => self.schedule.delay_after(attempt),
            _ => None,
        };
        if let Outcome::Retry(failure) = outcome
            && delay.is_none()
        {
            *outcome = Outcome::Dead(failure.clone());
        }
        let (Outcome::Retry(failure) | Outcome::Dead(failure)) = outcome else { return None };
        let service = self.processor.subscriptions.service();
        let next = match delay {
            Some(delay) => format!("retry {attempt} of {} in {}", self.schedule.attempts() - 1, delay_name(delay)),
            None => "dead letter".to_owned(),
        };
        let Failure { kind, error, handler } = failure;
        let Identity { event, message_id, subject, correlation_id } = Identity::of(delivery, *kind);
        let (order_id, subject) = if is_about_an_order(event) { (subject, None) } else { (None, subject) };
        let kind = kind.as_str();
        span.fail(kind, error);
        match delay {
            Some(delay) => {
                warn!(
                    order_id,
                    event, subject, message_id, handler, kind, error, next, correlation_id, "message failed"
                );
                self.metrics.retries.get_or_create(&Queue { queue: self.queue() }).inc();
                Some(retry(delivery, service, delay, span.traceparent()))
            }
            None => {
                error!(
                    order_id,
                    event, subject, message_id, handler, kind, error, next, correlation_id, "message failed"
                );
                self.metrics.dead_letters.get_or_create(&DeadLetter { queue: self.queue(), error: kind }).inc();
                Some(dead(delivery, service, failure, &self.host, span.traceparent()))
            }
        }
    }

    /// Publishes copies until each is confirmed. A rung that is full is waited for: the originals stay unacknowledged.
    async fn publish(&self, mut copies: Vec<Outgoing>, outlet: &mut Outlet) -> Result<(), Stop> {
        let (mut backoff, mut complained) = (BACKOFF.0, false);
        while !copies.is_empty() {
            let published = match outlet.open(&self.shutdown).await.ok_or(Stop::Shutdown)? {
                Ok(publisher) => outlet.publish(publisher, &copies).await,
                Err(failure) => Err(failure),
            };
            let reason = match published {
                Ok(verdicts) => {
                    let mut verdicts = verdicts.into_iter();
                    copies.retain(|_| verdicts.next() != Some(Verdict::Confirmed));
                    if copies.is_empty() {
                        break;
                    }
                    "retry or dead-letter queue missing or full".to_owned()
                }
                Err(failure) => failure.to_string(),
            };
            if !std::mem::replace(&mut complained, true) {
                warn!(
                    queue = self.queue(),
                    reason,
                    copies = copies.len(),
                    "failed messages have nowhere to go; waiting"
                );
                (self.report)("consumer", Err(format!("waiting: {reason}")));
            }
            self.shutdown.run_until_cancelled(tokio::time::sleep(backoff)).await.ok_or(Stop::Shutdown)?;
            backoff = (backoff * 2).min(BACKOFF.1);
        }
        if complained {
            info!(queue = self.queue(), "going on");
            (self.report)("consumer", Ok(()));
        }
        Ok(())
    }

    /// Remembers which events become dead letters here. While the database is away, the batch waits for it.
    async fn remember_failures(&self, settled: &[Settled]) -> Result<(), Stop> {
        let dead = settled.iter().filter(|settled| matches!(settled.outcome, Outcome::Dead(_)));
        let ids: Vec<EventId> = dead.filter_map(|settled| event_id(&settled.delivery)).collect();
        let mut wait = PROBE.0;
        while !ids.is_empty() {
            let remembered = in_time(inbox::remember_failures(self.processor.database.pool(), &ids)).await;
            let Err(error) = remembered else { break };
            if classify(&error) == Fault::Refusal {
                // the dead letter itself tells it as well
                warn!(queue = self.queue(), error = describe(&error), "dead letters could not be recorded");
                break;
            }
            self.shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.ok_or(Stop::Shutdown)?;
            wait = (wait * 2).min(PROBE.1);
        }
        Ok(())
    }

    /// Acknowledges the batch at once: all of it is settled, and it is the oldest that is not.
    pub(super) async fn acknowledge(&self, last: Option<&Delivery>) -> Result<(), Stop> {
        let Some(last) = last else { return Ok(()) };
        match answered(acknowledge(last, true)).await?? {
            true => Ok(()),
            false => Err(Stop::Broken("the channel of these deliveries is gone".to_owned())),
        }
    }

    fn count(&self, settled: &mut [Settled], began: Instant) {
        self.metrics.processing_seconds.observe(began.elapsed().as_secs_f64());
        let now = Utc::now();
        for Settled { delivery, outcome, time, span } in settled {
            if let Outcome::Retry(failure) | Outcome::Dead(failure) = outcome
                && failure.kind == ErrorKind::UnknownType
            {
                self.metrics.unknown_events.inc();
            }
            let outcome = match outcome {
                Outcome::Done => "done",
                Outcome::Duplicate => "duplicate",
                Outcome::Retry(_) => "retry",
                Outcome::Dead(_) => "dead",
            };
            span.end(outcome, || attempt(delivery));
            let event = known_event(delivery);
            self.metrics.processed.get_or_create(&Processed { queue: self.queue(), event, outcome }).inc();
            if let Some(time) = time {
                // two clocks that differ a little can make it negative
                self.metrics.age_seconds.observe((now - *time).as_seconds_f64().max(0.0));
            }
        }
    }
}

/// The event's type if it is in the catalogue: whatever else stands there is somebody's text.
fn known_event(delivery: &Delivery) -> &'static str {
    let kind = delivery.properties.kind().as_ref().and_then(|kind| find(kind.as_str()));
    kind.map_or("unknown", |event| event.name)
}

/// What a log line says of a message. Nothing of one that is no envelope, and of one that is malformed only what has the
/// form of an id: its texts may be anybody's.
#[derive(Default)]
struct Identity {
    event: &'static str,
    message_id: Option<String>,
    subject: Option<String>,
    correlation_id: Option<String>,
}

impl Identity {
    fn of(delivery: &Delivery, kind: ErrorKind) -> Self {
        let event = known_event(delivery);
        let Ok(envelope) = Envelope::from_json(&delivery.data) else { return Self { event, ..Self::default() } };
        let harmless = |text: &str| kind != ErrorKind::Malformed || Uuid::try_parse(text).is_ok();
        let tell = |text: Cow<'_, str>| harmless(&text).then(|| text.into_owned());
        Self {
            event,
            message_id: Some(envelope.id.to_string()),
            subject: tell(envelope.subject),
            correlation_id: tell(envelope.correlationid),
        }
    }
}
