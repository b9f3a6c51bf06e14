//! `warren topology apply`: what the one-shot job of a deployment runs as an administrator.

use std::time::{Duration, Instant};

use clap::Args;
use messaging::inspect::{self, InspectError};
use messaging::settings::AmqpUrls;
use messaging::topology::Topology;
use serde_json::json;
use tokio::time::sleep;

use super::CONNECTION_NAME;
use crate::failure::Verdict;
use crate::output;
use crate::settings::Settings;

/// The pause between attempts to reach a broker that starts.
const PAUSE: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  warren topology apply
  warren topology apply --wait 60s                   a broker that still starts is waited for
  AMQP_URL_FILE=/run/secrets/admin-url warren topology apply

The user of AMQP_URL needs the right to configure. What is there already stays as it
is, so it can be repeated at any time; where something is there with other arguments,
it stops and says what. It never deletes anything.";

/// Options of `topology apply`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ApplyArgs {
    /// How long to wait for a broker that cannot be reached
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = crate::duration::up_to_a_day)]
    wait: Duration,
}

pub(super) async fn run(
    args: &ApplyArgs,
    topology: &Topology,
    settings: &Settings,
    json: bool,
) -> anyhow::Result<Verdict> {
    let urls = settings.broker()?;
    apply(&urls, topology, args.wait).await?;
    let presence = inspect::presence(&urls, CONNECTION_NAME, topology).await?;
    if json {
        let queues: Vec<_> = presence
            .queues
            .iter()
            .map(|queue| json!({"name": queue.name, "messages": queue.messages, "consumers": queue.consumers}))
            .collect();
        let value = json!({"exchanges": presence.exchanges, "queues": queues, "bindings": topology.bindings.len()});
        output::print_json(&value)?;
    } else {
        let rows = presence
            .queues
            .iter()
            .map(|queue| [queue.name.clone(), queue.messages.to_string(), queue.consumers.to_string()]);
        output::print(&format!(
            "{}\n{} exchanges, {} queues and {} bindings are there\n",
            output::table(["queue", "messages", "consumers"], rows),
            presence.exchanges.len(),
            presence.queues.len(),
            topology.bindings.len()
        ))?;
    }
    Ok(Verdict::Fine)
}

/// Declares it, as soon as there is a broker. A broker that refuses is not asked again: it would refuse again.
async fn apply(urls: &AmqpUrls, topology: &Topology, wait: Duration) -> Result<(), InspectError> {
    let give_up = Instant::now() + wait;
    let mut complained = false;
    loop {
        match inspect::apply(urls, CONNECTION_NAME, topology).await {
            Err(InspectError::Unreachable(why)) if Instant::now() + PAUSE < give_up => {
                if !complained {
                    eprintln!("waiting up to {} for the broker: {why}", humantime::format_duration(wait));
                    complained = true;
                }
                sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}
