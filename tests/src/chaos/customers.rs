//! Customers: they order, pay, change their minds, and do not give up before they have an answer.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::ledger::Ledger;
use super::schedule::Dice;
use crate::http::{Answer, Api};
use crate::service::Service;
use crate::shop::{Customer, order_of, text};
use crate::system::System;
use crate::waiting::until;
use crate::webhook::Provider;

/// How many customers order at the same time.
const CUSTOMERS: u64 = 6;

/// The pause of a customer between two orders, and between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a customer tries to get an answer: longer than any fault lasts.
const STUBBORNNESS: Duration = Duration::from_secs(180);

/// How long a customer waits with a payment that comes too late.
const TOO_LATE: Duration = Duration::from_secs(8);

/// What a customer does with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Orders, and waits.
    Plain(&'static str),
    /// Wants what there is too little of.
    Scarce,
    /// Pays by hand: completed or not, after that time.
    ByHand(bool, Duration),
    /// Never pays.
    NeverPays,
    /// Cancels after that time.
    Cancels(Duration),
}

/// All customers.
#[derive(Debug)]
pub struct Crowd<'a> {
    counters: [Api; 2],
    providers: [Provider; 2],
    customer: &'a Customer,
    ledger: &'a Ledger,
    seed: u64,
    next: AtomicU64,
    placed: AtomicUsize,
}

impl<'a> Crowd<'a> {
    /// Customers who go to either copy of `order`.
    pub fn new(system: &System, copy: &Service, customer: &'a Customer, ledger: &'a Ledger, seed: u64) -> Self {
        let provider = |api: &Api| system.provider_at(api);
        Self {
            counters: [system.order.api().clone(), copy.api().clone()],
            providers: [provider(system.order.api()), provider(copy.api())],
            customer,
            ledger,
            seed,
            next: AtomicU64::new(0),
            placed: AtomicUsize::new(0),
        }
    }

    /// How many orders were answered with 201.
    pub fn placed(&self) -> usize {
        self.placed.load(Ordering::Relaxed)
    }

    /// Orders until then; returns when everybody has the answers that they wait for.
    pub async fn order_until(&self, end: Instant) {
        let customers = (0..CUSTOMERS).map(|_| async {
            while Instant::now() < end {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                self.one(Dice::new(self.seed ^ number.wrapping_mul(0x5851_f42d_4c95_7f2d))).await;
                until(Instant::now() + PAUSE).await;
            }
        });
        join_all(customers).await;
    }

    /// One order, from its request to whatever its customer does about it.
    async fn one(&self, mut dice: Dice) {
        let kind = match dice.below(100) {
            0..45 => Kind::Plain("sandbox:ok"),
            45..53 => Kind::Plain("sandbox:declined"),
            53..61 => Kind::Plain("sandbox:flaky"),
            61..70 => Kind::Scarce,
            70..77 => Kind::ByHand(true, dice.time(0, 1500)),
            77..81 => Kind::ByHand(false, dice.time(0, 1500)),
            81..84 => Kind::ByHand(true, TOO_LATE),
            84..86 => Kind::NeverPays,
            86..93 => Kind::Cancels(Duration::ZERO),
            _ => Kind::Cancels(dice.time(50, 3000)),
        };
        let method = match kind {
            Kind::Plain(method) => method,
            Kind::Scarce | Kind::Cancels(_) => "sandbox:ok",
            Kind::ByHand(..) | Kind::NeverPays => "sandbox:manual",
        };
        let lines: &[(&str, i64)] = match (kind, dice.below(3)) {
            (Kind::Scarce, _) => &[("scarce", 2), ("tea", 1)],
            (_, 0) => &[("cup", 2), ("tea", 3)],
            (_, 1) => &[("tea", 1), ("cup", 1)],
            _ => &[("tea", 2)],
        };
        let body = order_of(&self.customer.id, lines, method);
        let key = Uuid::new_v4().to_string();
        let order = self.place(&key, &body).await;
        self.ledger.placed(&key, &body, &order);
        self.placed.fetch_add(1, Ordering::Relaxed);
        let id = text(&order, "id");
        match kind {
            Kind::ByHand(completed, after) => {
                until(Instant::now() + after).await;
                self.pay(id, completed).await;
            }
            Kind::Cancels(after) => {
                until(Instant::now() + after).await;
                self.cancel(id).await;
            }
            _ => {}
        }
        if dice.below(10) == 0 {
            self.repeat(&key, &body, &order).await;
        }
    }

    async fn place(&self, key: &str, body: &Value) -> Value {
        let answer = self
            .insist("POST /v1/orders", async |counter| {
                let call = self.counters[counter].call(Method::POST, "/v1/orders");
                call.header("idempotency-key", key).json(body).try_send().await
            })
            .await;
        answer.expect(201)
    }

    /// Asks once more with the same key, and is told the same, or that it cannot be told now.
    async fn repeat(&self, key: &str, body: &Value, first: &Value) {
        let call = self.counters[1].call(Method::POST, "/v1/orders").header("idempotency-key", key).json(body);
        if let Ok(again) = call.try_send().await
            && again.status == 201
        {
            assert_eq!(again.json(), *first, "one key, two answers");
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{again}");
        }
    }

    async fn cancel(&self, id: &str) {
        let path = format!("/v1/orders/{id}/cancel");
        let answer = self
            .insist(&path, async |counter| {
                self.counters[counter].call(Method::POST, &path).json(&json!({"reason": "chaos"})).try_send().await
            })
            .await;
        match answer.status {
            202 => self.ledger.cancelled(id),
            // Over already: by itself, or by an earlier try whose answer was lost.
            _ => drop(answer.problem(409, "order-already-cancelled")),
        }
    }

    /// The provider reports a payment, again and again until it is heard.
    async fn pay(&self, id: &str, completed: bool) {
        let payment_id = format!("pay-{id}");
        let kind = if completed { "payment.completed" } else { "payment.failed" };
        let body = json!({"type": kind, "order_id": id, "payment_id": payment_id});
        let webhook_id = format!("msg_{}", Uuid::new_v4().simple());
        let answer =
            self.insist("webhook", async |counter| self.providers[counter].try_call(&webhook_id, &body).await).await;
        assert_eq!(answer.status, 204, "{answer}");
        if completed {
            self.ledger.paid(id, &payment_id);
        }
    }

    /// Asks, at one counter after the other, until there is an answer that says something.
    async fn insist(&self, what: &str, ask: impl AsyncFn(usize) -> Result<Answer, String>) -> Answer {
        let end = Instant::now() + STUBBORNNESS;
        let mut last = String::new();
        let mut counter = usize::from(self.next.load(Ordering::Relaxed).is_multiple_of(2));
        while Instant::now() < end {
            match ask(counter).await {
                Ok(answer) if answer.status == 503 || is_in_use(&answer) => last = answer.to_string(),
                Ok(answer) => return answer,
                Err(error) => last = error,
            }
            counter = 1 - counter;
            until(Instant::now() + PAUSE).await;
        }
        panic!("{what}: no answer in {} s; the last: {last}", STUBBORNNESS.as_secs());
    }
}

/// The first request with this key is still under way elsewhere.
fn is_in_use(answer: &Answer) -> bool {
    answer.status == 409 && answer.body.contains("idempotency-key-in-use")
}
