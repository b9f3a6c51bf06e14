//! `GET /v1/orders/{id}/stream`: server-sent events.

use std::time::Duration;

use axum::body::Body;
use contracts::event::Event;
use contracts::order::OrderReserved;
use contracts::values::OrderId;
use futures_util::future::join_all;
use http_body_util::BodyExt;
use messaging::context::Context;
use messaging::tx::Head;
use order::live::Live;
use serde_json::Value;
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;

use crate::shop::{Shop, eventually, own_token, send};

/// An event of a stream: `id`, `event`, `data`.
type Said = (i64, String, Value);

struct Watcher {
    body: Body,
    text: String,
}

impl Shop {
    /// One more event of an order, which changes nothing of it.
    async fn happens_again(&self, head: &mut Head, id: OrderId) {
        let context = Context { correlation_id: "test".into(), causation_id: None, traceparent: None };
        let mut tx = self.database.begin(context).await.unwrap();
        tx.publish(head, &OrderReserved { order_id: id }).await.unwrap();
        tx.commit().await.unwrap();
    }
}

impl Watcher {
    async fn open(shop: &Shop, id: OrderId, last_event_id: &str) -> Self {
        let headers = [("last-event-id", last_event_id)];
        let response = send(&shop.router, "GET", &format!("/v1/orders/{id}/stream"), &headers, None).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        Self { body: response.into_body(), text: String::new() }
    }

    /// The next event; `None` at the end. Comments are passed over.
    async fn next(&mut self) -> Option<Said> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                let said = field("id").map(|id| {
                    let data = serde_json::from_str(field("data").unwrap()).unwrap();
                    (id.parse().unwrap(), field("event").unwrap().to_owned(), data)
                });
                self.text = rest.to_owned();
                match said {
                    Some(said) => return Some(said),
                    None => continue,
                }
            }
            let frame = self.body.frame().await?.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&frame).unwrap());
        }
    }

    async fn rest(mut self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Some((_, event, _)) = self.next().await {
            rest.push(event);
        }
        rest
    }
}

#[tokio::test]
async fn history_then_what_happens_then_the_end() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:manual").await;
    let mut watcher = Watcher::open(&shop, id, "").await;
    for (sequence, event) in [(1, "order.created"), (2, "order.reserved")] {
        let said = watcher.next().await.unwrap();
        assert_eq!((said.0, said.1.as_str()), (sequence, event));
    }
    shop.cancel(id).await;
    let (sequence, event, envelope) = watcher.next().await.unwrap();
    assert_eq!((sequence, event.as_str()), (3, "order.cancelled"));
    assert_eq!(shop.get(&format!("/v1/orders/{id}/events")).await["items"][2], envelope);
    assert_eq!(watcher.next().await, None);
}

#[tokio::test]
async fn a_watcher_resumes_where_it_was() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:ok").await;
    shop.payments.step().await.unwrap();
    let mut watcher = Watcher::open(&shop, id, "3").await;
    assert_eq!(watcher.next().await.unwrap().1, "order.confirmed");
    shop.cancel(id).await;
    assert_eq!(watcher.rest().await, ["order.cancelled"]);
    shop.payments.step().await.unwrap();
    assert_eq!(Watcher::open(&shop, id, "4").await.rest().await, ["order.cancelled", "payment.refunded"]);
    assert_eq!(Watcher::open(&shop, id, "5").await.rest().await, ["payment.refunded"], "it is over all the same");
    assert_eq!(Watcher::open(&shop, id, "6").await.rest().await, [""; 0]);
    for bad in ["7", "-1", "x", "1.0"] {
        let (status, problem) =
            shop.call("GET", &format!("/v1/orders/{id}/stream"), &[("last-event-id", bad)], None).await;
        assert_eq!((status.as_u16(), problem["type"].as_str()), (400, Some("/problems/invalid-header")), "{bad}");
    }
}

