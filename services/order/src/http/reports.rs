//! Reports, from read models that follow the log: a moment behind, and cheap.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;
use service_kit::http::auth::{Staff, scope};
use service_kit::http::extract::Query;
use service_kit::http::problem::Problem;

use super::Http;
use super::query::Day;
use crate::store;

/// The longest time that one report covers, in days: ten years.
const MAX_DAYS: i64 = 3653;

/// `GET /v1/reports/daily-sales`: both days are part of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Days {
    from: Day,
    to: Day,
}

/// What was sold on each day, UTC: each order counted on the day it was placed, confirmed, cancelled.
pub async fn daily_sales(
    State(http): State<Http>,
    _: Staff<scope::OrdersRead>,
    Query(days): Query<Days>,
) -> Result<impl IntoResponse, Problem> {
    let (from, to) = (days.from.0, days.to.0);
    let length = (to - from).num_days();
    if !(0..=MAX_DAYS).contains(&length) {
        return Err(Problem::invalid_query(format!("to: must be from 0 to {MAX_DAYS} days after from")));
    }
    let sales = store::sale::between(&mut *http.database.pool().acquire().await?, from, to).await?;
    let item = |sale: store::sale::Sale| {
        json!({
            "date": sale.day, "currency": sale.currency, "created": sale.created, "confirmed": sale.confirmed,
            "cancelled": sale.cancelled, "revenue": {"amount": sale.revenue, "currency": sale.currency},
        })
    };
    Ok(Json(json!({ "items": sales.into_iter().map(item).collect::<Vec<_>>() })))
}
