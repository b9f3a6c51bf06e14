//! `/api/overview`: the figures, their history, and what is wrong now.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use crate::console::Shared;
use crate::console::history::Range;
use crate::console::problem::Problem;

/// Which part of the history; what came after `since`, in milliseconds.
#[derive(Deserialize)]
pub(in crate::console) struct Which {
    #[serde(default)]
    since: i64,
    #[serde(default)]
    range: Range,
}

/// The figures. They hold nothing that `/metrics` and `/readyz` of the services do not tell anybody without a token.
pub(in crate::console) async fn show(
    State(console): State<Shared>,
    Query(Which { since, range }): Query<Which>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    console.viewer(&headers)?;
    Ok(Json(console.board.value(range, since)))
}
