//! `/v1/reservations`: what is held for an order.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use contracts::values::OrderId;
use messaging::tx::Database;
use serde::Serialize;
use service_kit::http::auth::{Staff, scope};
use service_kit::http::extract::{NoQuery, Path};
use service_kit::http::problem::Problem;

use crate::reservation::{Line, State as ReservationState};
use crate::store;

/// A reservation as callers see it.
#[derive(Debug, Serialize)]
pub(super) struct ReservationView {
    order_id: OrderId,
    state: &'static str,
    lines: Vec<Line>,
    #[serde(serialize_with = "super::time")]
    updated_at: DateTime<Utc>,
}

/// `GET /v1/reservations/{order_id}`: of an order that was rejected there is none.
pub(super) async fn show(
    State(database): State<Database>,
    _caller: Staff<scope::InventoryRead>,
    Path(order_id): Path<OrderId>,
    _: NoQuery,
) -> Result<Json<ReservationView>, Problem> {
    let mut conn = database.pool().acquire().await?;
    let found = store::reservation::find(&mut conn, order_id).await?;
    let found = found.filter(|reservation| reservation.state != ReservationState::Rejected);
    let reservation = found.ok_or_else(|| Problem::not_found("There is no reservation for this order."))?;
    let state = reservation.state.as_str();
    Ok(Json(ReservationView { order_id, state, lines: reservation.lines, updated_at: reservation.updated_at }))
}
