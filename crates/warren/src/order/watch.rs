//! `warren order watch`: one order by its live stream, or all of them by looking again and again.

use std::collections::HashMap;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use serde_json::value::RawValue;
use tokio::time::sleep;
use uuid::Uuid;

use super::event::History;
use super::model::{self, Order};
use super::sse::Parser;
use crate::client::error::CallError;
use crate::client::{Answer, Client, MAX_PAGE, Page};
use crate::failure::Verdict;
use crate::output::{self, Paint, coloured};

/// How often one looks where nothing is told by itself, and how long one waits for a service that has gone away.
const PAUSE: Duration = Duration::from_secs(1);

/// How many of the newest orders are shown when watching begins.
const FIRST: usize = 10;

const EXAMPLES: &str = "\
Examples:
  warren order watch ID                              its history, then live until Ctrl-C
  warren order watch                                 every change among the 200 newest orders
  warren order watch ID --json | jq -c .data         one envelope, or one order, per line

A service that restarts in between is waited for; nothing of one order's history is
missed or shown twice. Without ID, the list of orders is read once a second, so steps
that follow each other faster are shown as one.";

/// Options of `order watch`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct WatchArgs {
    /// The order; all of them when left out
    id: Option<Uuid>,
}

pub(super) async fn run(args: &WatchArgs, client: &Client, json: bool) -> anyhow::Result<Verdict> {
    match args.id {
        Some(id) => one(id, client, json).await?,
        None => all(client, json).await?,
    }
    Ok(Verdict::Fine)
}

async fn one(id: Uuid, client: &Client, json: bool) -> anyhow::Result<()> {
    let mut history = History::new(json);
    let mut last_id = None;
    let mut known = false;
    while !history.ended {
        match follow(id, client, &mut history, &mut last_id).await {
            Ok(()) => known = true,
            Err(error) => match error.downcast_ref::<CallError>() {
                Some(call) if call.problem().is_some_and(|problem| matches!(problem.status, 404 | 405)) => {
                    // no such order, or a service without streams: its history tells which
                    return poll(id, client, &mut history).await;
                }
                Some(call) if known && call.may_pass() => {}
                _ => return Err(error),
            },
        }
        if !history.ended {
            sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Reads the stream until it ends or breaks.
async fn follow(id: Uuid, client: &Client, history: &mut History, last_id: &mut Option<String>) -> anyhow::Result<()> {
    let response = client.stream(&format!("/v1/orders/{id}/stream"), last_id.as_deref()).await?;
    let mut parser = Parser::default();
    let mut bytes = response.bytes_stream();
    while let Some(chunk) = bytes.next().await {
        // a stream that breaks is resumed like one that ends
        let Ok(chunk) = chunk else { break };
        for event in parser.take(&chunk) {
            history.add(&RawValue::from_string(event.data)?)?;
            *last_id = Some(event.id);
        }
    }
    Ok(())
}

async fn poll(id: Uuid, client: &Client, history: &mut History) -> anyhow::Result<()> {
    let path = format!("/v1/orders/{id}/events");
    let mut known = false;
    loop {
        match client.get(&path, &[]).await.and_then(|answer| answer.read::<Events>()) {
            Ok(events) => {
                known = true;
                for envelope in &events.items {
                    history.add(envelope)?;
                }
            }
            Err(error) if known && error.may_pass() => {}
            Err(error) => return Err(error.into()),
        }
        if history.ended {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
}

/// The history of an order, which is not a page: it comes whole.
#[derive(serde::Deserialize)]
struct Events {
    items: Vec<Box<RawValue>>,
}

async fn all(client: &Client, json: bool) -> anyhow::Result<()> {
    let mut versions: HashMap<Uuid, i64> = HashMap::new();
    let mut first = true;
    loop {
        match client.page("/v1/orders", &[], MAX_PAGE, None).await {
            Ok(page) => {
                let skip = if first { page.items.len().saturating_sub(FIRST) } else { 0 };
                versions = show_changes(&page, &versions, skip, json)?;
                first = false;
            }
            Err(error) if !first && error.may_pass() => {}
            Err(error) => return Err(error.into()),
        }
        sleep(PAUSE).await;
    }
}

/// Prints the orders of the page that are new or have changed, oldest first and without the `skip` oldest ones; returns
/// the versions of all.
fn show_changes(page: &Page, seen: &HashMap<Uuid, i64>, skip: usize, json: bool) -> anyhow::Result<HashMap<Uuid, i64>> {
    let mut versions = HashMap::with_capacity(page.items.len());
    for (index, item) in page.items.iter().rev().enumerate() {
        let order: Order = Answer { body: item.get().to_owned() }.read()?;
        if index >= skip && seen.get(&order.id) != Some(&order.version) {
            output::print(&if json { item.get().to_owned() } else { line(&order, Paint::stdout()) })?;
        }
        versions.insert(order.id, order.version);
    }
    Ok(versions)
}

fn line(order: &Order, paint: Paint) -> String {
    let state = order.state();
    let padding = " ".repeat(26_usize.saturating_sub(state.len()));
    let state = coloured(&state, &order.status, paint);
    format!(
        "{}  {}  {state}{padding}  {:>14}  version {}",
        model::time(order.updated_at),
        order.id,
        order.total.to_string(),
        order.version
    )
}
