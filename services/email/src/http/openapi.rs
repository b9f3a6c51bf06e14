//! `/openapi.json`: the description of this interface (OpenAPI 3.1).

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use service_kit::http::extract::NoQuery;

/// Written by hand; a test compares its paths with the routes.
const DOCUMENT: &str = include_str!("openapi.json");

/// `GET /openapi.json`.
pub(super) async fn document(_: NoQuery) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT)
}
