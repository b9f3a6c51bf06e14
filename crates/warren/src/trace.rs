//! `warren trace`: one order's way through all services, as one timeline.

mod story;

mod lanes;
mod picture;

use clap::Args;
use contracts::event::Service;
use futures_util::future::join_all;
use serde::Deserialize;
use uuid::Uuid;

use crate::client::Services;
use crate::failure::Verdict;
use crate::output::{self, Paint};
use crate::queues::{self, Queues};
use crate::settings::Settings;
use crate::stuck;
pub(crate) use story::Story;
use story::{Delivery, Item, Now};

const EXAMPLES: &str = "\
Examples:
  warren trace ORDER
  warren trace ORDER --json | jq '.items[] | select(.service == \"email\")'

Each service has a lane, each line the time since the one before it. ● is where something happened, an
arrow goes to each service that the event is for: ▶ it has taken effect there; ▷ not yet, so it is in
that service's queue or on its retry ladder; ✗ it is a dead letter there (`warren dlq show`). ◉ is
where the order stands now, and what follows is what it waits for.
A service that does not answer is named, and the rest is shown all the same (exit status 1).";

/// Options of `trace`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TraceArgs {
    /// The order
    order: Uuid,
}

#[derive(Deserialize)]
struct Trace {
    items: Vec<story::Told>,
}

#[derive(Deserialize)]
struct Inbox {
    state: String,
}

#[derive(Deserialize)]
struct Order {
    status: String,
}

/// Carries out `trace`.
///
/// # Errors
/// For settings that are wrong, and an order that no service knows.
pub(crate) async fn run(args: &TraceArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    let clients = settings.services_in_a_hurry()?;
    let broker = settings.broker_if_any()?;
    let queues = async {
        match &broker {
            None => Ok(Queues::new()),
            Some(urls) => queues::ask(urls).await,
        }
    };
    let (story, silent) = tell(args.order, &clients, queues).await;
    if story.is_empty() && silent.is_empty() {
        anyhow::bail!("no service knows an order {}", args.order);
    }
    if json {
        output::print_json(&story.json(&silent))?;
    } else {
        output::print(&story.page(chrono::Utc::now(), Paint::stdout(), output::width()))?;
        for (who, why) in &silent {
            eprintln!("{who} does not answer: {why}");
        }
    }
    Ok(if silent.is_empty() { Verdict::Fine } else { Verdict::Failed })
}

/// All that the services know of an order, and who did not answer. All are asked at once: somebody waits for this, and who
/// does not answer takes his time.
pub(crate) async fn tell(
    order: Uuid,
    clients: &Services,
    queues: impl Future<Output = anyhow::Result<Queues>>,
) -> (Story, Silent) {
    let ((items, mut silent), status, stuck, queues) =
        tokio::join!(ask(order, clients), status(order, clients), stuck::ask(clients), queues);
    let items = with_deliveries(items, clients, &silent).await;
    let stuck = stuck.items.into_iter().map(|(_, item)| item);
    let stuck = stuck.filter(|item| item.order_id == order).collect();
    let queues = queues.unwrap_or_else(|why| {
        silent.push(("broker", format!("{why:#}")));
        Queues::new()
    });
    let now = Now { status, stuck, queues, partial: !silent.is_empty() };
    (Story::new(order, items, now), silent)
}

/// Who did not answer, and why.
pub(crate) type Silent = Vec<(&'static str, String)>;

/// What each service knows of the order, and who did not answer.
async fn ask(order: Uuid, clients: &Services) -> (Vec<Item>, Silent) {
    let path = format!("/v1/ops/trace/{order}");
    let path = path.as_str();
    let asked = clients.iter().map(|(service, client)| async move {
        let trace = async { client.get(path, &[]).await?.read::<Trace>() };
        (*service, trace.await)
    });
    let (mut items, mut silent) = (Vec::new(), Vec::new());
    for (service, answer) in join_all(asked).await {
        match answer {
            Ok(trace) => items.extend(trace.items.into_iter().map(|told| Item::new(service, told))),
            Err(error) => silent.push((service.name(), error.to_string())),
        }
    }
    // stable: what a service told at one time stays in its order
    items.sort_by_key(|item| item.told.at);
    (items, silent)
}

/// The order's status; none where `order` does not know it or does not answer.
async fn status(order: Uuid, clients: &Services) -> Option<String> {
    let (_, client) = clients.iter().find(|(service, _)| *service == Service::Order)?;
    let answer = client.get(&format!("/v1/orders/{order}"), &[]).await.ok()?;
    answer.read().ok().map(|order: Order| order.status)
}

/// Asks each consumer of each event whether it has handled it, all at once. An order has a handful of events.
async fn with_deliveries(items: Vec<Item>, clients: &Services, silent: &Silent) -> Vec<Item> {
    let told = items.into_iter().map(|mut item| async move {
        if let Some(event_id) = &item.told.event_id {
            let asked = item.consumers().iter().map(|consumer| delivery(event_id, *consumer, clients, silent));
            let found = join_all(asked).await;
            item.deliveries.extend(found.into_iter().flatten());
        }
        item
    });
    join_all(told).await
}

/// What a consumer has made of an event; nothing where it does not say.
async fn delivery(event_id: &Uuid, consumer: Service, clients: &Services, silent: &Silent) -> Option<Delivery> {
    let client = clients.iter().find(|(service, _)| *service == consumer).map(|(_, client)| client)?;
    if silent.iter().any(|(name, _)| *name == consumer.name()) {
        return None;
    }
    let answer = client.get(&format!("/v1/ops/inbox/{event_id}"), &[]).await.ok()?;
    let inbox: Inbox = answer.read().ok()?;
    Some(Delivery { consumer, state: inbox.state })
}
