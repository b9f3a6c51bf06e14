//! What one can ask over HTTP: the log of mails, for staff, and what operators need. Customers' own tokens may do nothing
//! here.

mod emails;
mod openapi;
mod ops;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use lettre::Address;
use sqlx::PgPool;

use crate::templates::Templates;

/// What the routes share.
#[derive(Debug, Clone)]
pub struct App {
    /// The database.
    pub pool: PgPool,
    /// How mails look.
    pub templates: Arc<Templates>,
    /// Where the mails to the operators go.
    pub operators: Option<Address>,
}

/// The routes.
pub fn routes(app: App) -> Router {
    Router::new()
        .route("/v1/emails", get(emails::list))
        .route("/v1/emails/{id}/preview", get(emails::preview))
        .route("/v1/ops/trace/{order_id}", get(ops::trace))
        .route("/v1/ops/inbox/{event_id}", get(ops::inbox))
        .route("/v1/ops/stuck", get(ops::stuck))
        .route("/openapi.json", get(openapi::document))
        .with_state(app)
}
