//! Windows: how many events are on their way at once, and what happens to those that do not arrive.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::event::Service;
use tokio::time::timeout;
use tracing::{info, warn};

use super::{Relay, Stop};
use crate::breaker::Breaker;
use crate::event_log::LoggedEvent;
use crate::follower::PAGE;
use crate::message::{Outgoing, first};
use crate::publisher::{Outlet, Verdict};
use crate::trace;

/// How long a relay leads without a connection to the broker. One that a restart of the broker cuts is back sooner.
const WITHOUT_BROKER: Duration = Duration::from_secs(10);

/// Publishes events until each has a verdict, however long the broker is away or full.
///
/// After a failure one event is tried at a time, at growing intervals, and after a success two, four and so on. A whole
/// window would not do as a probe, because a topic exchange has put copies of each event into the queues that are not full.
pub(super) struct Window<'a> {
    relay: &'a Relay,
    service: Service,
    outlet: Outlet,
    breaker: Breaker,
    size: usize,
}

impl<'a> Window<'a> {
    pub(super) fn new(relay: &'a Relay) -> Self {
        let outlet = Outlet::new(Arc::clone(&relay.publishing));
        let breaker = Breaker::new("publish", &relay.metrics);
        Self { relay, service: relay.database.service(), outlet, breaker, size: PAGE }
    }

    /// Publishes `events`, in order, and returns those that no queue took, with the later ones of their subjects that
    /// were not out yet.
    ///
    /// An event that a full queue refused is published again before what follows it. What shared its window may have
    /// overtaken it by then, as copies on a retry queue do: handlers look at state, not at arrival.
    pub(super) async fn publish(&mut self, events: &[LoggedEvent]) -> Result<Vec<LoggedEvent>, Stop> {
        let mut waiting: VecDeque<&LoggedEvent> = events.iter().collect();
        let mut returned: Vec<&LoggedEvent> = Vec::new();
        while !waiting.is_empty() {
            let window: Vec<&LoggedEvent> = waiting.drain(..self.size.min(waiting.len())).collect();
            let Some(verdicts) = self.send(&window).await? else {
                put_back(&mut waiting, window);
                continue;
            };
            let of = |verdict: Verdict| {
                let verdicts = window.iter().zip(&verdicts);
                verdicts.filter(move |(_, given)| **given == verdict).map(|(event, _)| *event).collect::<Vec<_>>()
            };
            let rejected = of(Verdict::Rejected);
            let is_full = !rejected.is_empty();
            returned.extend(of(Verdict::Returned));
            put_back(&mut waiting, rejected);
            hold_back(&mut waiting, &mut returned);
            if is_full {
                self.pause("a queue is full").await?;
            } else {
                self.size = (self.size * 2).min(PAGE);
            }
        }
        if self.breaker.succeeded() {
            info!("relay goes on");
            (self.relay.report)("relay", Ok(()));
        }
        Ok(returned.into_iter().cloned().collect())
    }

    /// Sends one window. `None` when the answers are not known, after a pause.
    async fn send(&mut self, window: &[&LoggedEvent]) -> Result<Option<Vec<Verdict>>, Stop> {
        if self.relay.shutdown.is_cancelled() {
            return Err(Stop::Shutdown);
        }
        let message = |event: &&LoggedEvent| {
            first(event, self.service).map_err(|error| Stop::Fatal(format!("event {} is not JSON: {error}", event.id)))
        };
        let messages: Vec<Outgoing> = window.iter().map(message).collect::<Result<_, _>>()?;
        let opened =
            timeout(WITHOUT_BROKER, self.outlet.open(&self.relay.shutdown)).await.map_err(|_| Stop::NoBroker)?;
        let published = match opened.ok_or(Stop::Shutdown)? {
            Ok(publisher) => {
                self.breaker.probing();
                let (began, spans) = (Instant::now(), trace::publish(window));
                let published = self.outlet.publish(publisher, &messages).await;
                trace::published(spans, &published);
                if published.is_ok() {
                    self.relay.metrics.confirm_seconds.observe(began.elapsed().as_secs_f64());
                }
                published
            }
            Err(failure) => Err(failure),
        };
        match published {
            Ok(verdicts) => Ok(Some(verdicts)),
            Err(failure) => self.pause(&failure.to_string()).await.map(|()| None),
        }
    }

    /// The breaker opens, or stays open, for a while.
    async fn pause(&mut self, reason: &str) -> Result<(), Stop> {
        let (wait, opened) = self.breaker.failed();
        if opened {
            warn!(reason, "relay pauses; events wait in the log");
        }
        // each time: a queue may be full by the time the broker is back
        (self.relay.report)("relay", Err(format!("paused: {reason}")));
        self.size = 1;
        self.relay.shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.ok_or(Stop::Shutdown)
    }
}

/// Puts events back to the front, in their order.
fn put_back<'a>(waiting: &mut VecDeque<&'a LoggedEvent>, events: Vec<&'a LoggedEvent>) {
    for event in events.into_iter().rev() {
        waiting.push_front(event);
    }
}

/// Moves the later events of returned ones' subjects over to them.
fn hold_back<'a>(waiting: &mut VecDeque<&'a LoggedEvent>, returned: &mut Vec<&'a LoggedEvent>) {
    if returned.is_empty() {
        return;
    }
    let mut since: HashMap<&str, i64> = HashMap::new();
    for event in returned.iter() {
        let first = since.entry(&event.subject).or_insert(event.position);
        *first = (*first).min(event.position);
    }
    waiting.retain(|event| {
        let held = since.get(event.subject.as_str()).is_some_and(|first| *first < event.position);
        if held {
            returned.push(event);
        }
        !held
    });
}

#[cfg(test)]
mod tests {
    use contracts::values::EventId;

    use super::*;

    fn event(position: i64, subject: &str) -> LoggedEvent {
        LoggedEvent {
            position,
            id: EventId::new(),
            subject: subject.to_owned(),
            sequence: position,
            event_type: "order.created".to_owned(),
            version: 1,
            time: chrono::Utc::now(),
            correlation_id: "a-request".to_owned(),
            causation_id: None,
            traceparent: None,
            data: "{}".to_owned(),
        }
    }

    fn positions<'a>(events: impl IntoIterator<Item = &'a &'a LoggedEvent>) -> Vec<i64> {
        events.into_iter().map(|event| event.position).collect()
    }

    #[test]
    fn later_events_of_a_returned_one_are_held_back_and_earlier_ones_are_not() {
        let log: Vec<_> = [(1, "a"), (2, "b"), (3, "a"), (4, "b"), (5, "c")].map(|(at, of)| event(at, of)).to_vec();
        // 1 was refused by a full queue and waits again, 3 came back
        let mut waiting: VecDeque<&LoggedEvent> = [&log[0], &log[3], &log[4]].into();
        let mut returned = vec![&log[2], &log[1]];
        hold_back(&mut waiting, &mut returned);
        assert_eq!((positions(&waiting), positions(&returned)), (vec![1, 5], vec![3, 2, 4]));
    }

    #[test]
    fn what_is_put_back_comes_first_and_in_order() {
        let log: Vec<_> = (1..=4).map(|at| event(at, "a")).collect();
        let mut waiting: VecDeque<&LoggedEvent> = [&log[3]].into();
        put_back(&mut waiting, vec![&log[0], &log[2]]);
        assert_eq!(positions(&waiting), [1, 3, 4]);
    }
}
