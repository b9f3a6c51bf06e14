//! What one service tells of itself at one moment, from its `/metrics` and `/readyz`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::exposition::{Histogram, samples};

/// The figures of a service. Counters count since its start.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    /// The checks of `/readyz` that are not `ok`, in its words.
    pub(super) not_ready: BTreeMap<String, String>,
    /// Orders placed.
    pub(super) placed: f64,
    /// Orders that came to their first end, by how long that took.
    pub(super) completion: Histogram,
    /// Orders by status.
    pub(super) orders: BTreeMap<String, f64>,
    /// Orders that wait for too long, and by what they wait for.
    pub(super) stuck: f64,
    pub(super) stuck_for: BTreeMap<String, f64>,
    /// How far each read model is behind.
    pub(super) projections: BTreeMap<String, f64>,
    /// Events that are not published.
    pub(super) outbox: f64,
    /// The age of the oldest of them.
    pub(super) oldest: f64,
    /// The state of each breaker: 0 closed, 1 probing, 2 open.
    pub(super) breakers: BTreeMap<String, f64>,
    /// Messages by event and outcome.
    pub(super) processed: BTreeMap<(String, String), f64>,
    /// From an event's time to its settlement.
    pub(super) age: Histogram,
    /// Messages that failed for good, by why.
    pub(super) dead: BTreeMap<String, f64>,
    /// For how long a statement waits for a lock in its database.
    pub(super) lock_wait: f64,
    /// Things found wrong in its books, by check.
    pub(super) drift: BTreeMap<String, f64>,
    /// Mails by what became of them.
    pub(super) mails: BTreeMap<String, f64>,
    /// Requests by how long they took; those of the console's own looking left out.
    pub(super) requests: Histogram,
    /// Requests that failed with a status from 500 on.
    pub(super) failures: f64,
    /// Messages that wait in each of its queues, as it counts.
    pub(super) queues: BTreeMap<String, f64>,
    /// Who consumes its work queue, as it counts.
    pub(super) consumers: Option<f64>,
}

#[derive(Deserialize)]
struct Readiness {
    checks: BTreeMap<String, String>,
}

/// Routes that are asked by machines all the time, or last as long as somebody watches.
const NOT_COUNTED: [&str; 4] = ["/metrics", "/readyz", "/livez", "/v1/orders/{id}/stream"];

impl Figures {
    /// Reads both answers; nothing where the second is none of a service.
    pub(super) fn read(metrics: &str, readiness: &str) -> Option<Self> {
        let readiness: Readiness = serde_json::from_str(readiness).ok()?;
        let not_ready = readiness.checks.into_iter().filter(|(_, state)| state != "ok").collect();
        let mut figures = Self { not_ready, ..Self::default() };
        for sample in samples(metrics) {
            let label = |name: &str| sample.label(name).unwrap_or_default().to_owned();
            let value = sample.value;
            match sample.name {
                "http_server_request_duration_seconds_bucket" => figures.request(&sample),
                "warren_order_completion_seconds_bucket" => figures.completion.add(&sample),
                "warren_message_age_seconds_bucket" => figures.age.add(&sample),
                "warren_orders" => drop(figures.orders.insert(label("status"), value)),
                "warren_orders_stuck" => figures.stuck = value,
                "warren_orders_stuck_for" => drop(figures.stuck_for.insert(label("waits_for"), value)),
                "warren_dead_letters_published_total" => drop(figures.dead.insert(label("error"), value)),
                "warren_database_lock_wait_seconds" => figures.lock_wait = value,
                "warren_projection_pending" => drop(figures.projections.insert(label("projection"), value)),
                "warren_outbox_pending" => figures.outbox = value,
                "warren_outbox_oldest_seconds" => figures.oldest = value,
                "warren_breaker_state" => drop(figures.breakers.insert(label("name"), value)),
                "warren_messages_processed_total" => {
                    *figures.processed.entry((label("event"), label("outcome"))).or_default() += value;
                }
                "warren_audit_drift" => drop(figures.drift.insert(label("check"), value)),
                "warren_mails_total" => *figures.mails.entry(label("outcome")).or_default() += value,
                "warren_queue_messages" => drop(figures.queues.insert(label("queue"), value)),
                "warren_queue_consumers" => figures.consumers = Some(value),
                _ => {}
            }
        }
        Some(figures)
    }

    fn request(&mut self, sample: &super::exposition::Sample<'_>) {
        let (method, route, status) = (sample.label("method"), sample.label("route"), sample.label("status"));
        let is_all = sample.label("le") == Some("+Inf");
        if is_all && (method, route, status) == (Some("POST"), Some("/v1/orders"), Some("201")) {
            self.placed += sample.value;
        }
        if route.is_some_and(|route| NOT_COUNTED.contains(&route)) {
            return;
        }
        if is_all && status.is_some_and(|status| status.starts_with('5')) {
            self.failures += sample.value;
        }
        self.requests.add(sample);
    }

    /// Messages of an outcome.
    pub(super) fn outcome(&self, outcome: &str) -> f64 {
        self.processed.iter().filter(|((_, known), _)| known == outcome).map(|(_, count)| count).sum()
    }

    /// Messages that were handled, whatever became of them.
    pub(super) fn handled(&self) -> f64 {
        self.processed.values().sum()
    }
}

/// How much a counter grew; all of it when it began anew.
pub(super) fn growth(now: f64, before: f64) -> f64 {
    if now < before { now } else { now - before }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_a_service_exposes() {
        let metrics = "\
            http_server_request_duration_seconds_bucket{method=\"POST\",route=\"/v1/orders\",status=\"201\",le=\"+Inf\"} 7\n\
            http_server_request_duration_seconds_bucket{method=\"GET\",route=\"/readyz\",status=\"503\",le=\"+Inf\"} 9\n\
            http_server_request_duration_seconds_bucket{method=\"GET\",route=\"/v1/orders\",status=\"503\",le=\"+Inf\"} 2\n\
            warren_orders{status=\"pending\"} 3\nwarren_breaker_state{name=\"publish\"} 2\n\
            warren_messages_processed_total{queue=\"order\",event=\"a.b\",outcome=\"done\"} 4\n\
            warren_messages_processed_total{queue=\"order\",event=\"a.b\",outcome=\"retry\"} 1\n\
            warren_queue_consumers{queue=\"order\"} 1\nwarren_audit_drift{check=\"ledger\"} 1\n";
        let ready = r#"{"status": "unready", "checks": {"broker": "connecting", "database": "ok"}}"#;
        let figures = Figures::read(metrics, ready).unwrap();
        assert_eq!((figures.placed, figures.failures, figures.requests.count()), (7.0, 2.0, 9.0));
        assert_eq!((figures.orders["pending"], figures.breakers["publish"], figures.drift["ledger"]), (3.0, 2.0, 1.0));
        assert_eq!((figures.outcome("retry"), figures.handled(), figures.consumers), (1.0, 5.0, Some(1.0)));
        assert_eq!(figures.not_ready, [("broker".to_owned(), "connecting".to_owned())].into());
    }

    #[test]
    fn a_counter_that_began_anew_has_grown_by_all_it_counts() {
        assert_eq!((growth(5.0, 3.0), growth(2.0, 3.0)), (2.0, 2.0));
    }
}
