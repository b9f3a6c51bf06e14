//! `warren topology show`, and how a topology is printed.

use clap::Args;
use messaging::topology::{Argument, Topology};
use serde_json::{Map, Value, json};

use crate::failure::Verdict;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  warren topology show
  warren topology show --retry-delays 1s,10s,1m      with another schedule
  warren topology show --json | jq -r '.queues[].name'";

/// Options of `topology show`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ShowArgs {}

pub(super) fn run(topology: &Topology, json: bool) -> anyhow::Result<Verdict> {
    if json {
        output::print_json(&as_json(topology))?;
    } else {
        output::print(&page(topology))?;
    }
    Ok(Verdict::Fine)
}

/// All arguments of a queue, `x-queue-type` with them, as JSON values.
pub(crate) fn arguments(queue: &messaging::topology::Queue) -> Map<String, Value> {
    let own = queue.arguments.iter().map(|(name, argument)| {
        let value = match argument {
            Argument::Text(text) => Value::from(text.as_str()),
            Argument::Number(number) => Value::from(*number),
        };
        ((*name).to_owned(), value)
    });
    std::iter::once(("x-queue-type".to_owned(), Value::from("quorum"))).chain(own).collect()
}

fn as_json(topology: &Topology) -> Value {
    let exchanges: Vec<_> = topology
        .exchanges
        .iter()
        .map(|exchange| json!({"name": exchange.name, "type": exchange.kind.as_str()}))
        .collect();
    let queues: Vec<_> =
        topology.queues.iter().map(|queue| json!({"name": queue.name, "arguments": arguments(queue)})).collect();
    let bindings: Vec<_> = topology
        .bindings
        .iter()
        .map(|binding| json!({"exchange": binding.exchange, "key": binding.key, "queue": binding.queue}))
        .collect();
    json!({"exchanges": exchanges, "queues": queues, "bindings": bindings})
}

fn page(topology: &Topology) -> String {
    let exchanges =
        topology.exchanges.iter().map(|exchange| [exchange.name.clone(), exchange.kind.as_str().to_owned()]);
    let queues = topology.queues.iter().map(|queue| {
        let arguments: Vec<_> = queue.arguments.iter().map(|(name, argument)| short(name, argument)).collect();
        [queue.name.clone(), arguments.join(" ")]
    });
    let bindings =
        topology.bindings.iter().map(|binding| [binding.exchange.clone(), binding.key.clone(), binding.queue.clone()]);
    format!(
        "{}\nAll queues are durable quorum queues.\n\n{}\n{}",
        output::table(["exchange", "type"], exchanges),
        output::table(["queue", "arguments"], queues),
        output::table(["from exchange", "with key", "to queue"], bindings),
    )
}

fn short(name: &str, argument: &Argument) -> String {
    let name = name.strip_prefix("x-").unwrap_or(name);
    match argument {
        Argument::Text(text) => format!("{name}={text}"),
        Argument::Number(number) => format!("{name}={number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use messaging::schedule::RetrySchedule;

    #[test]
    fn everything_is_shown() {
        let topology = Topology::new(&RetrySchedule::default());
        let page = page(&topology);
        for part in ["order.retry.10m", "message-ttl=600000", "dead-letter-exchange=email.dlx", "inventory.reserved"] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        let json = as_json(&topology);
        assert_eq!(json["queues"][0]["arguments"]["x-queue-type"], "quorum");
        assert_eq!(json["bindings"].as_array().map(Vec::len), Some(topology.bindings.len()));
    }
}
