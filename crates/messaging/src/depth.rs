//! How full the service's queues are, as the broker counts.
//!
//! AMQP tells by a passive declaration what waits in a queue and who consumes; for that a user needs no right to configure
//! (RabbitMQ 4.3.0 alone asks for one). What is delivered and not acknowledged yet is not counted.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use contracts::event::Service;
use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::connection::{Link, Session};
use crate::metrics::{Metrics, Queue, QueueState, WorkQueue};
use crate::topology::Topology;

/// The wait between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// How long the broker may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps `warren_queue_messages`, `warren_queue_consumers` and `warren_dead_letters` of a service's queues until shutdown. While
/// the broker cannot be asked, they show nothing rather than something old.
pub(crate) async fn watch(
    service: Service,
    topology: Topology,
    link: Arc<Link>,
    metrics: Metrics,
    mut declared: watch::Receiver<bool>,
    shutdown: CancellationToken,
) {
    // a question about a queue that is not there yet would cost the connection
    let _ = shutdown.run_until_cancelled(declared.wait_for(|declared| *declared)).await;
    let prefix = format!("{service}.");
    let names = topology.queues.into_iter().map(|queue| queue.name);
    let names: Vec<String> = names.filter(|name| *name == service.name() || name.starts_with(&prefix)).collect();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
        // a broker that is away has no session to ask over
        let asked = timeout(ANSWER_TIMEOUT, async {
            let session = link.session().await;
            look(&session, service, &names, &metrics).await
        });
        let refused = match shutdown.run_until_cancelled(asked).await {
            None => return,
            Some(Ok(Ok(()))) => continue,
            Some(Ok(Err(error))) => error.to_string(),
            Some(Err(_)) => "no answer in time".to_owned(),
        };
        debug!(reason = refused, "queues cannot be counted");
        metrics.queue_messages.clear();
        metrics.queue_consumers.clear();
        metrics.dead_letters_waiting.clear();
    }
}

/// Counts once, on a channel of its own: one that asks for a queue that is not there is closed by the broker.
async fn look(session: &Session, service: Service, names: &[String], metrics: &Metrics) -> lapin::Result<()> {
    let mut channel = session.connection().create_channel().await?;
    let mut missing = HashSet::new();
    for name in names {
        match count(&channel, name).await {
            Ok((messages, consumers)) => {
                let ready = QueueState { queue: name.clone(), state: "ready" };
                metrics.queue_messages.get_or_create(&ready).set(i64::from(messages));
                if name == service.name() {
                    metrics.queue_consumers.get_or_create(&WorkQueue { queue: name.clone() }).set(i64::from(consumers));
                } else if name.ends_with(".dead") {
                    let queue = Queue { queue: service.name() };
                    metrics.dead_letters_waiting.get_or_create(&queue).set(i64::from(messages));
                }
            }
            Err(error) if crate::inspect::is_not_found(&error) => {
                missing.insert(name);
                channel = session.connection().create_channel().await?;
            }
            Err(error) => return Err(error),
        }
    }
    for name in missing {
        metrics.queue_messages.remove(&QueueState { queue: name.clone(), state: "ready" });
    }
    channel.close(200, "counted".into()).await
}

async fn count(channel: &Channel, queue: &str) -> lapin::Result<(u32, u32)> {
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    let queue = channel.queue_declare(queue.into(), passive, FieldTable::default()).await?;
    Ok((queue.message_count(), queue.consumer_count()))
}
