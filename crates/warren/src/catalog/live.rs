//! `warren catalog check --live`: the catalogue compared with what the broker has and the services have seen.

use std::collections::BTreeMap;

use anyhow::Context;
use clap::Args;
use contracts::catalogue::consumed_by;
use contracts::event::Service;
use messaging::dead_letters::AUDIT_QUEUE;
use messaging::inspect;
use messaging::topology::{EVENTS, Topology};
use serde::Serialize;
use serde_json::json;

use super::metrics::{self, Seen};
use crate::client::Client;
use crate::failure::{Usage, Verdict};
use crate::output::{self, Paint};
use crate::settings::Settings;
use crate::topology::compare::compare;
use crate::topology::found::Found;
use crate::topology::{management, schedule};

const EXAMPLES: &str = "\
Examples:
  warren catalog check --live
  warren catalog check --live --json | jq -r '.problems[].detail'

Reads the broker's management interface (RABBITMQ_MANAGEMENT_URL) and /metrics of the
services (ORDER_URL, INVENTORY_URL, EMAIL_URL). What the services have seen counts
since their last start, and of one copy each: an event that was never seen is a note,
not a problem. Looking changes nothing. Exit status 1 when there is a problem.";

/// Options of `catalog check`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    /// Compare with the running system
    #[arg(long, required = true)]
    live: bool,

    /// The backoff schedule, the same as in the services [env: RETRY_DELAYS] [default: 1s,5s,30s,2m,10m]
    #[arg(long, value_name = "LIST")]
    retry_delays: Option<String>,
}

/// Something that is not as the catalogue says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    /// `missing`, `different`, `left-over`, `undeclared-queue`, `no-consumer`, `unknown-events`; of the notes `never-seen`.
    kind: &'static str,
    /// What it is about.
    name: String,
    /// In words.
    detail: String,
}

impl Finding {
    fn new(kind: &'static str, name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { kind, name: name.into(), detail: detail.into() }
    }
}

pub(super) async fn run(args: &CheckArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    debug_assert!(args.live, "clap requires it");
    let topology = Topology::new(&schedule(args.retry_delays.as_deref())?);
    let url = settings.management_url()?.ok_or_else(|| {
        Usage("bindings are told by the management interface alone: set RABBITMQ_MANAGEMENT_URL".to_owned())
    })?;
    let account = inspect::account(&settings.broker()?).ok_or_else(|| Usage("AMQP_URL: no address".to_owned()))?;
    let found = management::read(&url, &account).await?;

    let mut services = vec![(Service::Order, settings.order()?), (Service::Inventory, settings.inventory()?)];
    services.extend(settings.email()?.map(|client| (Service::Email, client)));
    let mut seen = BTreeMap::new();
    for (service, client) in &services {
        seen.insert(*service, of_service(*service, client).await?);
    }
    let problems = problems(&topology, &found, &seen);
    let notes = notes(&seen);
    if json {
        output::print_json(&json!({"ok": problems.is_empty(), "problems": problems, "notes": notes}))?;
    } else {
        output::print(&page(&problems, &notes, &seen, Paint::stdout()))?;
    }
    Ok(if problems.is_empty() { Verdict::Fine } else { Verdict::Failed })
}

async fn of_service(service: Service, client: &Client) -> anyhow::Result<Seen> {
    let answer = client.get("/metrics", &[]).await.with_context(|| format!("what {service} has seen"))?;
    Ok(metrics::read(&answer.body))
}

/// What should not be.
fn problems(topology: &Topology, found: &Found, seen: &BTreeMap<Service, Seen>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = compare(topology, found)
        .into_iter()
        .map(|difference| {
            let kind = match difference.problem {
                crate::topology::compare::Problem::Missing => "missing",
                crate::topology::compare::Problem::Different => "different",
                crate::topology::compare::Problem::LeftOver => "left-over",
            };
            let detail = format!("{} {}: {}", difference.what, difference.name, difference.detail);
            Finding::new(kind, difference.name, detail)
        })
        .collect();
    for (name, queue) in &found.queues {
        // Beside the topology's there is the one in which operators leave word of what they did with dead letters.
        let declared = name == AUDIT_QUEUE || topology.queues.iter().any(|expected| expected.name == *name);
        let told = findings.iter().any(|finding| finding.name == *name);
        if !declared && !told {
            let bound =
                found.bindings.iter().flatten().any(|binding| binding.queue == *name && binding.exchange == EVENTS);
            let detail = format!(
                "queue {name}: nobody declares it{}",
                if bound { ", and it takes copies of events: who reads them is not in the catalogue" } else { "" }
            );
            findings.push(Finding::new("undeclared-queue", name, detail));
        }
        let service = Service::named(name);
        if let (Some(service), Some(0)) = (service, queue.consumers) {
            let waiting = queue.messages.unwrap_or_default();
            let events: Vec<_> = consumed_by(service).map(|event| event.name).collect();
            let detail =
                format!("queue {name}: nobody consumes it, {waiting} messages wait; it is for {}", events.join(", "));
            findings.push(Finding::new("no-consumer", name, detail));
        }
    }
    for (service, seen) in seen.iter().filter(|(_, seen)| seen.unknown > 0) {
        let detail = format!(
            "{service} was given {} deliveries of events that it does not know; `warren dlq list` shows what became of them",
            seen.unknown
        );
        findings.push(Finding::new("unknown-events", service.name(), detail));
    }
    findings
}

