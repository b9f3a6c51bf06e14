//! Whether people are told what is in the tables: `warren trace` and the console's page of an order, compared with the rows
//! of all three databases.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sqlx::Row as _;

use crate::console::{Console, Told as _};
use crate::operator::Operator;
use crate::shop::text;
use crate::system::System;

/// The orders that are looked at, at most.
const MOST: usize = 500;

/// The orders that must be there: the shortest chaos places more.
const FEWEST: usize = 50;

/// How many orders are looked at side by side: each is a process and some twenty requests.
const TOGETHER: usize = 4;

/// What the tables hold of an order: `service kind what`.
type Facts = BTreeSet<String>;

/// Compares both with the tables, for a system at rest.
///
/// # Panics
/// When they differ.
pub async fn check(system: &System) {
    let orders = statuses(system).await;
    assert!(orders.len() >= FEWEST, "{} orders are too few to tell anything", orders.len());
    let facts = facts(system).await;
    let (operator, console) = (Operator::of(system), Console::of(system).await);
    let cookie = console.sign_in(&system.tokens.staff()).await;
    for together in orders.iter().collect::<Vec<_>>().chunks(TOGETHER) {
        let compared = together.iter().map(async |(id, status)| {
            let typed = operator.types(&format!("trace {id} --json")).await.ended(0).json();
            let shown = console.get(&format!("/api/trace/{id}"), Some(&cookie)).send().await.is(200);
            assert_eq!(typed, shown, "warren trace and the console tell different stories of {id}");
            assert_eq!(told(&typed), facts[*id], "the story of {id} and the tables differ: {typed}");
            assert_eq!(text(&typed, "status"), status.as_str(), "{typed}");
            assert_eq!((&typed["open"], &typed["silent"]), (&json!([]), &json!([])), "nothing is open: {typed}");
        });
        futures_util::future::join_all(compared).await;
    }
    eprintln!("chaos: the stories of {} orders are what the tables hold", orders.len());
}

/// Some of the orders, all of them final, and how they ended.
async fn statuses(system: &System) -> BTreeMap<String, String> {
    // by the random half of their ids, so that all kinds are among them
    let sql = format!("select id::text, status from orders order by right(id::text, 12) limit {MOST}");
    system.database("order").rows(&sql).await.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// What the tables hold of each order.
async fn facts(system: &System) -> BTreeMap<String, Facts> {
    const EVENTS: &str = "select subject, 'event ' || type || ' ' || id from event";
    const PAYMENTS: &str = "select order_id::text, 'payment ' || method || ' ' || id || ': ' || state from payment";
    const RESERVATIONS: &str = "select order_id::text, 'reservation-' || state || ' ' from reservation";
    const MAILS: &str =
        "select order_id::text, 'mail-' || status || ' ' || event_id from mail where order_id is not null";
    let mut facts = BTreeMap::<String, Facts>::new();
    for (service, sql) in
        [("order", EVENTS), ("order", PAYMENTS), ("inventory", EVENTS), ("inventory", RESERVATIONS), ("email", MAILS)]
    {
        for row in system.database(service).rows(sql).await {
            let (order, fact): (String, String) = (row.get(0), row.get(1));
            facts.entry(order).or_default().insert(format!("{service} {fact}"));
        }
    }
    facts
}

/// The same as a story tells it. Steps on the way to the last one (held, committed, queued) are in no table any more.
fn told(story: &Value) -> Facts {
    let items = story["items"].as_array().expect("a story has items");
    let mut facts = Facts::new();
    let mut reservation = None;
    for item in items {
        let (service, kind, detail) = (text(item, "service"), text(item, "kind"), text(item, "detail"));
        let event = item["event_id"].as_str().unwrap_or_default();
        match kind {
            "event" => facts.insert(format!("{service} event {detail} {event}")),
            "payment" => facts.insert(format!("{service} payment {}", detail.split(',').next().unwrap_or_default())),
            "mail-queued" => continue,
            mail if mail.starts_with("mail-") => facts.insert(format!("{service} {mail} {event}")),
            step => {
                reservation = Some(format!("{service} {step} "));
                continue;
            }
        };
    }
    facts.extend(reservation);
    facts
}
