//! What must hold at the end of any test, whatever it did: the promises, checked from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::service::SERVICES;
use crate::shop::{FINAL, number, text};
use crate::system::System;
use crate::waiting::{check, eventually};

/// How long a system may take to settle once the faults are over.
const SETTLING: Duration = Duration::from_secs(120);

/// How many orders are replayed from their history.
const REPLAYED: usize = 20;

/// Who publishes what to whom.
pub(crate) const ROUTES: [(&str, &str, &[&str]); 4] = [
    ("order", "email", &["customer.registered", "customer.changed", "order.confirmed", "order.cancelled"]),
    ("order", "inventory", &["order.created", "order.confirmed", "order.cancelled"]),
    ("inventory", "order", &["product.changed", "inventory.reserved", "inventory.rejected"]),
    ("inventory", "email", &["inventory.low"]),
];

impl System {
    pub(crate) async fn audit(&self) {
        for name in SERVICES {
            self.service(name).ready().await;
        }
        let orders = self.everything_has_taken_effect().await;
        self.audit_stock(&orders).await;
        self.audit_mails(&orders).await;
        for order in orders.iter().take(REPLAYED) {
            self.audit_history(order).await;
        }
        for name in SERVICES {
            let dead = self.take_dead(name).await;
            assert!(dead.is_empty(), "dead letters of {name} that nobody expected: {dead:#?}");
        }
        for (name, metrics) in self.all_metrics().await {
            self.assert_impersonal(&format!("the metrics of {name}"), &metrics);
        }
    }

    /// What each process that runs tells Prometheus.
    async fn all_metrics(&self) -> Vec<(&'static str, String)> {
        let mut processes = Vec::new();
        self.processes(|service| processes.push((service.name, service.api().clone())));
        let mut told = Vec::new();
        for (name, api) in processes {
            // A copy that the test has stopped tells nothing.
            if let Ok(metrics) = api.call(Method::GET, "/metrics").try_send().await {
                told.push((name, metrics.body));
            }
        }
        told
    }

    /// Waits until every event has reached every consumer and every order is final, and returns the orders.
    async fn everything_has_taken_effect(&self) -> Vec<Value> {
        eventually("everything has taken effect", SETTLING, async || {
            let orders = self.order.api().list("/v1/orders").await;
            let open: Vec<&Value> = orders.iter().filter(|order| !FINAL.contains(&text(order, "status"))).collect();
            check(open.is_empty(), || format!("{} orders are not final, such as {}", open.len(), open[0]))?;
            for (publisher, consumer, types) in ROUTES {
                let missing = self.missing_effects(publisher, consumer, types).await;
                check(missing == 0, || format!("{missing} events of {publisher} have had no effect in {consumer}"))?;
            }
            Ok::<_, String>(orders)
        })
        .await
    }

    /// The ledger adds up to the stock, nothing is held, and what is gone is what was confirmed.
    async fn audit_stock(&self, orders: &[Value]) {
        let mut sold = BTreeMap::<String, i64>::new();
        for order in orders.iter().filter(|order| order["status"] == "confirmed") {
            for line in order["lines"].as_array().expect("an order has lines") {
                *sold.entry(text(line, "sku").to_owned()).or_default() += number(line, "quantity");
            }
        }
        for product in self.inventory.api().list("/v1/products").await {
            let sku = text(&product, "sku");
            let stock = &product["stock"];
            let (on_hand, reserved) = (number(stock, "on_hand"), number(stock, "reserved"));
            assert!(on_hand >= reserved && reserved >= 0, "oversold: {product}");
            assert_eq!(number(stock, "available"), on_hand - reserved, "{product}");
            let movements = self.inventory.api().list(&format!("/v1/products/{sku}/movements")).await;
            let sum = |field| movements.iter().map(|movement| number(movement, field)).sum::<i64>();
            assert_eq!(
                (sum("on_hand_delta"), sum("reserved_delta")),
                (on_hand, reserved),
                "ledger and stock of {sku} differ"
            );
            assert_eq!(reserved, 0, "every order is final, and {sku} is held: {product}");
            let adjusted: i64 = movements
                .iter()
                .filter(|movement| movement["kind"] == "adjusted")
                .map(|movement| number(movement, "on_hand_delta"))
                .sum();
            let gone = sold.get(sku).copied().unwrap_or(0);
            assert_eq!(on_hand, adjusted - gone, "{sku}: {adjusted} came, {gone} were sold");
        }
    }

