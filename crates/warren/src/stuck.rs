//! `warren stuck`: the orders that wait too long, as each service tells of its own, and what its queues hold.

use chrono::{DateTime, Utc};
use clap::Args;
use contracts::event::Service;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::client::Services;
use crate::failure::Verdict;
use crate::output;
use crate::queues::{self, Queues};
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  warren stuck
  warren stuck --json | jq -r '.items[].order_id' | xargs -n1 warren order nudge

A service that does not answer is named, and the others are asked all the same (exit status 1).
With AMQP_URL, each line also tells what waits in the queue of whoever is waited for.";

/// Options of `stuck`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StuckArgs {}

/// An order that waits too long.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Stuck {
    /// Which.
    pub(crate) order_id: Uuid,
    /// Since when.
    pub(crate) since: DateTime<Utc>,
    /// For what.
    pub(crate) waits_for: String,
    /// Why.
    pub(crate) reason: String,
}

#[derive(Deserialize)]
struct StuckList {
    items: Vec<Stuck>,
}

/// What the services answered.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// What is stuck, and who says so; longest first.
    pub(crate) items: Vec<(Service, Stuck)>,
    /// Who did not answer, and why.
    pub(crate) silent: Vec<(Service, String)>,
}

/// Asks all services.
pub(crate) async fn ask(clients: &Services) -> Answers {
    let asked = clients.iter().map(|(service, client)| async move {
        let list = async { client.get("/v1/ops/stuck", &[]).await?.read::<StuckList>() };
        (*service, list.await)
    });
    let mut answers = Answers::default();
    for (service, answer) in join_all(asked).await {
        match answer {
            Ok(list) => answers.items.extend(list.items.into_iter().map(|item| (service, item))),
            Err(error) => answers.silent.push((service, error.to_string())),
        }
    }
    answers.items.sort_by_key(|(_, item)| item.since);
    answers
}

/// Carries out `stuck`.
///
/// # Errors
/// For settings that are wrong; [`Verdict::Failed`] when a service or the broker does not answer.
pub(crate) async fn run(_: &StuckArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    let broker = settings.broker_if_any()?;
    let Answers { items, silent } = ask(&settings.services_in_a_hurry()?).await;
    let mut silent: Vec<(&str, String)> = silent.into_iter().map(|(service, why)| (service.name(), why)).collect();
    let queues = match &broker {
        None => Queues::new(),
        Some(urls) => queues::ask(urls).await.unwrap_or_else(|why| {
            silent.push(("broker", format!("{why:#}")));
            Queues::new()
        }),
    };
    if json {
        print_json(&items, &queues, &silent)?;
    } else {
        print(&items, &queues, &silent)?;
    }
    Ok(if silent.is_empty() { Verdict::Fine } else { Verdict::Failed })
}

/// Whose queue holds what an order waits for, as far as that is a queue.
pub(crate) fn awaited(item: &Stuck) -> Option<Service> {
    Service::named(&item.waits_for)
}

/// The reason, with what waits in the queues concerned: `inventory: 412 queued, 0 consumers`. An answer that has come
/// back waits in the queue of `order`.
pub(crate) fn reason(item: &Stuck, queues: &Queues) -> String {
    let mut reason = item.reason.clone();
    let answers = queues.get(&Service::Order).filter(|queue| queue.under_way() > 0 || queue.is_abandoned());
    let figures = awaited(item).map(|service| {
        let own = queues.get(&service).map(|queue| queue.line(service));
        own.into_iter().chain(answers.map(|queue| queue.line(Service::Order)))
    });
    for line in figures.into_iter().flatten() {
        reason += &format!("; {line}");
    }
    reason
}

fn print(items: &[(Service, Stuck)], queues: &Queues, silent: &[(&str, String)]) -> anyhow::Result<()> {
    let now = Utc::now();
    let rows = items.iter().map(|(service, item)| {
        let age = output::duration((now - item.since).to_std().unwrap_or_default());
        [item.order_id.to_string(), age, service.to_string(), item.waits_for.clone(), reason(item, queues)]
    });
    if items.is_empty() {
        if silent.is_empty() {
            eprintln!("no order waits too long");
        }
    } else {
        output::print(&output::table(["order", "for", "told by", "waits for", "why"], rows))?;
    }
    for (service, queue) in queues.iter().filter(|(_, queue)| queue.is_abandoned()) {
        eprintln!("nobody takes what is queued: {}", queue.line(*service));
    }
    for (who, why) in silent {
        eprintln!("{who} does not answer: {why}");
    }
    Ok(())
}

fn print_json(items: &[(Service, Stuck)], queues: &Queues, silent: &[(&str, String)]) -> anyhow::Result<()> {
    let item = |(service, item): &(Service, Stuck)| {
        let queue = awaited(item).and_then(|service| queues.get(&service));
        json!({"order_id": item.order_id, "service": service.name(), "since": item.since, "waits_for": item.waits_for,
               "reason": reason(item, queues), "queue": queue})
    };
    let queues_by_name = queues.iter().map(|(service, queue)| (service.name().to_owned(), json!(queue)));
    output::print_json(&json!({
        "items": items.iter().map(item).collect::<Vec<_>>(),
        "queues": queues_by_name.collect::<serde_json::Map<_, _>>(),
        "silent": silent.iter().map(|(who, why)| json!({"service": who, "error": why})).collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
mod tests {
    use crate::queues::Waiting;

    use super::*;

    #[test]
    fn the_reason_names_the_queue_that_is_waited_for() {
        let item = |waits_for: &str, reason: &str| Stuck {
            order_id: Uuid::nil(),
            since: Utc::now(),
            waits_for: waits_for.to_owned(),
            reason: reason.to_owned(),
        };
        let figures = |queued, consumers| Waiting { queued: Some(queued), consumers, retrying: 0, dead: 0 };
        let mut queues = Queues::from([(Service::Inventory, figures(412, 0)), (Service::Order, figures(0, 1))]);
        let unanswered = item("inventory", "inventory has not answered");
        assert_eq!(reason(&unanswered, &queues), "inventory has not answered; inventory: 412 queued, 0 consumers");
        queues.insert(Service::Order, figures(7, 1));
        assert!(reason(&unanswered, &queues).ends_with("0 consumers; order: 7 queued, 1 consumers"));
        assert_eq!(reason(&item("payment", "not charged"), &queues), "not charged");
        assert_eq!(reason(&unanswered, &Queues::new()), "inventory has not answered");
    }
}
