//! An order's history and what comes, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use contracts::event::{Event as _, Service};
use contracts::order::OrderCancelled;
use contracts::values::OrderId;
use futures_util::stream;
use messaging::event_log::{self, LoggedEvent};
use service_kit::http::auth::{Authorized, scope};
use service_kit::http::extract::{NoQuery, Path, whole_number};
use service_kit::http::problem::Problem;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Http;
use super::orders::visible;
use crate::store;

/// How often a quiet stream says that it is alive: more often than proxies cut idle connections.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What a stream has still to say.
struct Rest {
    history: std::vec::IntoIter<LoggedEvent>,
    live: mpsc::Receiver<Arc<LoggedEvent>>,
    /// The last sequence that was said.
    last: i64,
    over: bool,
    service: Service,
    shutdown: CancellationToken,
}

/// Streams an order: `id` the sequence, `event` the type, `data` the envelope. It ends with the order's cancellation, when
/// the service stops, and for a watcher that cannot keep up.
pub async fn stream(
    State(http): State<Http>,
    caller: Authorized<scope::OrdersRead>,
    Path(id): Path<OrderId>,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = match headers.get("last-event-id") {
        None => 0,
        Some(value) => value.to_str().ok().and_then(whole_number::<i64>).ok_or_else(not_an_id)?,
    };
    let order = store::order::find(&mut *http.database.pool().acquire().await?, id).await?;
    let order = visible(&caller, order)?;
    if last > order.version {
        return Err(not_an_id());
    }
    let live = http.live.watch(&id.to_string()).await;
    let live = live.ok_or_else(|| Problem::unavailable("Nothing can be streamed right now."))?;
    let mut conn = http.database.pool().acquire().await?;
    let history = event_log::history_after(&mut conn, &id.to_string(), last).await?;
    drop(conn);
    // What comes after a cancellation, a refund, is history by the time that anybody asks again.
    let cancelled = |event: &LoggedEvent| event.event_type == OrderCancelled::TYPE;
    let over = order.cancel_reason.is_some() || history.iter().any(cancelled);
    // A watcher that stays for hours holds on to nothing else of the service.
    let (service, shutdown) = (http.database.service(), http.shutdown);
    let rest = Rest { history: history.into_iter(), live, last, over, service, shutdown };
    let events = stream::unfold(rest, |mut rest| async move {
        let event = rest.next().await?;
        Some((Ok::<_, Infallible>(event), rest))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("alive")).into_response())
}

fn not_an_id() -> Problem {
    Problem::invalid_header("Last-Event-ID must be the id of an event of this stream.")
}

impl Rest {
    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.history.next() {
            self.last = event.sequence;
            return said(&event, self.service);
        }
        if self.over {
            return None;
        }
        loop {
            let event = self.shutdown.run_until_cancelled(self.live.recv()).await??;
            if event.sequence > self.last {
                self.last = event.sequence;
                self.over = event.event_type == OrderCancelled::TYPE;
                return said(&event, self.service);
            }
        }
    }
}

fn said(event: &LoggedEvent, service: Service) -> Option<Event> {
    let envelope = event.envelope(service).and_then(|envelope| serde_json::to_string(&envelope)).ok()?;
    Some(Event::default().id(event.sequence.to_string()).event(&event.event_type).data(envelope))
}
