//! `/v1/products/{sku}/movements`: the ledger of a product.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use contracts::values::Sku;
use messaging::tx::Database;
use serde::Serialize;
use service_kit::http::auth::{Staff, scope};
use service_kit::http::extract::{Path, Query};
use service_kit::http::page::Page;
use service_kit::http::problem::Problem;
use uuid::Uuid;

use super::{Paging, no_such_product};
use crate::store;
use crate::store::movement::Recorded;

/// A movement as callers see it.
#[derive(Debug, Serialize)]
pub(super) struct MovementView {
    id: Uuid,
    #[serde(serialize_with = "super::time")]
    at: DateTime<Utc>,
    kind: String,
    on_hand_delta: i64,
    reserved_delta: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Recorded> for MovementView {
    fn from(recorded: Recorded) -> Self {
        let Recorded { id, at, kind, on_hand_delta, reserved_delta, order_id, reason, .. } = recorded;
        Self { id, at, kind, on_hand_delta, reserved_delta, order_id, reason }
    }
}

/// `GET /v1/products/{sku}/movements`: newest first. All of them add up to the stock.
pub(super) async fn list(
    State(database): State<Database>,
    _caller: Staff<scope::InventoryRead>,
    Path(sku): Path<Sku>,
    Query(Paging { limit, cursor }): Query<Paging>,
) -> Result<Json<Page<MovementView>>, Problem> {
    let list = format!("movements of {sku}");
    let before: i64 = cursor.map(|cursor| cursor.open(&list)).transpose()?.unwrap_or(i64::MAX);
    let mut conn = database.pool().acquire().await?;
    store::product::find(&mut conn, &sku).await?.ok_or_else(no_such_product)?;
    let movements = store::movement::page(&mut conn, &sku, before, limit.probe()).await?;
    Ok(Json(Page::new(movements, limit, &list, |movement| movement.position, MovementView::from)))
}
