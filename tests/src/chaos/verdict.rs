//! The verdict: every promise, against the ledger and against the books of each service.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use reqwest::Method;
use serde_json::Value;
use sqlx::Row as _;

use super::ledger::{Ledger, Told};
use crate::broker::Message;
use crate::service::SERVICES;
use crate::shop::{FINAL, number, text};
use crate::system::System;
use crate::waiting::{check as holds, eventually};

/// How long a system may take to settle once the faults are over: a claim that a crash left is somebody else's after a
/// minute, and may be left again.
const SETTLING: Duration = Duration::from_secs(240);

/// How many events come to each service once more, when all is settled.
const REPEATED: usize = 50;

/// A promise that is broken, and of which order.
#[derive(Debug)]
struct Violation {
    order_id: String,
    what: String,
}

/// Checks everything.
///
/// # Panics
/// When a promise is broken, after the histories of the orders concerned.
pub async fn check(system: &System, ledger: &Ledger) {
    let told = ledger.read();
    let checked = AssertUnwindSafe(async {
        settled(system, &told).await;
        let mut violations = Vec::new();
        let orders = system.order.api().list("/v1/orders").await;
        existing(&orders, &told, &mut violations);
        let books = Books::read(system).await;
        for order in &orders {
            if let Some(told) = told.get(text(order, "id")) {
                one(system, order, told, &books, &mut violations).await;
            }
        }
        if violations.is_empty() {
            system.assert_no_deadlock().await;
            // Stock, mails, dead letters, inboxes.
            system.audit().await;
            recognised(system).await;
        }
        violations
    });
    match checked.catch_unwind().await {
        Ok(violations) if violations.is_empty() => {}
        Ok(violations) => {
            for violation in violations.iter().take(5) {
                show(system, &violation.order_id).await;
            }
            let lines: Vec<String> = violations.iter().map(|one| format!("{}: {}", one.order_id, one.what)).collect();
            panic!("{} promises are broken:\n{}", lines.len(), lines.join("\n"));
        }
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            for order_id in said.split(|c: char| !c.is_ascii_hexdigit() && c != '-').filter(|id| told.contains_key(*id))
            {
                show(system, order_id).await;
            }
            std::panic::resume_unwind(panic);
        }
    }
}

/// Waits until every order is final, and every payment at its end.
async fn settled(system: &System, told: &BTreeMap<String, Told>) {
    eventually("every order is final", SETTLING, async || {
        let orders = system.order.api().list("/v1/orders").await;
        let open: Vec<&Value> = orders.iter().filter(|order| !FINAL.contains(&text(order, "status"))).collect();
        holds(open.is_empty(), || format!("{} of {} are not, such as {}", open.len(), told.len(), open[0]))?;
        let payments = "select order_id::text from payment where state in ('due', 'waiting', 'claimed', 'refund-due', 'refunding')";
        let open = system.database("order").rows(payments).await;
        holds(open.is_empty(), || format!("{} payments are open, such as that of {}", open.len(), open[0].get::<String, _>(0)))
    })
    .await;
}

/// What was handled once is recognised when it comes again. A second effect need not show in the books, since handlers look
/// at the state as well: the services' own counts tell.
async fn recognised(system: &System) {
    for service in SERVICES {
        let events = system.latest_events_to(service, REPEATED).await;
        let before = [system.processed(service, "done").await, system.processed(service, "duplicate").await];
        let messages: Vec<Message> = events.iter().map(Message::event).collect();
        system.broker.put(service, &messages).await;
        eventually("what comes again is handled", SETTLING, async || {
            let now = [system.processed(service, "done").await, system.processed(service, "duplicate").await];
            let came = now.iter().sum::<f64>() - before.iter().sum::<f64>();
            holds(came as usize >= messages.len(), || format!("{came} of {} in {service}", messages.len()))
        })
        .await;
        let done = system.processed(service, "done").await - before[0];
        assert!(done == 0.0, "{service} has handled {done} of {} events a second time", messages.len());
    }
}

/// What was answered with 201 is there, and nothing else is.
fn existing(orders: &[Value], told: &BTreeMap<String, Told>, violations: &mut Vec<Violation>) {
    let there: BTreeSet<&str> = orders.iter().map(|order| text(order, "id")).collect();
    let mut violated = |order_id: &str, what: &str| {
        violations.push(Violation { order_id: order_id.to_owned(), what: what.to_owned() });
    };
    for id in told.keys().filter(|id| !there.contains(id.as_str())) {
        violated(id, "was answered with 201 and does not exist");
    }
    for id in there.into_iter().filter(|id| !told.contains_key(*id)) {
        violated(id, "exists, and nobody was told: one key made two orders");
    }
}

