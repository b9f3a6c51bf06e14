//! The subscriber: takes deliveries from the service's queue in batches, has them handled, and settles them.
//!
//! A message is acknowledged only after its effects are committed, in one place, for a whole batch at once. A failed
//! message is first published to its next queue, confirmed, and then acknowledged like the others.

mod settle;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::batch::{Hold, Item, Outcome, Processor, decode};
use crate::connection::{Link, Session};
use crate::failpoint;
use crate::fault::in_time;
use crate::message::failed_attempt;
use crate::metrics::Metrics;
use crate::publisher::Outlet;
use crate::runtime::Report;
use crate::schedule::RetrySchedule;
use crate::trace::Span;
use settle::Settled;

/// How long any single answer of the broker may take.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// The wait between two tries to consume or to publish a copy, first and longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long a stop goes on with deliveries that are here already. A batch takes a fraction of a second.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// The most messages of a batch that were delivered before: each is handled alone, and a stop waits for the whole batch.
const MOST_AGAIN: usize = 20;

/// The wait between two probes of the database, first and longest.
const PROBE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Consumes one service's queue.
pub(crate) struct Subscriber {
    pub(crate) processor: Processor,
    pub(crate) schedule: RetrySchedule,
    pub(crate) consuming: Arc<Link>,
    pub(crate) publishing: Arc<Link>,
    pub(crate) metrics: Metrics,
    pub(crate) report: Report,
    pub(crate) prefetch: u16,
    pub(crate) batch: usize,
    /// How long deliveries are held on an open channel while the database is away: below the broker's acknowledgement
    /// timeout of 30 minutes, which it checks once a minute. Then they are given back once, by closing the channel.
    pub(crate) hold_limit: Duration,
    pub(crate) host: String,
    /// Whether the topology is there, as far as this process sees to it.
    pub(crate) topology: watch::Receiver<bool>,
    pub(crate) shutdown: CancellationToken,
}

/// Why a consumer has to be made anew, or must stop.
enum Stop {
    /// The process stops.
    Shutdown,
    /// Connection, channel or consumer are gone, or do not answer.
    Broken(String),
}

impl From<lapin::Error> for Stop {
    fn from(error: lapin::Error) -> Self {
        Stop::Broken(error.to_string())
    }
}

/// A delivery and what is known of it so far.
struct Arrived {
    delivery: Delivery,
    decoded: Result<usize, Outcome>,
    span: Span,
}

