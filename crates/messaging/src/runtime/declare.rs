//! `TOPOLOGY=declare`: sees to it that exchanges, queues and bindings are there.

use std::sync::Arc;
use std::time::Duration;

use contracts::event::Service;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::connection::{Link, Session};
use crate::topology::{self, Topology};

/// How often a service's own bindings are made again: the broker does not tell when one was lost.
const REBIND: Duration = Duration::from_mins(1);

/// The wait after a declaration that failed.
const REDECLARE: Duration = Duration::from_secs(1);

/// How long declaring the whole topology may take; quorum queues take some milliseconds each the first time.
const DECLARE_TIMEOUT: Duration = Duration::from_secs(30);

/// Declares everything at each connect and the service's own bindings every minute, until `shutdown`; `declared` becomes
/// true with the first success.
///
/// A connect of either connection counts: one that consumes is made anew when its queue is gone.
pub(super) async fn keep(
    service: Service,
    topology: Topology,
    declared: watch::Sender<bool>,
    [publishing, consuming]: [Arc<Link>; 2],
    shutdown: CancellationToken,
) {
    let (mut publisher, mut consumer) = (publishing.watch(), consuming.watch());
    let (mut everything, mut complained) = (true, false);
    loop {
        let Some(session) = shutdown.run_until_cancelled(publishing.session()).await else { return };
        publisher.mark_unchanged();
        consumer.mark_unchanged();
        let own = (!everything).then_some(service);
        let Some(outcome) = shutdown.run_until_cancelled(declare(&session, &topology, own)).await else { return };
        everything = outcome.is_err();
        match outcome {
            Ok(()) => {
                if !declared.send_replace(true) || complained {
                    info!(queues = topology.queues.len(), "topology declared");
                }
                complained = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut complained, true) {
                    warn!(error, "topology not declared; trying again");
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(if everything { REDECLARE } else { REBIND }) => {}
            _ = publisher.changed() => everything = true,
            _ = consumer.changed() => everything = true,
        }
    }
}

/// Declares everything, or makes the bindings of one service.
async fn declare(session: &Session, topology: &Topology, bindings_of: Option<Service>) -> Result<(), String> {
    // the broker reads nothing, and what is asked of it now would pile up
    if session.is_blocked() {
        return Err("the broker blocks publishing".to_owned());
    }
    let declared = timeout(DECLARE_TIMEOUT, async {
        let channel = session.connection().create_channel().await?;
        match bindings_of {
            Some(service) => topology::bind(&channel, topology.bindings_of(service)).await?,
            None => topology.declare(&channel).await?,
        }
        channel.close(200, "declared".into()).await
    });
    match declared.await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => {
            if !session.is_blocked() {
                session.fail();
            }
            Err(format!("no answer within {} s", DECLARE_TIMEOUT.as_secs()))
        }
    }
}
