//! `/v1/ops`: what operators ask when an order does not get on.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use contracts::values::{EventId, OrderId};
use messaging::follower::{self, FollowError};
use messaging::tx::Database;
use messaging::{event_log, inbox};
use serde::Serialize;
use serde_json::{Value, json};
use service_kit::http::auth::{Staff, scope};
use service_kit::http::extract::{NoQuery, Path};
use service_kit::http::problem::Problem;

use crate::reservation::{Line, State as ReservationState};
use crate::store;
use crate::store::reservation::Stored;

/// An event that is not published for so long is not merely on its way.
const STUCK_AFTER: TimeDelta = TimeDelta::seconds(60);

/// What this service knows of an order, oldest first.
#[derive(Debug, Serialize)]
pub(super) struct Trace {
    order_id: OrderId,
    items: Vec<TraceItem>,
}

#[derive(Debug, Serialize)]
struct TraceItem {
    #[serde(serialize_with = "super::time")]
    at: DateTime<Utc>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    detail: String,
}

/// `GET /v1/ops/trace/{order_id}`
pub(super) async fn trace(
    State(database): State<Database>,
    _caller: Staff<scope::Ops>,
    Path(order_id): Path<OrderId>,
    _: NoQuery,
) -> Result<Json<Trace>, Problem> {
    let mut conn = database.pool().acquire().await?;
    let reservation = store::reservation::find(&mut conn, order_id).await?;
    let events = event_log::history(&mut conn, &order_id.to_string()).await?;
    let mut items: Vec<TraceItem> = reservation.iter().flat_map(steps).collect();
    items.extend(events.into_iter().map(|event| TraceItem {
        at: event.time,
        kind: "event",
        event_id: Some(event.id),
        detail: event.event_type,
    }));
    items.sort_by_key(|item| item.at);
    Ok(Json(Trace { order_id, items }))
}

/// The steps of a reservation, as far as its state and its times tell them.
fn steps(reservation: &Stored) -> Vec<TraceItem> {
    let step = |at, kind, detail| TraceItem { at, kind, event_id: None, detail };
    let lines = describe(&reservation.lines);
    let ended = match reservation.state {
        ReservationState::Rejected => return vec![step(reservation.created_at, "reservation-rejected", lines)],
        _ if reservation.lines.is_empty() => {
            let detail = "the order was cancelled before it came here".to_owned();
            return vec![step(reservation.created_at, "reservation-released", detail)];
        }
        ReservationState::Held | ReservationState::Committed => None,
        ReservationState::Released => Some("reservation-released"),
        ReservationState::Returned => Some("reservation-returned"),
    };
    let mut steps = vec![step(reservation.created_at, "reservation-held", lines.clone())];
    steps.extend(reservation.committed_at.map(|at| step(at, "reservation-committed", lines.clone())));
    steps.extend(ended.map(|kind| step(reservation.updated_at, kind, lines)));
    steps
}

fn describe(lines: &[Line]) -> String {
    lines.iter().map(|line| format!("{} {}", line.quantity.get(), line.sku)).collect::<Vec<_>>().join(", ")
}

/// Whether an event took effect here, or became a dead letter.
#[derive(Debug, Serialize)]
pub(super) struct InboxView {
    event_id: EventId,
    state: &'static str,
}

/// `GET /v1/ops/inbox/{event_id}`
pub(super) async fn inbox(
    State(database): State<Database>,
    _caller: Staff<scope::Ops>,
    Path(event_id): Path<EventId>,
    _: NoQuery,
) -> Result<Json<InboxView>, Problem> {
    let mut conn = database.pool().acquire().await?;
    let state = inbox::state(&mut conn, event_id).await?;
    Ok(Json(InboxView { event_id, state: state.as_str() }))
}

/// `GET /v1/ops/events/{event_id}`: an event of this service's own, in its envelope, and whether it is published.
pub(super) async fn event(
    State(database): State<Database>,
    _caller: Staff<scope::Ops>,
    Path(event_id): Path<EventId>,
    _: NoQuery,
) -> Result<Json<Value>, Problem> {
    let found = event_log::find(&mut *database.pool().acquire().await?, event_id).await?;
    let found = found.ok_or_else(|| Problem::not_found("This service has no such event, or keeps it no longer."))?;
    let envelope = found.event.envelope(database.service()).map_err(|error| {
        tracing::error!(%event_id, %error, "the log holds something that is not JSON");
        Problem::internal()
    })?;
    Ok(Json(json!({"event_id": event_id, "published": found.published, "event": envelope})))
}

/// Orders that wait for something of this service.
#[derive(Debug, Serialize)]
pub(super) struct Stuck {
    items: Vec<StuckItem>,
}

#[derive(Debug, Serialize)]
struct StuckItem {
    order_id: OrderId,
    #[serde(serialize_with = "super::time")]
    since: DateTime<Utc>,
    waits_for: &'static str,
    reason: String,
}

/// `GET /v1/ops/stuck`: orders whose answer does not leave this service. A reservation that is held waits for the order's
/// payment, which is the order service's to tell.
pub(super) async fn stuck(
    State(database): State<Database>,
    _caller: Staff<scope::Ops>,
    _: NoQuery,
) -> Result<Json<Stuck>, Problem> {
    let mut tx = database.pool().begin().await?;
    let undeliverable = store::stuck::undeliverable(&mut tx).await?;
    let mut items: Vec<StuckItem> = undeliverable
        .into_iter()
        .filter_map(|event| {
            let reason = format!("no queue takes {}", event.event);
            Some(StuckItem { order_id: event.subject.parse().ok()?, since: event.since, waits_for: "queue", reason })
        })
        .collect();
    follower::prepare(&mut tx, true).await?;
    let checkpoint = follower::load(&mut tx, "relay", database.service().name()).await.map_err(unreadable)?;
    let unpublished = follower::read(&mut tx, &checkpoint).await?;
    tx.rollback().await?;
    let long_ago = Utc::now() - STUCK_AFTER;
    items.extend(unpublished.events.into_iter().filter(|event| event.time < long_ago).filter_map(|event| {
        let reason = format!("{} is not published", event.event_type);
        Some(StuckItem { order_id: event.subject.parse().ok()?, since: event.time, waits_for: "relay", reason })
    }));
    Ok(Json(Stuck { items }))
}

fn unreadable(error: FollowError) -> Problem {
    match error {
        FollowError::Database(error) => error.into(),
        other @ FollowError::OtherServer(_) => Problem::unavailable(other.to_string()),
    }
}