impl Subscriber {
    fn queue(&self) -> &'static str {
        self.processor.subscriptions.service().name()
    }

    /// Consumes until shutdown, over as many connections as it takes.
    pub(crate) async fn run(mut self) {
        let shutdown = self.shutdown.clone();
        let _ = shutdown.run_until_cancelled(self.topology.wait_for(|declared| *declared)).await;
        let mut backoff = BACKOFF.0;
        while let Some(session) = shutdown.run_until_cancelled(self.consuming.session()).await {
            let began = Instant::now();
            match self.consume(&session).await {
                Ok(()) | Err(Stop::Shutdown) => break,
                Err(Stop::Broken(reason)) => {
                    warn!(queue = self.queue(), reason, "consumer stopped; starting over");
                    (self.report)("consumer", Err(reason));
                    session.fail();
                }
            }
            if began.elapsed() > BACKOFF.1 {
                backoff = BACKOFF.0;
            }
            shutdown.run_until_cancelled(tokio::time::sleep(backoff)).await;
            backoff = (backoff * 2).min(BACKOFF.1);
        }
        (self.report)("consumer", Err("stopped".to_owned()));
    }

    async fn consume(&self, session: &Session) -> Result<(), Stop> {
        // Deliveries that nobody can handle would only wear out the broker's delivery limit.
        self.outlast_outage().await?;
        let (channel, mut consumer) = answered(self.open(session)).await??;
        (self.report)("consumer", Ok(()));
        info!(queue = self.queue(), prefetch = self.prefetch, batch = self.batch, "consuming");
        let mut outlet = Outlet::new(Arc::clone(&self.publishing));
        loop {
            let Some(first) = self.shutdown.run_until_cancelled(consumer.next()).await else {
                answered(channel.basic_cancel(consumer.tag(), BasicCancelOptions::default())).await??;
                return self.drain(&mut consumer, &mut outlet).await;
            };
            let deliveries = self.gather(first, &mut consumer)?;
            self.handle(deliveries, &mut outlet).await?;
        }
    }

    async fn open(&self, session: &Session) -> Result<(Channel, Consumer), Stop> {
        let channel = session.connection().create_channel().await?;
        channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
        let tag = format!("{}@{}", self.queue(), self.host);
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(self.queue().into(), tag.as_str().into(), options, arguments).await;
        let consumer = consumer.map_err(|error| {
            Stop::Broken(format!("queue {:?} cannot be consumed ({error}); is the topology applied?", self.queue()))
        })?;
        Ok((channel, consumer))
    }

    /// The first delivery and whatever else has arrived by now. Batches form while the last one is being committed, so
    /// they cost no time when there is no load.
    fn gather(&self, first: Option<lapin::Result<Delivery>>, consumer: &mut Consumer) -> Result<Vec<Delivery>, Stop> {
        let mut deliveries = Vec::new();
        let mut next = Some(first);
        while let Some(arrived) = next {
            // an error and the end of the stream both mean that this consumer is gone
            deliveries.push(arrived.ok_or_else(|| Stop::Broken("consumer cancelled".to_owned()))??);
            next = if self.has_room(&deliveries) { consumer.next().now_or_never() } else { None };
        }
        Ok(deliveries)
    }

    fn has_room(&self, batch: &[Delivery]) -> bool {
        // those that were delivered before have become more only if the last one is of them
        let again = batch.last().is_some_and(|last| last.redelivered);
        let is_full = again && batch.iter().filter(|delivery| delivery.redelivered).count() >= MOST_AGAIN;
        batch.len() < self.batch && !is_full
    }

    /// Handles what had been delivered when the consumer was cancelled: it would come back as delivered again, each to be
    /// handled alone. What there is no time for goes back to the queue with the channel.
    async fn drain(&self, consumer: &mut Consumer, outlet: &mut Outlet) -> Result<(), Stop> {
        let until = Instant::now() + DRAIN_LIMIT;
        loop {
            let mut deliveries = Vec::new();
            while self.has_room(&deliveries)
                && let Some(delivery) = answered(consumer.next()).await?
            {
                deliveries.push(delivery?);
            }
            if deliveries.is_empty() || Instant::now() > until {
                return Ok(());
            }
            self.handle(deliveries, outlet).await?;
        }
    }

    async fn handle(&self, deliveries: Vec<Delivery>, outlet: &mut Outlet) -> Result<(), Stop> {
        let began = Instant::now();
        let mut items: Vec<Item> = Vec::with_capacity(deliveries.len());
        let arrived: Vec<Arrived> = deliveries
            .into_iter()
            .map(|delivery| {
                let (subscriptions, mut span) = (&self.processor.subscriptions, Span::default());
                let decoded = decode(subscriptions, &delivery.data, delivery.redelivered, &mut span).map(|item| {
                    items.push(item);
                    items.len() - 1
                });
                span.link(|| failed_attempt(&delivery));
                Arrived { delivery, decoded, span }
            })
            .collect();
        if failpoint::is_broken("ack-before-commit") {
            self.acknowledge(arrived.last().map(|arrived| &arrived.delivery)).await?;
        }
        let outcomes = self.outcomes(&items).await?;
        let settled: Vec<Settled> = arrived
            .into_iter()
            .map(|Arrived { delivery, decoded, span }| match decoded {
                Ok(at) => Settled { delivery, outcome: outcomes[at].clone(), time: Some(items[at].time()), span },
                Err(outcome) => Settled { delivery, outcome, time: None, span },
            })
            .collect();
        self.settle(settled, outlet, began).await
    }

    /// Handles the batch; while something that it needs is away, waits for it and handles it then.
    async fn outcomes(&self, items: &[Item]) -> Result<Vec<Outcome>, Stop> {
        let held_since = Instant::now();
        let mut wait = PROBE.0;
        let mut holding = false;
        loop {
            let Hold { dependency, error } = match self.processor.process(items).await {
                Err(hold) => hold,
                Ok(outcomes) => {
                    if holding {
                        info!(queue = self.queue(), "going on");
                        (self.report)("consumer", Ok(()));
                    }
                    return Ok(outcomes);
                }
            };
            if !std::mem::replace(&mut holding, true) {
                warn!(queue = self.queue(), dependency, error, messages = items.len(), "dependency is away; holding");
                (self.report)("consumer", Err(format!("holding: {dependency} is away")));
            }
            // the database first: without it, trying again cannot succeed
            loop {
                self.shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.ok_or(Stop::Shutdown)?;
                wait = (wait * 2).min(PROBE.1);
                if held_since.elapsed() > self.hold_limit {
                    return Err(Stop::Broken(format!(
                        "{dependency} is away for too long; giving the deliveries back once"
                    )));
                }
                if self.database_answers().await {
                    break;
                }
            }
        }
    }

    /// Waits for the database before anything is taken from the queue.
    async fn outlast_outage(&self) -> Result<(), Stop> {
        let mut wait = PROBE.0;
        while !self.database_answers().await {
            (self.report)("consumer", Err("waiting: database is away".to_owned()));
            self.shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.ok_or(Stop::Shutdown)?;
            wait = (wait * 2).min(PROBE.1);
        }
        Ok(())
    }

    async fn database_answers(&self) -> bool {
        in_time(sqlx::query("select 1").execute(self.processor.database.pool())).await.is_ok()
    }
}

/// An answer of the broker, in time.
async fn answered<T>(answer: impl Future<Output = T>) -> Result<T, Stop> {
    timeout(BROKER_TIMEOUT, answer).await.map_err(|_| Stop::Broken("the broker does not answer".to_owned()))
}
