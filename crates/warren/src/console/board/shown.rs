//! The figures as the page gets them.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::event::Service;
use serde_json::{Map, Value, json};

use super::{EVERY, Figures, Looked, MOMENTS, Range, State, growth};

impl State {
    pub(super) fn value(&self, range: Range, since: i64) -> Value {
        let wrong = self.wrong.iter().map(|(wrong, since)| {
            let mut value = json!(wrong);
            value["since"] = json!(since);
            value
        });
        let services = self.scene.services.iter().map(|(service, looked)| self.service(*service, looked));
        let mut queues = Map::new();
        for (service, queue) in &self.scene.queues {
            let mut value = json!(queue);
            value["waiting_seconds"] = json!(self.scene.waiting.get(service).map(Duration::as_secs));
            value["age_p95"] = json!(self.scene.recent.get(service).and_then(|recent| recent.age));
            queues.insert(service.name().to_owned(), value);
        }
        json!({
            "at": self.at,
            "every_ms": EVERY.as_millis(),
            "wrong": wrong.collect::<Vec<_>>(),
            "services": services.collect::<Vec<_>>(),
            "queues": queues,
            "broker": {"error": self.scene.broker},
            "events": self.events(),
            "history": self.history.value(range, since),
        })
    }

    fn service(&self, service: Service, looked: &Looked) -> Value {
        match looked {
            Looked::Silent(why) => json!({"service": service.name(), "answers": false, "error": why}),
            Looked::Answers(figures) => json!({
                "service": service.name(), "answers": true, "not_ready": figures.not_ready, "orders": figures.orders,
                "stuck": figures.stuck, "projections": figures.projections, "outbox": figures.outbox,
                "oldest": figures.oldest, "breakers": figures.breakers, "drift": figures.drift, "mails": figures.mails,
                "latency_p95": self.scene.recent.get(&service).and_then(|recent| recent.latency),
            }),
        }
    }

    /// What each consumer has made of each event since it started, and how many it handles in a second.
    pub(super) fn events(&self) -> Vec<Value> {
        let mut events = Vec::new();
        for (service, looked) in &self.scene.services {
            let Some(figures) = looked.figures() else { continue };
            let mut by_event: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
            for ((event, outcome), count) in &figures.processed {
                by_event.entry(event).or_default().insert(outcome.clone(), json!(count));
            }
            for (event, outcomes) in by_event {
                let count = |figures: &Figures| -> f64 {
                    figures.processed.iter().filter(|((known, _), _)| known == event).map(|(_, count)| count).sum()
                };
                let rate = self.between(*service, MOMENTS);
                let rate = rate.map(|(now, before, seconds)| growth(count(now), count(before)) / seconds);
                events.push(
                    json!({"event": event, "consumer": service.name(), "outcomes": outcomes, "per_second": rate}),
                );
            }
        }
        events
    }
}
