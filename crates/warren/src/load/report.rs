//! The result of a load: numbers and checks, as JSON and for a person.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::arrivals::Rate;
use super::latency::{Latency, Summary, readable};
use super::place::Placed;
use super::settle::{Mail, Seen};
use super::verdict::{Check, checks};
use crate::output::{self, Paint};

/// Everything that a load found out.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether all checks hold.
    pub(super) ok: bool,
    /// The rate that was asked for; none in a closed loop.
    rate: Option<f64>,
    connections: u16,
    orders: Orders,
    throughput: Throughput,
    latency_ms: Latencies,
    /// What made a POST be repeated, and how often.
    repeated: BTreeMap<String, u32>,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
struct Orders {
    accepted: usize,
    refused: BTreeMap<String, u32>,
    unanswered: u32,
    /// How many ended how: `confirmed`, `cancelled: out-of-stock`, …
    found: BTreeMap<String, u32>,
}

/// Orders per second.
#[derive(Debug, Serialize)]
struct Throughput {
    accepted_per_second: f64,
    /// None when nothing became final.
    completed_per_second: Option<f64>,
    /// None when mails were not looked at, or there are none.
    mailed_per_second: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Latencies {
    post: Option<Summary>,
    to_confirmed: Option<Summary>,
    to_mail: Option<Summary>,
}

impl Report {
    /// Adds everything up.
    pub(super) fn new(
        rate: Option<Rate>,
        connections: u16,
        placed: Placed,
        seen: &[Seen],
        mails: Option<&[Mail]>,
        stock: &[String],
    ) -> Self {
        let checks = checks(&placed, seen, mails, stock);
        let mut found = BTreeMap::new();
        let mut to_confirmed = Latency::default();
        for order in seen {
            let state = match &order.cancel_reason {
                Some(reason) => format!("{}: {reason}", order.status),
                None => order.status.clone(),
            };
            *found.entry(state).or_default() += 1;
            if order.status == "confirmed" {
                to_confirmed.record_delta(order.updated_at - order.created_at);
            }
        }
        let first = seen.iter().map(|order| order.created_at).min();
        let mailed = Mailed::of(seen, mails.unwrap_or_default());
        let per_second = |count: usize, last: Option<DateTime<Utc>>| {
            let seconds = (last? - first?).as_seconds_f64();
            (seconds > 0.0).then(|| rounded(count as f64 / seconds))
        };
        let final_ones: Vec<DateTime<Utc>> =
            seen.iter().filter(|order| order.is_final()).map(|order| order.updated_at).collect();
        Self {
            ok: checks.iter().all(|check| check.ok),
            rate: rate.map(Rate::per_second),
            connections,
            throughput: Throughput {
                accepted_per_second: rounded(
                    placed.accepted.len() as f64 / placed.took.as_secs_f64().max(f64::EPSILON),
                ),
                completed_per_second: per_second(final_ones.len(), final_ones.iter().max().copied()),
                mailed_per_second: per_second(mailed.count, mailed.last),
            },
            latency_ms: Latencies {
                post: placed.post.summary(),
                to_confirmed: to_confirmed.summary(),
                to_mail: mailed.latency.summary(),
            },
            orders: Orders {
                accepted: placed.accepted.len(),
                refused: placed.refused,
                unanswered: placed.unanswered,
                found,
            },
            repeated: placed.repeated,
            checks,
        }
    }

