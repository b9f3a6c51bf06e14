//! The live stream of an order: server-sent events.

use std::time::Duration;

use end_to_end::http::Api;
use end_to_end::shop::text;
use end_to_end::system::System;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a stream may let its watcher wait.
const PATIENCE: Duration = Duration::from_secs(30);

/// One event of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    id: String,
    event: String,
    data: Value,
}

/// A watcher: a plain HTTP/1.0 client, so that the body is the stream itself and its end is the end of the connection.
struct Watcher(BufReader<TcpStream>);

impl Watcher {
    async fn open(system: &System, order_id: &str, last_event_id: Option<&str>) -> Self {
        let address = system.order.variables()["HTTP_ADDR"].clone();
        let mut stream = TcpStream::connect(&address).await.expect("order listens");
        let resume = last_event_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let token = system.tokens.staff();
        let request = format!(
            "GET /v1/orders/{order_id}/stream HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{resume}\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut watcher = Self(BufReader::new(stream));
        let mut head = String::new();
        while let Some(line) = watcher.line().await {
            if line.is_empty() {
                break;
            }
            head += &line.to_ascii_lowercase();
        }
        assert!(head.contains(" 200 ") && head.contains("content-type: text/event-stream"), "{head}");
        watcher
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("the stream says something");
        let read = read.unwrap_or(0);
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event; `None` at the end of the stream. Comments, which keep it alive, are passed over.
    async fn next(&mut self) -> Option<Seen> {
        let mut seen = Seen { id: String::new(), event: String::new(), data: Value::Null };
        loop {
            let line = self.line().await?;
            match line.split_once(':').map(|(field, value)| (field, value.trim_start())) {
                Some(("id", value)) => seen.id = value.to_owned(),
                Some(("event", value)) => seen.event = value.to_owned(),
                Some(("data", value)) => seen.data = serde_json::from_str(value).expect("data is JSON"),
                None if !seen.event.is_empty() => return Some(seen),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn a_watcher_sees_history_then_what_happens_then_the_end() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place_paid_by(&customer, &[("tea", 1)], "sandbox:manual").await;
    let id = text(&order, "id");
    system.reaches(id, &["reserved"]).await;

    let mut watcher = Watcher::open(&system, id, None).await;
    for (sequence, event) in [("1", "order.created"), ("2", "order.reserved")] {
        let seen = watcher.next().await.expect("the history");
        assert_eq!((seen.id.as_str(), seen.event.as_str()), (sequence, event));
    }
    system.cancel(id).await;
    let last = watcher.next().await.expect("what happens now");
    assert_eq!(last.event, "order.cancelled");
    let history = system.history(id).await;
    assert!(history.contains(&last.data), "{last:?} is no envelope of {history:?}");
    assert_eq!(watcher.next().await, None, "nothing comes after the cancellation");

    let mut resumed = Watcher::open(&system, id, Some("1")).await;
    let mut rest = Vec::new();
    while let Some(seen) = resumed.next().await {
        rest.push(seen.event);
    }
    assert_eq!(rest, ["order.reserved", "order.cancelled"]);
    unknown(system.order.api()).await;
    system.finish().await;
}

async fn unknown(api: &Api) {
    let path = "/v1/orders/0198c0de-0000-7000-8000-00000000000a/stream";
    api.get(path).await.problem(404, "not-found");
}

#[tokio::test]
async fn a_watcher_resumes_where_it_was_when_the_service_comes_back() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place_paid_by(&customer, &[("tea", 1)], "sandbox:manual").await;
    let id = text(&order, "id");
    system.reaches(id, &["reserved"]).await;
    let mut watcher = Watcher::open(&system, id, None).await;
    let mut last = String::new();
    for _ in 0..2 {
        last = watcher.next().await.expect("the history").id;
    }
    system.order.stop().await;
    assert_eq!(watcher.next().await, None, "the stream ends with the service");
    system.order.start_and_wait().await;

    // it happens while nobody watches
    system.cancel(id).await;
    let mut watcher = Watcher::open(&system, id, Some(&last)).await;
    let seen = watcher.next().await.expect("what it missed, and nothing that it had");
    assert_eq!((seen.id.as_str(), seen.event.as_str()), ("3", "order.cancelled"));
    assert_eq!(watcher.next().await, None);
    system.finish().await;
}

#[tokio::test]
async fn an_open_stream_does_not_hold_up_a_stop() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    let id = text(&order, "id");
    system.settled(id).await;
    let mut watcher = Watcher::open(&system, id, None).await;
    for _ in 0..4 {
        watcher.next().await.expect("the history");
    }
    system.order.stop().await;
    assert_eq!(watcher.next().await, None, "the stream ends with the service");
    system.order.start_and_wait().await;
    system.finish().await;
}
