//! `/api/catalogue`: the events, their data, who publishes and who reads them. What is live about them, the overview tells.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::Value;

use crate::catalog;
use crate::console::Shared;
use crate::console::problem::Problem;

/// All events.
pub(in crate::console) async fn show(
    State(console): State<Shared>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    console.sessions.of(&headers)?;
    catalog::as_json().map(Json).map_err(|error| Problem::away(error.to_string()))
}