/// One order: as it was told, as its history says, as the provider's books say.
async fn one(system: &System, order: &Value, told: &Told, books: &Books, violations: &mut Vec<Violation>) {
    let id = text(order, "id");
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            violations.push(Violation { order_id: id.to_owned(), what: format!("{what}: {order}") });
        }
    };
    for field in ["customer_id", "lines", "total", "created_at"] {
        expect(order[field] == told.answer[field], "is not what the customer was told");
    }
    let is_confirmed = order["status"] == "confirmed";
    expect(!(told.cancelled && is_confirmed), "its cancellation was answered with 202");

    let again =
        system.order.api().call(Method::POST, "/v1/orders").header("idempotency-key", &told.key).json(&told.body);
    match again.try_send().await {
        Ok(again) => expect(again.status == 201 && again.json() == told.answer, "the same key is told something else"),
        Err(error) => expect(false, &format!("the same key is told nothing ({error})")),
    }

    let history = system.history(id).await;
    let sequences: Vec<&str> = history.iter().map(|event| text(event, "sequence")).collect();
    let whole: Vec<String> = (1..=history.len()).map(|number| number.to_string()).collect();
    expect(sequences == whole, "its history has gaps");
    let replayed = system.order.api().get(&format!("/v1/orders/{id}?version={}", history.len())).await;
    expect(replayed.status == 200 && replayed.json() == *order, "its history adds up to something else");

    let ids = |kind: &str| -> BTreeSet<String> {
        let events = history.iter().filter(|event| event["type"] == kind);
        events.map(|event| text(&event["data"], "payment_id").to_owned()).collect()
    };
    let (paid, refunded) = (ids("payment.completed"), ids("payment.refunded"));
    let kept = paid.difference(&refunded).count();
    expect(kept == usize::from(is_confirmed), "its history keeps the wrong number of payments");
    expect(told.paid.iter().all(|payment| paid.contains(payment)), "a payment that was answered with 204 is not in it");
    let entries = books.of(id);
    let charged = entries.iter().filter(|entry| entry.charged && !entry.refunded).count();
    let by_hand = order["payment"]["method"] == "sandbox:manual";
    expect(
        charged == usize::from(is_confirmed && !by_hand),
        "the provider keeps money of the wrong number of payments",
    );
    expect(
        refunded.iter().all(|id| entries.iter().any(|entry| entry.payment_id == *id && entry.refunded)),
        "the provider knows nothing of a refund",
    );
    let total = number(&order["total"], "amount");
    expect(entries.iter().all(|entry| entry.amount == total), "the provider was asked for another amount");
}

/// The books of the sandbox provider.
struct Books(BTreeMap<String, Vec<Entry>>);

struct Entry {
    payment_id: String,
    amount: i64,
    charged: bool,
    refunded: bool,
}

impl Books {
    async fn read(system: &System) -> Self {
        let mut books = BTreeMap::<String, Vec<Entry>>::new();
        let rows = "select coalesce(p.order_id::text, ''), l.payment_id, l.amount, l.charged_at is not null,
                           l.refunded_at is not null
                    from sandbox_ledger l left join payment p on p.id = l.payment_id";
        for row in system.database("order").rows(rows).await {
            let order_id: String = row.get(0);
            let (payment_id, amount): (String, i64) = (row.get(1), row.get(2));
            assert!(!order_id.is_empty(), "the provider was asked for {payment_id}, which the shop does not know");
            books.entry(order_id).or_default().push(Entry {
                payment_id,
                amount,
                charged: row.get(3),
                refunded: row.get(4),
            });
        }
        Self(books)
    }

    fn of(&self, order_id: &str) -> &[Entry] {
        self.0.get(order_id).map_or(&[], Vec::as_slice)
    }
}

/// All that is known of an order, for whoever has to find out what happened.
async fn show(system: &System, order_id: &str) {
    eprintln!("--- order {order_id}");
    for name in SERVICES {
        let trace = system.service(name).api().get(&format!("/v1/ops/trace/{order_id}")).await;
        let Ok(trace) = serde_json::from_str::<Value>(&trace.body) else { continue };
        for item in trace["items"].as_array().into_iter().flatten() {
            eprintln!("{name:9} {item}");
        }
    }
}