#[tokio::test]
async fn a_hundred_watchers_of_ten_orders_see_their_own() {
    let mut shop = Shop::open().await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(shop.reserved_order("sandbox:manual").await);
    }
    let mut watchers = Vec::new();
    for id in ids.iter().cycle().take(100) {
        watchers.push((*id, Watcher::open(&shop, *id, "2").await));
    }
    for id in &ids {
        shop.cancel(*id).await;
    }
    for (id, mut watcher) in watchers {
        let (_, event, envelope) = watcher.next().await.unwrap();
        assert_eq!((event.as_str(), &envelope["subject"]), ("order.cancelled", &Value::from(id.to_string())));
        assert_eq!(watcher.next().await, None);
    }
}

/// Transactions of this database that were counted so far.
async fn transactions(shop: &Shop) -> i64 {
    let counted = sqlx::query_scalar("select xact_commit from pg_stat_database where datname = current_database()");
    counted.fetch_one(shop.pool()).await.unwrap()
}

#[tokio::test]
async fn a_thousand_watchers_cost_the_queries_of_one() {
    const WATCHERS: usize = 1000;
    const EVENTS: i64 = 50;
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:manual").await;
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS / 50 {
        watchers.extend(join_all((0..50).map(|_| Watcher::open(&shop, id, "2"))).await);
    }
    let before = transactions(&shop).await;
    let mut head = shop.order(id).await.head();
    for _ in 0..EVENTS {
        shop.happens_again(&mut head, id).await;
    }
    for watcher in &mut watchers {
        for expected in 3..3 + EVENTS {
            assert_eq!(watcher.next().await.unwrap().0, expected);
        }
    }
    let asked = transactions(&shop).await - before;
    let told = i64::try_from(WATCHERS).unwrap() * EVENTS;
    assert!(asked < told / 20, "{asked} transactions for {told} events that were told");
}

#[tokio::test]
async fn who_does_not_read_is_cut_off_and_harms_nobody() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:manual").await;
    let mut quick = Watcher::open(&shop, id, "2").await;
    let slow = Watcher::open(&shop, id, "2").await;
    let mut head = shop.order(id).await.head();
    for expected in 3..103 {
        shop.happens_again(&mut head, id).await;
        assert_eq!(quick.next().await.unwrap().0, expected);
    }
    let seen = slow.rest().await;
    assert_eq!(
        (seen.len(), seen[0].as_str()),
        (64, OrderReserved::TYPE),
        "as many as wait for one watcher, then the end"
    );
}

#[tokio::test]
async fn streams_end_with_the_service_and_none_begins_after() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:manual").await;
    let watcher = Watcher::open(&shop, id, "2").await;
    shop.shutdown.cancel();
    assert_eq!(watcher.rest().await, [""; 0]);
    let path = format!("/v1/orders/{id}/stream");
    // one that begins while the tail ends either ends at once or is refused
    eventually(async || send(&shop.router, "GET", &path, &[], None).await.status().as_u16() == 503).await;
}

#[tokio::test]
async fn without_a_log_nothing_can_be_watched() {
    let options = PgPoolOptions::new().acquire_timeout(Duration::from_millis(100));
    let pool = options.connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap();
    let (live, stop) = (Live::default(), CancellationToken::new());
    let tail = tokio::spawn(live.clone().run(pool, stop.clone()));
    for _ in 0..2 {
        assert!(live.watch("order").await.is_none());
    }
    stop.cancel();
    tail.await.unwrap();
    assert!(live.watch("order").await.is_none());
}

#[tokio::test]
async fn others_orders_cannot_be_watched() {
    let shop = Shop::open().await;
    let (one, other) = (shop.customer("a@example.com").await, shop.customer("b@example.com").await);
    let id = shop.place(&one, "sandbox:manual").await;
    let path = format!("/v1/orders/{id}/stream");
    let watch = async |customer| {
        send(&shop.router, "GET", &path, &[("authorization", &own_token(customer))], None).await.status().as_u16()
    };
    assert_eq!((watch(&one).await, watch(&other).await), (200, 404));
}
