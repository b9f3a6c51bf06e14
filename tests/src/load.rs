//! Orders under faults: placed by clients that do not give up, so that each is placed once whatever dies meanwhile.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::http::Api;
use crate::shop::text;
use crate::waiting::eventually;

/// How long a client goes on trying: longer than any outage of these tests.
const STUBBORNNESS: Duration = Duration::from_secs(120);

/// How many clients there are.
const CLIENTS: usize = 8;

/// Clients that place orders.
#[derive(Debug, Default)]
pub struct Load {
    placed: Mutex<Vec<String>>,
    progress: watch::Sender<usize>,
}

impl Load {
    /// Places `count` orders, the first at the first of `targets`, the next at the next; each client repeats its request,
    /// with one idempotency key, until it is answered with 201.
    pub async fn run(&self, targets: &[&Api], count: usize, body: impl Fn(usize) -> Value) {
        let orders = (0..count).zip(targets.iter().cycle());
        stream::iter(orders)
            .for_each_concurrent(CLIENTS, |(index, target)| {
                let body = body(index);
                async move {
                    let order_id = place(target, &body).await;
                    self.placed.lock().expect("nobody panics with the lock").push(order_id);
                    self.progress.send_modify(|count| *count += 1);
                }
            })
            .await;
    }

    /// Waits until so many orders are placed.
    ///
    /// # Panics
    /// Never: the sender lives as long as this.
    pub async fn reached(&self, count: usize) {
        self.progress.subscribe().wait_for(|placed| *placed >= count).await.expect("the sender lives");
    }

    /// The ids of the orders that were answered with 201.
    ///
    /// # Panics
    /// When one id was given twice.
    pub fn order_ids(&self) -> Vec<String> {
        let placed = self.placed.lock().expect("nobody panics with the lock").clone();
        let distinct: BTreeSet<&String> = placed.iter().collect();
        assert_eq!(distinct.len(), placed.len(), "two keys gave one order");
        placed
    }
}

/// Places one order, however long it takes.
async fn place(target: &Api, body: &Value) -> String {
    let key = Uuid::new_v4().to_string();
    eventually("an order is taken", STUBBORNNESS, async || {
        let call = target.call(Method::POST, "/v1/orders").header("idempotency-key", &key).json(body);
        let answer = call.try_send().await?;
        match answer.status {
            201 => Ok(text(&answer.json(), "id").to_owned()),
            // Under way elsewhere, or the database is away: again, with the same key.
            409 | 503 => Err(answer.to_string()),
            _ => panic!("{answer}"),
        }
    })
    .await
}
