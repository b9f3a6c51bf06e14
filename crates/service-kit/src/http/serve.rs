//! The accept loop.
//!
//! `axum::serve` sets no timer, so hyper's limits on slow callers never fire with it, and its graceful stop waits
//! for ever for a caller that neither finishes nor leaves. This loop is as long as it needs to be to have both.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::nameless::Nameless;
use super::stall::StallLimit;

/// How long a caller may take for a request's head, and how long a connection may idle between requests. Without it,
/// a few thousand callers that send one byte a minute hold everything. A proxy in front should drop idle connections sooner.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Open connections; more wait in the kernel's queue. With [`MAX_BUFFER_BYTES`] this bounds what they can cost, at 128 MiB.
const MAX_CONNECTIONS: usize = 2_000;
/// What is buffered of one connection.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
/// The longest head of a request, else 431: a token of a few KiB is the longest header there is a use for.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// How long to wait when a connection cannot be accepted: the cause (no file descriptors, mostly) passes only as others end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until `shutdown`.
///
/// Then nothing more is accepted, idle connections are closed, and requests under way are answered; after `drain` what is
/// still open is cut. Streams that should end earlier watch the same token.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken, drain: Duration) {
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let service = TowerToHyperService::new(router);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
            // Ended ones are forgotten as they end; their errors are their callers' doing.
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, slot)) => {
                let stream = TokioIo::new(Nameless::new(StallLimit::new(stream)));
                let connection = protocol().serve_connection(stream, service.clone());
                let connection = graceful.watch(connection);
                connections.spawn(async move {
                    let ended = connection.await;
                    drop(slot);
                    ended
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections were cut at the end of the drain time");
    }
    connections.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    // Answers are small and whole: waiting to fill a packet would only delay them.
    stream.set_nodelay(true)?;
    Ok((stream, slot))
}

fn protocol() -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES);
    protocol
}

#[cfg(test)]
mod tests;
