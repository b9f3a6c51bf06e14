//! Puts the parts together: what a service spawns so that its events leave and others' arrive.

mod declare;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::batch::Processor;
use crate::connection::Link;
use crate::depth;
use crate::handler::Subscriptions;
use crate::message::ErrorKind;
use crate::metrics::{DeadLetter, Metrics, Queue};
use crate::relay::Relay;
use crate::retention::{self, Retention};
use crate::settings::{Settings, TopologyMode};
use crate::subscriber::Subscriber;
use crate::topology::Topology;
use crate::tx::Database;

/// Tells the service's health how one of `broker`, `consumer` and `relay` is.
pub type Report = Arc<dyn Fn(&'static str, Result<(), String>) + Send + Sync>;

/// What the messaging of a service is made of.
pub struct Parts {
    /// What was configured.
    pub settings: Settings,
    /// The service's database.
    pub database: Database,
    /// Its handlers.
    pub subscriptions: Subscriptions,
    /// The event types that are the history of its aggregates, which are never pruned.
    pub history: &'static [&'static str],
    /// What it counts.
    pub metrics: Metrics,
    /// Where it says how it is.
    pub report: Report,
}

/// A named task to be spawned. One that ends before shutdown means that the service cannot go on.
pub type Task = (&'static str, BoxFuture<'static, ()>);

/// The tasks that run a service's messaging until `shutdown`: two connections (a broker under memory pressure stops
/// reading from those that publish), the relay, the subscriber, the counts of the outbox and the queues, and pruning.
pub fn tasks(parts: Parts, shutdown: &CancellationToken) -> Vec<Task> {
    let Parts { settings, database, subscriptions, history, metrics, report } = parts;
    let service = database.service();
    let host = host();
    let link = |role: &str| Link::new(settings.amqp_url.clone(), format!("{service} {role} @{host}"));
    let (publishing, consuming) = (link("publisher"), link("consumer"));
    let declared = watch::Sender::new(settings.topology == TopologyMode::Check);
    // The connections outlive those who use them, so that what they finish while stopping can still be acknowledged.
    let closing = CancellationToken::new();
    let in_use = Arc::new(closing.clone().drop_guard());

    // From zero, so that the first of each shows as an increase.
    let _ = metrics.retries.get_or_create(&Queue { queue: service.name() });
    for kind in ErrorKind::ALL {
        let _ = metrics.dead_letters.get_or_create(&DeadLetter { queue: service.name(), error: kind.as_str() });
    }

    let subscriber = Subscriber {
        processor: Processor { database: database.clone(), subscriptions },
        schedule: settings.retry_delays.clone(),
        consuming: Arc::clone(&consuming),
        publishing: Arc::clone(&publishing),
        metrics: metrics.clone(),
        report: Arc::clone(&report),
        prefetch: settings.prefetch,
        batch: usize::from(settings.consumer_batch),
        hold_limit: settings.hold_limit,
        host,
        topology: declared.subscribe(),
        shutdown: shutdown.clone(),
    };
    let relay = Relay {
        database: database.clone(),
        publishing: Arc::clone(&publishing),
        metrics: metrics.clone(),
        report: Arc::clone(&report),
        topology: declared.subscribe(),
        shutdown: shutdown.clone(),
    };
    let retention = Retention { inbox: settings.inbox_retention, events: settings.event_retention, history };

    let depth = depth::watch(
        service,
        Topology::new(&settings.retry_delays),
        Arc::clone(&consuming),
        metrics.clone(),
        declared.subscribe(),
        shutdown.clone(),
    );

    let mut tasks: Vec<Task> = vec![
        ("depth", depth.boxed()),
        ("subscriber", using(Arc::clone(&in_use), subscriber.run()).boxed()),
        ("relay", using(in_use, relay.run()).boxed()),
        ("outbox", watch_outbox(database.clone(), metrics.clone(), shutdown.clone()).boxed()),
        ("retention", retention::run(database.pool().clone(), retention, metrics, shutdown.clone()).boxed()),
        ("broker", watch_broker(Arc::clone(&publishing), Arc::clone(&consuming), report, shutdown.clone()).boxed()),
    ];
    if settings.topology == TopologyMode::Declare {
        let topology = Topology::new(&settings.retry_delays);
        let links = [Arc::clone(&publishing), Arc::clone(&consuming)];
        tasks.push(("topology", declare::keep(service, topology, declared, links, shutdown.clone()).boxed()));
    }
    for (name, link) in [("publisher connection", publishing), ("consumer connection", consuming)] {
        let closing = closing.clone();
        tasks.push((name, async move { link.keep(closing).await }.boxed()));
    }
    tasks
}

async fn using(connections: Arc<DropGuard>, user: impl Future<Output = ()>) {
    user.await;
    drop(connections);
}

async fn watch_outbox(database: Database, metrics: Metrics, shutdown: CancellationToken) {
    database.outbox().watch(database.pool(), &metrics, shutdown).await;
}

/// Reports the state of the two connections.
async fn watch_broker(publishing: Arc<Link>, consuming: Arc<Link>, report: Report, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let mut last = None;
    while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
        let now = match (publishing.state(), consuming.state()) {
            (Ok(()), Ok(())) => Ok(()),
            (Err(state), _) | (_, Err(state)) => Err(state.to_owned()),
        };
        if last.as_ref() != Some(&now) {
            report("broker", now.clone());
            last = Some(now);
        }
    }
}

/// This machine's name and this process: who a consumer or a dead letter says it was.
fn host() -> String {
    let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let name = name.trim();
    format!("{}:{}", if name.is_empty() { "localhost" } else { name }, std::process::id())
}
