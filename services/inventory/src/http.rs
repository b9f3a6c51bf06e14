//! What people and other programs ask for: one file per resource.
//!
//! Each handler runs to its end even when its caller goes away ([`service_kit::http::finish`]), so a transaction is never
//! dropped half-way.

mod movements;
mod openapi;
mod ops;
mod products;
mod reservations;
mod stock;

use axum::Router;
use axum::routing::get;
use chrono::{DateTime, Utc};
use contracts::envelope::time_text;
use messaging::context::Context;
use messaging::outbox::Overloaded;
use messaging::tx::{Database, PublishError};
use serde::Serializer;
use service_kit::http::context::RequestContext;
use service_kit::http::page::{Cursor, Limit};
use service_kit::http::problem::Problem;

/// All routes of this service, for [`service_kit::http::finish`].
pub fn routes(database: Database) -> Router {
    Router::new()
        .route("/v1/products", get(products::list))
        .route("/v1/products/{sku}", get(products::show).put(products::put))
        .route("/v1/products/{sku}/stock", get(stock::show).post(stock::adjust))
        .route("/v1/products/{sku}/movements", get(movements::list))
        .route("/v1/reservations/{order_id}", get(reservations::show))
        .route("/v1/ops/trace/{order_id}", get(ops::trace))
        .route("/v1/ops/inbox/{event_id}", get(ops::inbox))
        .route("/v1/ops/events/{event_id}", get(ops::event))
        .route("/v1/ops/stuck", get(ops::stuck))
        .route("/openapi.json", get(openapi::document))
        .with_state(database)
}

/// The query of a list.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Paging {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor>,
}

/// A time as it stands in answers, which is as it stands in events.
fn time<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time_text(time))
}

/// What the events of a request inherit from it.
fn context(request: &RequestContext) -> Context {
    Context::of_request(&request.request_id, &request.traceparent)
}

/// 503 `overloaded` while too many events wait to be published.
fn admit(database: &Database) -> Result<(), Problem> {
    database.outbox().admit().map_err(|Overloaded| Problem::overloaded("Too many events wait to be published."))
}

/// An event that could not be stored, as its caller sees it.
fn unpublished(error: PublishError) -> Problem {
    match error {
        PublishError::Database(error) => error.into(),
        error => {
            tracing::error!(%error, "an event cannot be stored");
            Problem::internal()
        }
    }
}

fn no_such_product() -> Problem {
    Problem::not_found("There is no product of this sku.")
}
