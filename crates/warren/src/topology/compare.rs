//! What a broker has, compared with what it is to have: a pure function.

use std::collections::BTreeSet;

use contracts::event::Service;
use messaging::topology::Topology;
use serde::Serialize;
use serde_json::{Map, Value};

use super::found::{Binding, Found, Queue};
use super::show::arguments;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// `exchange`, `queue` or `binding`.
    pub(crate) what: &'static str,
    /// Its name.
    pub(crate) name: String,
    /// How it differs.
    pub(crate) problem: Problem,
    /// More about it, and what to do.
    pub(crate) detail: String,
    /// The binding, where it is one.
    #[serde(skip)]
    pub(crate) binding: Option<Binding>,
}

/// How something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Problem {
    /// It is not there.
    Missing,
    /// It is there, and not as it is to be.
    Different,
    /// It is there, and nobody declares it any more.
    LeftOver,
}

impl Problem {
    /// As people read it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Different => "different",
            Self::LeftOver => "left over",
        }
    }
}

/// All differences, as far as `found` knows.
pub(crate) fn compare(topology: &Topology, found: &Found) -> Vec<Difference> {
    let mut differences = exchanges(topology, found);
    differences.extend(queues(topology, found));
    differences.extend(bindings(topology, found));
    differences
}

fn exchanges(topology: &Topology, found: &Found) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut tell = |name: &str, problem, detail: String| {
        differences.push(Difference { what: "exchange", name: name.to_owned(), problem, detail, binding: None });
    };
    for exchange in &topology.exchanges {
        let kind = exchange.kind.as_str();
        match found.exchanges.get(&exchange.name) {
            None => tell(&exchange.name, Problem::Missing, APPLY.to_owned()),
            Some(Some(other)) if other != kind => {
                tell(&exchange.name, Problem::Different, format!("type is {other}, not {kind}"))
            }
            Some(_) => {}
        }
    }
    for name in found.exchanges.keys() {
        if is_ours(name) && !topology.exchanges.iter().any(|exchange| exchange.name == *name) {
            tell(name, Problem::LeftOver, "nobody declares it any more".to_owned());
        }
    }
    differences
}

/// What to do about what is missing.
const APPLY: &str = "`warren topology apply` makes it";

fn queues(topology: &Topology, found: &Found) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut tell = |name: &str, problem, detail: String| {
        differences.push(Difference { what: "queue", name: name.to_owned(), problem, detail, binding: None });
    };
    for queue in &topology.queues {
        match found.queues.get(&queue.name) {
            None => tell(&queue.name, Problem::Missing, APPLY.to_owned()),
            Some(Queue { arguments: Some(have), .. }) => {
                let unequal = unequal(&arguments(queue), have);
                if !unequal.is_empty() {
                    tell(&queue.name, Problem::Different, unequal.join(", "));
                }
            }
            Some(_) => {}
        }
    }
    for (name, queue) in &found.queues {
        if is_ours(name) && !topology.queues.iter().any(|expected| expected.name == *name) {
            tell(name, Problem::LeftOver, left_over(queue));
        }
    }
    differences
}

fn left_over(queue: &Queue) -> String {
    match (queue.messages, queue.consumers) {
        (Some(0), Some(0)) => "nobody declares it any more; it is empty and can be deleted".to_owned(),
        (messages, consumers) => {
            let count = |count: Option<u64>| count.map_or("?".to_owned(), |count| count.to_string());
            format!(
                "nobody declares it any more; {} messages, {} consumers: delete it when it is empty",
                count(messages),
                count(consumers)
            )
        }
    }
}

/// The arguments that differ, in words.
fn unequal(want: &Map<String, Value>, have: &Map<String, Value>) -> Vec<String> {
    let names: BTreeSet<&String> = want.keys().chain(have.keys()).collect();
    let unequal = |name: &&&String| want.get(**name) != have.get(**name);
    names
        .iter()
        .filter(unequal)
        .map(|name| match (want.get(*name), have.get(*name)) {
            (Some(want), Some(have)) => format!("{name} is {have}, not {want}"),
            (Some(want), None) => format!("{name} is not set, should be {want}"),
            (None, Some(have)) => format!("{name} is {have}, should not be set"),
            (None, None) => String::new(),
        })
        .collect()
}

