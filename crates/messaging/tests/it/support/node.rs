//! One running copy of a service's messaging.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use contracts::event::Service;
use messaging::handler::Subscriptions;
use messaging::metrics::{self, Metrics};
use messaging::runtime::{self, Parts};
use messaging::schedule::RetrySchedule;
use messaging::settings::{AmqpUrls, Settings, TopologyMode};
use messaging::topology::Topology;
use messaging::tx::Database;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{SOON, eventually, is};

/// A ladder that is climbed within a second.
pub(crate) const DELAYS: &str = "100ms,200ms";

/// The topology with that ladder.
pub(crate) fn topology() -> Topology {
    Topology::new(&schedule())
}

fn schedule() -> RetrySchedule {
    DELAYS.parse().expect("a ladder")
}

/// What a test may want to be otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) topology: TopologyMode,
    pub(crate) outbox_max: u64,
    pub(crate) batch: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self { topology: TopologyMode::Check, outbox_max: u64::MAX, batch: 50 }
    }
}

type Reports = Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>;

/// A running copy. Dropped without [`Node::stop`], it dies on the spot, as after `kill -9`.
pub(crate) struct Node {
    pub(crate) database: Database,
    pub(crate) metrics: Metrics,
    service: Service,
    reports: Reports,
    shutdown: CancellationToken,
    tasks: JoinSet<&'static str>,
}

impl Node {
    /// Starts a copy on the database behind `pool`, with connections of its own.
    pub(crate) async fn start(urls: AmqpUrls, pool: &PgPool, subscriptions: Subscriptions, options: Options) -> Self {
        let service = subscriptions.service();
        let own = PgPoolOptions::new().max_connections(10).acquire_timeout(Duration::from_secs(20));
        let own = own.connect_lazy_with((*pool.connect_options()).clone());
        let database = Database::new(own, service, options.outbox_max);
        let settings = Settings {
            amqp_url: urls,
            retry_delays: schedule(),
            topology: options.topology,
            outbox_max: options.outbox_max,
            inbox_retention: Duration::from_hours(1),
            event_retention: Duration::from_hours(1),
            prefetch: 500,
            consumer_batch: options.batch,
            hold_limit: Duration::from_mins(20),
        };
        let metrics = Metrics::register(&mut Default::default());
        let reports = Reports::default();
        let known = Arc::clone(&reports);
        let report: runtime::Report = Arc::new(move |what, state| {
            known.lock().unwrap().insert(what, state);
        });
        let parts = Parts {
            settings,
            database: database.clone(),
            subscriptions,
            history: &[],
            metrics: metrics.clone(),
            report,
        };
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for (name, task) in runtime::tasks(parts, &shutdown) {
            tasks.spawn(async move {
                task.await;
                name
            });
        }
        Self { database, metrics, service, reports, shutdown, tasks }
    }

    /// What it said last of `broker`, `consumer` or `relay`; nothing yet is a no as well.
    pub(crate) fn report(&self, what: &str) -> Result<(), String> {
        self.reports.lock().unwrap().get(what).cloned().unwrap_or_else(|| Err("nothing said yet".to_owned()))
    }

    /// Until it says that this is well.
    pub(crate) async fn is_well(&self, what: &str) {
        eventually(SOON, async || self.report(what)).await;
    }

    /// Until it says something with `text` of what is not well.
    pub(crate) async fn complains(&self, what: &str, text: &str) {
        eventually(SOON, async || match self.report(what) {
            Err(said) if said.contains(text) => Ok(()),
            said => Err(format!("{what}: {said:?}")),
        })
        .await;
    }

    /// Until a task has ended by itself, and its name.
    pub(crate) async fn ended(&mut self) -> &'static str {
        timeout(SOON, self.tasks.join_next()).await.expect("a task ends").expect("there are tasks").expect("no panic")
    }

    /// Tells it to stop, without waiting for it.
    pub(crate) fn shut_down(&self) {
        self.shutdown.cancel();
    }

    /// Stops it, and waits until all of it has ended.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        while let Some(ended) = timeout(SOON, self.tasks.join_next()).await.expect("it stops") {
            ended.expect("no task panics");
        }
        self.database.pool().close().await;
    }

    /// Ends it on the spot, and waits until nothing of it runs any more.
    pub(crate) async fn kill(mut self) {
        self.tasks.shutdown().await;
        self.database.pool().close().await;
    }

    /// How many messages had that outcome.
    pub(crate) fn processed(&self, event: &'static str, outcome: &'static str) -> u64 {
        let label = metrics::Processed { queue: self.service.name(), event, outcome };
        self.metrics.processed.get_or_create(&label).get()
    }

    /// How many copies went to a retry queue.
    pub(crate) fn retries(&self) -> u64 {
        self.metrics.retries.get_or_create(&metrics::Queue { queue: self.service.name() }).get()
    }

    /// The state of the relay's breaker: 0 closed, 1 probing, 2 open.
    pub(crate) fn breaker(&self) -> i64 {
        self.metrics.breaker_state.get_or_create(&metrics::Breaker { name: "publish" }).get()
    }

    /// Until all that was committed is published.
    pub(crate) async fn has_published_everything(&self) {
        eventually(SOON, async || {
            let count = sqlx::query_scalar::<_, i64>(UNPUBLISHED).fetch_one(self.database.pool()).await;
            is(count.map_err(|error| error.to_string())?, 0)
        })
        .await;
    }
}

/// Events beyond the relay's checkpoint, and those that are set aside.
const UNPUBLISHED: &str = "select (select count(*) from event e, follower f where f.name = 'relay'
                                   and not pg_visible_in_snapshot(e.xid, f.prev)) + (select count(*) from set_aside)";
