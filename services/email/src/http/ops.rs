//! `/v1/ops`: what operators ask of every service.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use contracts::envelope::time_text;
use contracts::values::EventId;
use messaging::inbox;
use serde::Serialize;
use service_kit::http::auth::{Staff, scope};
use service_kit::http::extract::{NoQuery, Path};
use service_kit::http::problem::Problem;
use uuid::Uuid;

use super::App;
use crate::store::log::{self, Step, Stuck};

/// A mail is gone within a second as a rule. One that is not for so long has something to wait for.
const STUCK_AFTER: TimeDelta = TimeDelta::minutes(1);

#[derive(Debug, Serialize)]
pub(super) struct Trace {
    order_id: Uuid,
    items: Vec<TraceItem>,
}

#[derive(Debug, Serialize)]
struct TraceItem {
    at: String,
    kind: &'static str,
    event_id: Uuid,
    detail: String,
}

/// `GET /v1/ops/trace/{order_id}`: when its mails were queued, and what became of them.
pub(super) async fn trace(
    _: Staff<scope::Ops>,
    Path(order_id): Path<Uuid>,
    _: NoQuery,
    State(app): State<App>,
) -> Result<Json<Trace>, Problem> {
    let steps = log::steps(&mut *app.pool.acquire().await?, order_id).await?;
    let mut items: Vec<(DateTime<Utc>, TraceItem)> = steps.iter().flat_map(trace_items).collect();
    items.sort_by_key(|(at, _)| *at);
    Ok(Json(Trace { order_id, items: items.into_iter().map(|(_, item)| item).collect() }))
}

fn trace_items(step: &Step) -> impl Iterator<Item = (DateTime<Utc>, TraceItem)> + use<> {
    let item =
        |at: DateTime<Utc>, kind, detail| (at, TraceItem { at: time_text(&at), kind, event_id: step.event_id, detail });
    let queued = item(step.created_at, "mail-queued", step.template.clone());
    let answered = step.answered_at.map(|at| {
        let kind = match step.status.as_str() {
            "sent" => "mail-sent",
            "in-doubt" => "mail-in-doubt",
            "failed" => "mail-failed",
            _ => "mail-deferred",
        };
        let why = step.error.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        item(at, kind, format!("{}, attempt {}{why}", step.template, step.attempts))
    });
    std::iter::once(queued).chain(answered)
}

#[derive(Debug, Serialize)]
pub(super) struct Inbox {
    event_id: Uuid,
    state: &'static str,
}

/// `GET /v1/ops/inbox/{event_id}`: whether that event took effect here, or became a dead letter.
pub(super) async fn inbox(
    _: Staff<scope::Ops>,
    Path(event_id): Path<Uuid>,
    _: NoQuery,
    State(app): State<App>,
) -> Result<Json<Inbox>, Problem> {
    let state = inbox::state(&mut *app.pool.acquire().await?, EventId(event_id)).await?;
    Ok(Json(Inbox { event_id, state: state.as_str() }))
}

#[derive(Debug, Serialize)]
pub(super) struct StuckList {
    items: Vec<StuckItem>,
}

#[derive(Debug, Serialize)]
struct StuckItem {
    order_id: Uuid,
    since: String,
    waits_for: &'static str,
    reason: String,
}

/// `GET /v1/ops/stuck`: orders whose mails wait for more than a minute.
pub(super) async fn stuck(
    _: Staff<scope::Ops>,
    _: NoQuery,
    State(app): State<App>,
) -> Result<Json<StuckList>, Problem> {
    let stuck = log::stuck(&mut *app.pool.acquire().await?, Utc::now() - STUCK_AFTER).await?;
    Ok(Json(StuckList { items: stuck.into_iter().map(StuckItem::new).collect() }))
}

impl StuckItem {
    fn new(mail: Stuck) -> Self {
        let (waits_for, reason) = match (mail.waits_for_recipient, mail.error) {
            (true, _) => ("recipient", "the customer's address is not known here yet".to_owned()),
            (false, Some(error)) => ("mail server", format!("after attempt {}: {error}", mail.attempts)),
            (false, None) => {
                ("mail server", "not handed over yet: the mail server is away, or no sender runs".to_owned())
            }
        };
        let reason = format!("{}: {reason}", mail.template);
        Self { order_id: mail.order_id, since: time_text(&mail.since), waits_for, reason }
    }
}
