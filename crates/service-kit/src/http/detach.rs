//! Runs each handler in a task of its own.
//!
//! hyper drops a request's future when its caller goes away. In the middle of a database transaction that is
//! at best wasted work, and at worst (sqlx 0.9.0, during `begin`) a pooled connection with a transaction left open. A task
//! is not dropped with its caller: it runs to its end, and its panic is a value here rather than the end of the connection.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tracing::Instrument;

use super::problem::Problem;

/// Requests under way in this process, those that wait for a database connection included. A connection serves hundreds per
/// second, so more than this would wait longer than callers do; and since handlers outlive their callers, connections alone bound nothing.
pub(super) const MAX_UNDER_WAY: usize = 1_000;

/// How long a handler may take until its answer begins. A database ends statements much earlier; this is for one whose
/// connection is gone without a word.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);

pub(super) async fn run(State(under_way): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(permit) = under_way.try_acquire_owned() else {
        return Problem::overloaded("Too many requests are under way.").into_response();
    };
    let handler = async move {
        let response = tokio::time::timeout(ANSWER_LIMIT, next.run(request)).await;
        drop(permit);
        response.unwrap_or_else(|_| Problem::unavailable("There was no answer in time.").into_response())
    };
    match tokio::spawn(handler.in_current_span()).await {
        Ok(response) => response,
        // The panic hook has logged it.
        Err(_) => Problem::internal().into_response(),
    }
}
