//! The routes, and the loop that accepts connections.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router, middleware};
use http_body_util::LengthLimitError;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::problem::Problem;
use super::{Shared, api, assets, forward, guard};

/// How long a caller may take for the head of a request, and how long a connection may idle between two.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a caller may take for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Open connections: a browser has a handful.
const MAX_CONNECTIONS: usize = 256;

/// The largest body: an event of 256 KiB as a text within JSON.
const MAX_BODY: usize = 1024 * 1024;

/// The pause when a connection cannot be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long answers under way may take when it is stopped.
const DRAIN: Duration = Duration::from_secs(2);

/// All routes.
pub(super) fn routes(console: Shared) -> Router {
    let dead_letters = Router::new()
        .route("/groups", get(api::dead_letters::groups))
        .route("/groups/{group}", get(api::dead_letters::group))
        .route("/letters/{id}", get(api::dead_letters::letter))
        .route("/replay", post(api::dead_letters::replay))
        .route("/edit", post(api::dead_letters::edit))
        .route("/discard", post(api::dead_letters::discard))
        .route("/runs", get(api::dead_letters::runs))
        .route("/runs/{run}/stop", post(api::dead_letters::stop))
        .route("/log", get(api::dead_letters::log))
        .layer(middleware::from_fn(to_its_end));
    let own = Router::new()
        .route("/session", get(api::session::show).post(api::session::sign_in).delete(api::session::sign_out))
        .route("/overview", get(api::overview::show))
        .route("/trace/{order}", get(api::orders::trace))
        .route("/stuck", get(api::orders::stuck))
        .nest("/dead-letters", dead_letters)
        .route("/catalogue", get(api::catalogue::show))
        .route("/runbooks/{name}", get(assets::runbook))
        .route("/payments/{order}", post(api::payments::tell))
        .route("/s/{service}/{*path}", any(forward::run))
        .fallback(async || Problem::not_found("There is no such route."));
    Router::new()
        .nest("/api", own)
        .route("/livez", get(async || Json(json!({"status": "ok"}))))
        .route("/readyz", get(async || Json(json!({"status": "ok", "checks": {}}))))
        .route("/web/{*file}", get(assets::file))
        .fallback(get(assets::page))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(whole_body))
        .layer(middleware::from_fn_with_state(guard::state(&console), guard::run))
        .with_state(console)
}

/// Serves until `stopped`. axum's own loop has no limit to how slowly a caller may speak.
pub(super) async fn serve(listener: TcpListener, console: Shared, stopped: impl Future<Output = ()>) {
    let service = TowerToHyperService::new(routes(console));
    let (graceful, slots) = (GracefulShutdown::new(), Arc::new(Semaphore::new(MAX_CONNECTIONS)));
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(64 * 1024);
    let mut stopped = std::pin::pin!(stopped);
    loop {
        let accepted = tokio::select! {
            () = &mut stopped => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Ok((stream, slot)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // a connection without it is slower, and works
        let _ = stream.set_nodelay(true);
        let connection = graceful.watch(protocol.serve_connection(TokioIo::new(stream), service.clone()));
        tokio::spawn(async move {
            // how it ended is the caller's doing
            let _ = connection.await;
            drop(slot);
        });
    }
    // live streams end with their connections
    let _ = timeout(DRAIN, graceful.shutdown()).await;
}

/// The next connection, once there is a slot for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> anyhow::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

/// Answers in a task of its own, which is not dropped with its caller: who has the dead letters in hand gives them back before
/// the next one can have them.
async fn to_its_end(request: Request, next: Next) -> Response {
    let answered = tokio::spawn(next.run(request)).await;
    // the panic hook has said where
    answered.unwrap_or_else(|_| Problem::away("It could not be answered.").into_response())
}

/// Reads the body before anything else is done with the request, so that no caller can hold a connection by not sending it.
async fn whole_body(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match read(body, BODY_TIMEOUT).await {
        Ok(body) => next.run(Request::from_parts(head, Body::from(body))).await,
        Err(problem) => problem.into_response(),
    }
}

async fn read(body: Body, within: Duration) -> Result<Bytes, Problem> {
    match timeout(within, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if error.source().is_some_and(|cause| cause.is::<LengthLimitError>()) => {
            let detail = format!("The body is longer than {MAX_BODY} bytes.");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Too large", detail))
        }
        Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "bad-body", "No body", "The body broke off.")),
        Err(_) => {
            let detail = "The body did not come in time.";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", "Too slow", detail))
        }
    }
}

#[cfg(test)]
mod tests;