    /// The report for a person.
    pub(super) fn page(&self, paint: Paint) -> String {
        let loop_ = match self.rate {
            Some(rate) => format!("{rate} per second at fixed times, at most {} at once", self.connections),
            None => format!("{} at once, each as soon as the one before it was answered", self.connections),
        };
        let list = |counts: &BTreeMap<String, u32>| {
            let counts: Vec<_> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
            counts.join(", ")
        };
        let mut page = format!("orders      {} accepted ({loop_})\n", self.orders.accepted);
        let mut row = |name: &str, value: String| {
            if !value.is_empty() {
                page.push_str(&format!("{name:<12}{value}\n"));
            }
        };
        row("ended as", list(&self.orders.found));
        row("refused", list(&self.orders.refused));
        row("unanswered", if self.orders.unanswered > 0 { self.orders.unanswered.to_string() } else { String::new() });
        row("repeated", list(&self.repeated));
        row("throughput", self.throughput.page());
        let latencies = [
            ("POST", &self.latency_ms.post),
            ("to confirmed", &self.latency_ms.to_confirmed),
            ("to mail", &self.latency_ms.to_mail),
        ];
        let rows = latencies.into_iter().filter_map(|(name, summary)| Some(latency_row(name, summary.as_ref()?)));
        page.push_str(&format!("\n{}\n", output::table(["latency", "p50", "p90", "p99", "max", "count"], rows)));
        for check in &self.checks {
            let mark = if check.ok { paint.green("ok   ") } else { paint.red("WRONG") };
            let detail = check.detail.as_ref().map_or_else(String::new, |detail| format!(": {detail}"));
            page.push_str(&format!("{mark} {}{detail}\n", check.name));
        }
        if self.checks.iter().all(|check| !check.name.contains("mail")) {
            page.push_str(&paint.dim("      mails were not looked at: EMAIL_URL is not set\n"));
        }
        page
    }
}

impl Throughput {
    fn page(&self) -> String {
        let part = |name: &str, value: Option<f64>| value.map(|value| format!("{name} {value:.1}/s"));
        let parts = [
            part("accepted", Some(self.accepted_per_second)),
            part("completed", self.completed_per_second),
            part("mailed", self.mailed_per_second),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

fn latency_row(name: &str, summary: &Summary) -> [String; 6] {
    let Summary { count, p50, p90, p99, max } = *summary;
    [name.to_owned(), readable(p50), readable(p90), readable(p99), readable(max), count.to_string()]
}

/// The mails about orders that were sent.
#[derive(Default)]
struct Mailed {
    count: usize,
    last: Option<DateTime<Utc>>,
    latency: Latency,
}

impl Mailed {
    fn of(seen: &[Seen], mails: &[Mail]) -> Self {
        let created: HashMap<Uuid, DateTime<Utc>> = seen.iter().map(|order| (order.id, order.created_at)).collect();
        let mut mailed = Self::default();
        for mail in mails {
            let Some(sent_at) = mail.sent_at else { continue };
            let Some(created_at) = mail.order_id.and_then(|id| created.get(&id)) else { continue };
            mailed.count += 1;
            mailed.last = mailed.last.max(Some(sent_at));
            mailed.latency.record_delta(sent_at - *created_at);
        }
        mailed
    }
}

/// To a tenth: more digits would pretend a precision that no measurement has.
fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn report() -> Report {
        let mut placed = Placed { took: Duration::from_secs(2), ..Placed::default() };
        let first: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let (mut seen, mut mails) = (Vec::new(), Vec::new());
        for number in 0..4 {
            let id = Uuid::now_v7();
            placed.accepted.push(id);
            placed.post.record(Duration::from_millis(5));
            let cancelled = number == 3;
            let created_at = first + Duration::from_secs(number);
            seen.push(Seen {
                id,
                customer_id: id,
                status: if cancelled { "cancelled" } else { "confirmed" }.to_owned(),
                lines: Vec::new(),
                cancel_reason: cancelled.then(|| "out-of-stock".to_owned()),
                created_at,
                updated_at: created_at + Duration::from_secs(1),
            });
            let template = if cancelled { "order-cancelled" } else { "order-confirmed" }.to_owned();
            let sent_at = Some(created_at + Duration::from_secs(5));
            mails.push(Mail { order_id: Some(id), template, status: "sent".to_owned(), sent_at });
        }
        placed.repeated.insert("overloaded".to_owned(), 7);
        Report::new(None, 32, placed, &seen, Some(&mails), &[])
    }

    #[test]
    fn numbers_add_up() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["ok"], true);
        assert_eq!(json["throughput"]["accepted_per_second"], 2.0);
        assert_eq!(json["throughput"]["completed_per_second"], 1.0);
        assert_eq!(json["throughput"]["mailed_per_second"], 0.5);
        assert_eq!(json["orders"]["found"], serde_json::json!({"confirmed": 3, "cancelled: out-of-stock": 1}));
        assert_eq!(json["latency_ms"]["to_confirmed"]["count"], 3);
        assert_eq!(json["latency_ms"]["to_mail"]["count"], 4);
    }

    #[test]
    fn a_person_reads_it() {
        let page = report().page(Paint::on(false));
        for part in [
            "4 accepted (32 at once",
            "1 cancelled: out-of-stock, 3 confirmed",
            "7 overloaded",
            "accepted 2.0/s",
            "LATENCY",
            "5.00 ms",
            "ok    every order is final",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        assert!(!page.contains("refused") && !page.contains("WRONG"), "{page}");
    }
}
