//! `/api/trace/{order}` and `/api/stuck`: what needs all services at once.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Services;
use crate::console::problem::Problem;
use crate::console::{PATIENCE, Shared};
use crate::queues::Queues;
use crate::{stuck, trace};

/// One order's way through all services, as `warren trace` tells it.
pub(in crate::console) async fn trace(
    State(console): State<Shared>,
    Path(order): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let order: Uuid = order.parse().map_err(|_| Problem::not_found("This is no order's id."))?;
    let services = called(&console, &headers)?;
    let (story, silent) = trace::tell(order, &services, async { Ok(queues(&console)) }).await;
    if story.is_empty() && silent.is_empty() {
        return Err(Problem::not_found("No service knows this order."));
    }
    Ok(Json(story.json(&silent)))
}

/// The orders that wait too long, as `warren stuck` tells them.
pub(in crate::console) async fn stuck(
    State(console): State<Shared>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let answers = stuck::ask(&called(&console, &headers)?).await;
    let queues = queues(&console);
    let items = answers.items.iter().map(|(service, item)| {
        json!({"order_id": item.order_id, "service": service.name(), "since": item.since, "waits_for": item.waits_for,
            "reason": stuck::reason(item, &queues)})
    });
    let silent = answers.silent.iter().map(|(service, why)| json!({"service": service.name(), "error": why}));
    Ok(Json(json!({"items": items.collect::<Vec<_>>(), "silent": silent.collect::<Vec<_>>()})))
}

/// The services, called by whoever is signed in.
fn called(console: &Shared, headers: &HeaderMap) -> Result<Services, Problem> {
    let session = console.sessions.of(headers)?;
    let services = session.services(&console.services)?;
    Ok(services.into_iter().map(|(service, client)| (service, client.with_patience(PATIENCE))).collect())
}

/// What waited in the queues when they were last looked at.
fn queues(console: &Shared) -> Queues {
    console.board.queues()
}
