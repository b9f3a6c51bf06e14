//! `/v1/ops`: what operators ask when an order does not get on, and a push for one that does not.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use contracts::values::{EventId, OrderId};
use messaging::follower::FollowError;
use messaging::tx::Tx;
use messaging::{event_log, inbox};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service_kit::http::auth::{Staff, scope};
use service_kit::http::context::RequestContext;
use service_kit::http::extract::{Errors, NoQuery, OptionalBody, Path, Validate};
use service_kit::http::idempotency::{Answer, Claim, IdempotencyKey, Key, claim, keep};
use service_kit::http::problem::Problem;
use tracing::info;

use super::views::time;
use super::{Http, context};
use crate::order::Status;
use crate::store;
use crate::store::ops::Payment;
use crate::stuck::{self, StuckError};

/// What this service knows of an order, oldest first.
#[derive(Debug, Serialize)]
pub struct Trace {
    order_id: OrderId,
    items: Vec<TraceItem>,
}

#[derive(Debug, Serialize)]
struct TraceItem {
    #[serde(serialize_with = "time")]
    at: DateTime<Utc>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    detail: String,
}

/// `GET /v1/ops/trace/{order_id}`: its events, and how each payment that was asked for stands.
pub async fn trace(
    State(http): State<Http>,
    _: Staff<scope::Ops>,
    Path(order_id): Path<OrderId>,
    _: NoQuery,
) -> Result<Json<Trace>, Problem> {
    let mut conn = http.database.pool().acquire().await?;
    let events = event_log::history(&mut conn, &order_id.to_string()).await?;
    let payments = store::ops::payments_of(&mut conn, order_id).await?;
    let mut items: Vec<TraceItem> = events
        .into_iter()
        .map(|event| TraceItem { at: event.time, kind: "event", event_id: Some(event.id), detail: event.event_type })
        .collect();
    items.extend(payments.into_iter().map(|payment| {
        let Payment { id, method, state, attempts, waits_since: at, .. } = payment;
        let detail = format!("{method} {id}: {state}, attempts {attempts}");
        TraceItem { at, kind: "payment", event_id: None, detail }
    }));
    // an event and what it set off have the same time; the sort keeps their order
    items.sort_by_key(|item| item.at);
    Ok(Json(Trace { order_id, items }))
}

/// Whether an event took effect here, or became a dead letter.
#[derive(Debug, Serialize)]
pub struct InboxView {
    event_id: EventId,
    state: &'static str,
}

/// `GET /v1/ops/inbox/{event_id}`
pub async fn inbox(
    State(http): State<Http>,
    _: Staff<scope::Ops>,
    Path(event_id): Path<EventId>,
    _: NoQuery,
) -> Result<Json<InboxView>, Problem> {
    let state = inbox::state(&mut *http.database.pool().acquire().await?, event_id).await?;
    Ok(Json(InboxView { event_id, state: state.as_str() }))
}

/// `GET /v1/ops/events/{event_id}`: an event of this service's own, in its envelope, and whether it is published.
pub async fn event(
    State(http): State<Http>,
    _: Staff<scope::Ops>,
    Path(event_id): Path<EventId>,
    _: NoQuery,
) -> Result<Json<Value>, Problem> {
    let found = event_log::find(&mut *http.database.pool().acquire().await?, event_id).await?;
    let found = found.ok_or_else(|| Problem::not_found("This service has no such event, or keeps it no longer."))?;
    let envelope = found.event.envelope(http.database.service()).map_err(|error| {
        tracing::error!(%event_id, %error, "the log holds something that is not JSON");
        Problem::internal()
    })?;
    Ok(Json(json!({"event_id": event_id, "published": found.published, "event": envelope})))
}

/// Orders that wait for too long.
#[derive(Debug, Serialize)]
pub struct StuckList {
    items: Vec<StuckItem>,
}

#[derive(Debug, Serialize)]
struct StuckItem {
    order_id: OrderId,
    #[serde(serialize_with = "time")]
    since: DateTime<Utc>,
    waits_for: &'static str,
    reason: String,
}

/// `GET /v1/ops/stuck`
pub async fn stuck(State(http): State<Http>, _: Staff<scope::Ops>, _: NoQuery) -> Result<Json<StuckList>, Problem> {
    let stuck = stuck::stuck(&http.database, http.payment_timeout).await.map_err(|error| match error {
        StuckError::Database(error) | StuckError::Follow(FollowError::Database(error)) => error.into(),
        StuckError::Follow(error @ FollowError::OtherServer(_)) => Problem::unavailable(error.to_string()),
    })?;
    let item = |stuck: stuck::Stuck| StuckItem {
        order_id: stuck.order_id,
        since: stuck.since,
        waits_for: stuck.waits_for,
        reason: stuck.reason,
    };
    Ok(Json(StuckList { items: stuck.into_iter().map(item).collect() }))
}

/// `POST /v1/ops/orders/{id}/nudge`: nothing, or `{}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nudge {}

impl Validate for Nudge {
    fn validate(&self, _: &mut Errors) {}
}

/// What was repeated.
#[derive(Debug, Serialize)]
struct Nudged {
    order_id: OrderId,
    status: Status,
    /// `inventory`, `payment`, `refund`, or nothing at all.
    waits_for: Option<&'static str>,
}

/// Repeats the step that an order waits for.
///
/// A pending order's first event is published once more: the same event, so inventory handles it if it was lost, and
/// otherwise does nothing. A reserved order's charge, and whatever is owed, is asked of the provider at once, under the same
/// payment id. An order that waits for nothing is left alone. So a nudge too many does no harm.
pub async fn nudge(
    State(http): State<Http>,
    caller: Staff<scope::Ops>,
    Path(id): Path<OrderId>,
    _: NoQuery,
    request: RequestContext,
    key: IdempotencyKey,
    body: OptionalBody<Nudge>,
) -> Result<Answer, Problem> {
    http.admit()?;
    let key = key.of(&caller, &body.raw);
    let mut tx = http.database.begin(context(&request)).await?;
    tx.after_commit(&http.intents);
    let nudged = nudge_in(&mut tx, key.as_ref(), id, request.request_id).await;
    tx.end(nudged).await
}

async fn nudge_in(tx: &mut Tx, key: Option<&Key>, id: OrderId, correlation_id: String) -> Result<Answer, Problem> {
    if let Claim::Replay(answer) = claim(tx, key).await? {
        return Ok(answer);
    }
    let order = store::order::lock(tx, &[id]).await?.pop();
    let order = order.ok_or_else(|| Problem::not_found("There is no such order."))?;
    let waits_for = match order.status {
        Status::Pending => Some("inventory"),
        Status::Reserved => Some("payment"),
        Status::Confirmed | Status::Cancelled if !order.owed.is_empty() => Some("refund"),
        Status::Confirmed | Status::Cancelled => None,
    };
    if order.status == Status::Pending {
        store::ops::publish_creation_again(tx, id).await?;
    }
    store::ops::ask_again(tx, id).await?;
    let answer = Answer::json(StatusCode::ACCEPTED, &Nudged { order_id: id, status: order.status, waits_for });
    keep(tx, key, &answer).await?;
    tx.on_commit(move || info!(order_id = %id, correlation_id, waits_for, "order nudged"));
    Ok(answer)
}