fn bindings(topology: &Topology, found: &Found) -> Vec<Difference> {
    let Some(have) = &found.bindings else { return Vec::new() };
    let want: BTreeSet<Binding> = topology
        .bindings
        .iter()
        .map(|binding| Binding {
            exchange: binding.exchange.clone(),
            key: binding.key.clone(),
            queue: binding.queue.clone(),
        })
        .collect();
    // a queue that is missing or left over is told once, not again with each of its bindings
    let expected = |queue: &str| topology.queues.iter().any(|expected| expected.name == queue);
    let told = |binding: &Binding| match expected(&binding.queue) {
        true => !found.queues.contains_key(&binding.queue),
        false => is_ours(&binding.queue),
    };
    let ours = |binding: &Binding| {
        expected(&binding.queue) || topology.exchanges.iter().any(|exchange| exchange.name == binding.exchange)
    };
    let difference = |binding: &Binding, problem, detail: &str| Difference {
        what: "binding",
        name: format!("{} --{}--> {}", binding.exchange, binding.key, binding.queue),
        problem,
        detail: detail.to_owned(),
        binding: Some(binding.clone()),
    };
    let missing = want.difference(have).filter(|binding| !told(binding));
    let extra = have.difference(&want).filter(|binding| ours(binding) && !told(binding));
    missing
        .map(|binding| difference(binding, Problem::Missing, APPLY))
        .chain(extra.map(|binding| {
            difference(
                binding,
                Problem::LeftOver,
                "not in the catalogue; a queue that fills up behind it stops its publishers",
            )
        }))
        .collect()
}

/// Whether a name is one that a service of ours would give: others may share the virtual host.
fn is_ours(name: &str) -> bool {
    Service::ALL
        .into_iter()
        .any(|service| name.strip_prefix(service.name()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use messaging::schedule::RetrySchedule;
    use serde_json::json;

    fn topology() -> Topology {
        Topology::new(&RetrySchedule::default())
    }

    /// A broker that has exactly this.
    fn having(topology: &Topology) -> Found {
        let binding = |binding: &messaging::topology::Binding| Binding {
            exchange: binding.exchange.clone(),
            key: binding.key.clone(),
            queue: binding.queue.clone(),
        };
        Found {
            exchanges: topology.exchanges.iter().map(|e| (e.name.clone(), Some(e.kind.as_str().to_owned()))).collect(),
            queues: topology
                .queues
                .iter()
                .map(|q| {
                    (
                        q.name.clone(),
                        Queue { arguments: Some(arguments(q)), messages: Some(0), consumers: Some(0), limit: None },
                    )
                })
                .collect(),
            bindings: Some(topology.bindings.iter().map(binding).collect()),
        }
    }

    fn told(found: &Found) -> Vec<(&'static str, String, Problem)> {
        compare(&topology(), found).into_iter().map(|d| (d.what, d.name, d.problem)).collect()
    }

    #[test]
    fn the_same_is_no_difference_whatever_else_the_broker_has() {
        let mut found = having(&topology());
        found.exchanges.insert("amq.topic".to_owned(), Some("topic".to_owned()));
        found.queues.insert("orders-of-somebody-else".to_owned(), Queue::default());
        assert_eq!(told(&found), []);
    }

    #[test]
    fn an_old_rung_is_left_over_and_its_binding_is_not_told_again() {
        let old = Topology::new(&"1s,5s,7s,30s,2m,10m".parse().unwrap());
        let expected =
            ["email", "inventory", "order"].map(|service| ("queue", format!("{service}.retry.7s"), Problem::LeftOver));
        assert_eq!(told(&having(&old)), expected);
    }

    #[test]
    fn what_is_missing_or_different_is_told() {
        let mut found = having(&topology());
        found.exchanges.insert("events".to_owned(), Some("fanout".to_owned()));
        found.queues.remove("email.dead");
        found.queues.get_mut("order").unwrap().arguments.as_mut().unwrap().insert("x-max-length".to_owned(), json!(5));
        let bindings = found.bindings.as_mut().unwrap();
        bindings.retain(|binding| !(binding.key == "order.created" && binding.queue == "inventory"));
        bindings.insert(Binding { exchange: "events".into(), key: "#".into(), queue: "spy".into() });
        assert_eq!(
            told(&found),
            [
                ("exchange", "events".to_owned(), Problem::Different),
                ("queue", "order".to_owned(), Problem::Different),
                ("queue", "email.dead".to_owned(), Problem::Missing),
                ("binding", "events --order.created--> inventory".to_owned(), Problem::Missing),
                ("binding", "events --#--> spy".to_owned(), Problem::LeftOver),
            ]
        );
        let differences = compare(&topology(), &found);
        assert_eq!(differences[1].detail, "x-max-length is 5, not 100000");
    }

    #[test]
    fn what_could_not_be_looked_at_is_no_difference() {
        let mut found = having(&topology());
        found.bindings = None;
        found.queues.values_mut().for_each(|queue| queue.arguments = None);
        assert_eq!(told(&found), []);
    }
}