    /// One mail for each end of an order and each new customer, and each was handed over once.
    async fn audit_mails(&self, orders: &[Value]) {
        let told = eventually("no mail is on its way", SETTLING, async || {
            let mails = self.email.api().list("/v1/emails").await;
            let open = mails.iter().find(|mail| !["sent", "failed"].contains(&text(mail, "status")));
            check(open.is_none(), || format!("{open:?}")).map(|()| mails)
        })
        .await;
        let mut by_order = BTreeMap::<&str, Vec<&str>>::new();
        for mail in told.iter().filter(|mail| mail["order_id"].is_string()) {
            by_order.entry(text(mail, "order_id")).or_default().push(text(mail, "template"));
        }
        for order in orders {
            let id = text(order, "id");
            let mut expected = vec![if order["status"] == "confirmed" { "order-confirmed" } else { "order-cancelled" }];
            if order["cancel_reason"] == "requested" && self.was_confirmed(id).await {
                expected.push("order-confirmed");
            }
            let mut mails = by_order.remove(id).unwrap_or_default();
            mails.sort_unstable();
            assert_eq!(mails, expected, "the mails about order {id}");
        }
        assert!(by_order.is_empty(), "mails about orders that do not exist: {by_order:?}");
        let welcomes = told.iter().filter(|mail| mail["template"] == "welcome").count();
        let customers =
            self.database("order").rows("select 1 from event where type = 'customer.registered'").await.len();
        assert_eq!(welcomes, customers, "welcome mails and customers");
        self.audit_copies(&told);
    }

    async fn was_confirmed(&self, order_id: &str) -> bool {
        self.history(order_id).await.iter().any(|event| event["type"] == "order.confirmed")
    }

    /// What was handed over is what `email` tells of, each once but where the test has given occasion for more; and each
    /// time shows as an attempt.
    fn audit_copies(&self, told: &[Value]) {
        let mut copies = self.mailbox.copies();
        let allowed = 1 + self.repeated_mails();
        for mail in told {
            let message_id = text(mail, "message_id").trim_matches(['<', '>']);
            let handed_over = copies.remove(message_id).unwrap_or(0);
            if mail["status"] == "sent" {
                assert!(handed_over >= 1, "never handed over: {mail}");
            }
            assert!(handed_over <= allowed, "handed over {handed_over} times, at most {allowed} were due: {mail}");
            let attempts = number(mail, "attempts");
            assert!(
                i64::try_from(handed_over).is_ok_and(|times| times <= attempts),
                "{handed_over} times in {attempts} attempts: {mail}"
            );
        }
        assert!(copies.is_empty(), "handed over, and email does not know of them: {copies:?}");
    }

    /// The state of an order is what its history says.
    async fn audit_history(&self, order: &Value) {
        let id = text(order, "id");
        let history = self.history(id).await;
        let sequences: Vec<String> = history.iter().map(|event| text(event, "sequence").to_owned()).collect();
        let expected: Vec<String> = (1..=history.len()).map(|number| number.to_string()).collect();
        assert_eq!(sequences, expected, "the history of {id} has gaps");
        let now = self.show(id).await;
        assert_eq!(usize::try_from(number(&now, "version")).ok(), Some(history.len()), "{now}");
        let path = format!("/v1/orders/{id}?version={}", history.len());
        let replayed = self.order.api().get(&path).await.expect(200);
        assert_eq!(replayed, now, "the replayed history of {id} is another order");
    }

    /// Nobody has met anybody in a deadlock: whoever locks does so in the one order. A deadlock harms nothing, since it is
    /// repeated and charges nobody, so nothing else would show it.
    ///
    /// # Panics
    /// When somebody has.
    pub async fn assert_no_deadlock(&self) {
        for name in SERVICES {
            let deadlocks = self.database(name).deadlocks().await;
            assert_eq!(deadlocks, 0, "deadlocks in the database of {name}: locks are not taken in one order");
        }
    }

    /// Nothing personal, no panic, and JSON on every line.
    pub(crate) fn audit_logs(&self) {
        self.processes(|service| {
            let (name, log) = (service.name, service.log());
            self.assert_impersonal(&format!("the log of {name}"), &log);
            for line in log.lines() {
                assert!(!line.contains("panicked"), "{name} panicked: {line}");
                assert!(
                    serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()),
                    "{name} logged: {line}"
                );
            }
        });
    }
}