/// What may be, and may be worth knowing.
fn notes(seen: &BTreeMap<Service, Seen>) -> Vec<Finding> {
    let never = seen.iter().flat_map(|(service, seen)| {
        let unseen = consumed_by(*service).filter(|event| seen.events.get(event.name).is_none_or(|count| *count == 0));
        unseen.map(move |event| {
            let detail = format!("{service} has not seen {} since it started", event.name);
            Finding::new("never-seen", format!("{} by {service}", event.name), detail)
        })
    });
    never.collect()
}

fn page(problems: &[Finding], notes: &[Finding], seen: &BTreeMap<Service, Seen>, paint: Paint) -> String {
    let rows = seen.iter().flat_map(|(service, seen)| {
        consumed_by(*service).map(|event| {
            let count = seen.events.get(event.name).copied().unwrap_or_default();
            [service.name().to_owned(), event.name.to_owned(), count.to_string()]
        })
    });
    let mut page = output::table(["service", "event", "seen"], rows);
    page.push('\n');
    for finding in problems {
        page.push_str(&format!("{}: {}\n", paint.red(finding.kind), finding.detail));
    }
    for finding in notes {
        page.push_str(&format!("{}: {}\n", paint.dim(finding.kind), finding.detail));
    }
    page.push_str(&match problems.len() {
        0 => format!("{} the broker and the services are as the catalogue says\n", paint.green("ok:")),
        1 => "1 problem\n".to_owned(),
        count => format!("{count} problems\n"),
    });
    for service in Service::ALL.into_iter().filter(|service| !seen.contains_key(service)) {
        page.push_str(&format!(
            "{service} was not asked what it has seen: set {}_URL\n",
            service.name().to_uppercase()
        ));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::found::{Binding, Queue};
    use messaging::schedule::RetrySchedule;

    /// A broker that is as it should be, each work queue with a consumer.
    fn good() -> (Topology, Found) {
        let topology = Topology::new(&RetrySchedule::default());
        let queues = topology.queues.iter().map(|queue| {
            let arguments = Some(crate::topology::show::arguments(queue));
            (queue.name.clone(), Queue { arguments, messages: Some(0), consumers: Some(1), limit: None })
        });
        let bindings = topology.bindings.iter().map(|binding| Binding {
            exchange: binding.exchange.clone(),
            key: binding.key.clone(),
            queue: binding.queue.clone(),
        });
        let found = Found {
            exchanges: topology.exchanges.iter().map(|e| (e.name.clone(), Some(e.kind.as_str().to_owned()))).collect(),
            queues: queues.collect(),
            bindings: Some(bindings.collect()),
        };
        (topology, found)
    }

    fn kinds(findings: &[Finding]) -> Vec<(&'static str, &str)> {
        findings.iter().map(|finding| (finding.kind, finding.name.as_str())).collect()
    }

    #[test]
    fn a_broker_as_it_should_be_has_no_problems() {
        let (topology, mut found) = good();
        assert_eq!(problems(&topology, &found, &BTreeMap::new()), []);
        // The journal of what was done with dead letters is nobody's spy.
        found
            .queues
            .insert(AUDIT_QUEUE.to_owned(), Queue { messages: Some(1), consumers: Some(0), ..Queue::default() });
        assert_eq!(problems(&topology, &found, &BTreeMap::new()), []);
    }

    #[test]
    fn what_should_not_be_is_told() {
        let (topology, mut found) = good();
        found.queues.insert("spy".to_owned(), Queue { messages: Some(1), consumers: Some(0), ..Queue::default() });
        found.queues.get_mut("email").unwrap().consumers = Some(0);
        let bindings = found.bindings.as_mut().unwrap();
        let lost =
            bindings.iter().find(|binding| binding.exchange == EVENTS && binding.queue == "order").unwrap().clone();
        bindings.remove(&lost);
        bindings.insert(Binding { exchange: EVENTS.to_owned(), key: "#".to_owned(), queue: "spy".to_owned() });
        let seen = [(Service::Order, Seen { unknown: 2, ..Seen::default() })].into();
        let problems = problems(&topology, &found, &seen);
        let lost = format!("events --{}--> order", lost.key);
        assert_eq!(
            kinds(&problems),
            [
                ("missing", lost.as_str()),
                ("left-over", "events --#--> spy"),
                ("no-consumer", "email"),
                ("undeclared-queue", "spy"),
                ("unknown-events", "order"),
            ]
        );
        assert!(problems[3].detail.contains("takes copies of events"), "{problems:?}");
    }

    #[test]
    fn an_event_that_was_never_seen_is_a_note() {
        let first = consumed_by(Service::Order).next().unwrap().name;
        let events = consumed_by(Service::Order).skip(1).map(|event| (event.name.to_owned(), 1)).collect();
        let seen = [(Service::Order, Seen { events, unknown: 0 })].into();
        assert_eq!(kinds(&notes(&seen)), [("never-seen", format!("{first} by order").as_str())]);
    }
}
