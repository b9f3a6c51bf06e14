//! What people ask for, one file per resource.

pub mod customers;
pub mod openapi;
pub mod ops;
pub mod orders;
pub mod payments;
pub mod query;
pub mod reports;
pub mod stream;
pub mod views;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use messaging::context::Context;
use messaging::outbox::Overloaded;
use messaging::tx::Database;
use service_kit::http::context::RequestContext;
use service_kit::http::problem::Problem;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::desk::Desk;
use crate::live::Live;
use crate::saga::SagaError;
use crate::webhook::Secrets;

/// What the routes share.
#[derive(Debug, Clone)]
pub struct Http {
    /// The database.
    pub database: Database,
    /// Where orders are placed.
    pub desk: Desk,
    /// Wakes the payment worker.
    pub intents: Arc<Notify>,
    /// What live streams watch.
    pub live: Live,
    /// Ends the streams.
    pub shutdown: CancellationToken,
    /// Verifies payment webhooks; without, there is no such route.
    pub webhook_secrets: Option<Secrets>,
    /// How orders may be paid.
    pub payment_methods: &'static [&'static str],
    /// How long an order waits for its payment.
    pub payment_timeout: Duration,
}

impl Http {
    /// Whether new work may begin.
    fn admit(&self) -> Result<(), Problem> {
        let admitted = self.database.outbox().admit();
        admitted.map_err(|Overloaded| Problem::overloaded("Too many events wait to be published."))
    }
}

/// The routes of the service.
pub fn routes(http: Http) -> Router {
    Router::new()
        .route("/v1/customers", post(customers::register))
        .route("/v1/customers/{id}", get(customers::show).patch(customers::change))
        .route("/v1/orders", get(orders::list).post(orders::place))
        .route("/v1/orders/{id}", get(orders::show))
        .route("/v1/orders/{id}/cancel", post(orders::cancel))
        .route("/v1/orders/{id}/events", get(orders::events))
        .route("/v1/orders/{id}/stream", get(stream::stream))
        .route("/v1/reports/daily-sales", get(reports::daily_sales))
        .route("/v1/payments/webhook", post(payments::webhook))
        .route("/v1/ops/trace/{order_id}", get(ops::trace))
        .route("/v1/ops/inbox/{event_id}", get(ops::inbox))
        .route("/v1/ops/events/{event_id}", get(ops::event))
        .route("/v1/ops/stuck", get(ops::stuck))
        .route("/v1/ops/orders/{id}/nudge", post(ops::nudge))
        .route("/openapi.json", get(openapi::document))
        .with_state(http)
}

/// What a request's events inherit.
fn context(request: &RequestContext) -> Context {
    Context::of_request(&request.request_id, &request.traceparent)
}

/// An answer to whoever asked for something that the saga could not do.
fn saga_problem(error: SagaError) -> Problem {
    match error {
        SagaError::Database(error) => error.into(),
        SagaError::Publish(messaging::tx::PublishError::Database(error)) => error.into(),
        SagaError::Publish(error) => {
            tracing::error!(%error, "an event could not be stored");
            Problem::internal()
        }
    }
}
