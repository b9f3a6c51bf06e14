//! The timeline: what the services told, in the order of its times, and where the order stands now. Pure.

use chrono::{DateTime, SecondsFormat, Utc};
use contracts::catalogue::find;
use contracts::event::Service;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::output::{self, Paint};
use crate::queues::Queues;
use crate::stuck::{self, Stuck};

/// Something that a service tells of an order.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Told {
    pub(super) at: DateTime<Utc>,
    pub(super) kind: String,
    pub(super) event_id: Option<Uuid>,
    pub(super) detail: String,
}

/// What became of an event at one consumer.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) consumer: Service,
    /// `done`, `failed` or `unknown`.
    pub(super) state: String,
}

/// A line of the timeline.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) service: Service,
    pub(super) told: Told,
    pub(super) deliveries: Vec<Delivery>,
}

impl Item {
    pub(super) fn new(service: Service, told: Told) -> Self {
        Self { service, told, deliveries: Vec::new() }
    }

    /// Who reads it, if it is an event.
    pub(super) fn consumers(&self) -> &'static [Service] {
        match self.told.kind.as_str() {
            "event" => find(&self.told.detail).map_or(&[], |event| event.consumers),
            _ => &[],
        }
    }

    /// `inventory done, email failed`.
    fn reached(&self) -> String {
        let word = |delivery: &Delivery| match delivery.state.as_str() {
            "done" => format!("{} done", delivery.consumer),
            "failed" => format!("dead letter of {}", delivery.consumer),
            _ => format!("not yet in {}", delivery.consumer),
        };
        self.deliveries.iter().map(word).collect::<Vec<_>>().join(", ")
    }

    fn is_open(&self) -> bool {
        self.deliveries.iter().any(|delivery| delivery.state != "done")
    }
}

/// Where the order stands.
#[derive(Debug, Default)]
pub(super) struct Now {
    /// Its status, as far as `order` tells.
    pub(super) status: Option<String>,
    /// What it waits for, for too long.
    pub(super) stuck: Vec<Stuck>,
    /// What waits in the queues.
    pub(super) queues: Queues,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Story {
    order: Uuid,
    items: Vec<Item>,
    now: Now,
}

impl Story {
    pub(super) fn new(order: Uuid, items: Vec<Item>, now: Now) -> Self {
        Self { order, items, now }
    }

    /// Where it stands, in words: each line is one thing that is still open.
    fn standing(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for item in &self.now.stuck {
            lines.push(format!("waits for {}: {}", item.waits_for, stuck::reason(item, &self.now.queues)));
        }
        for item in self.items.iter().filter(|item| item.is_open()) {
            for delivery in item.deliveries.iter().filter(|delivery| delivery.state != "done") {
                let (name, consumer) = (&item.told.detail, delivery.consumer);
                let id = item.told.event_id.unwrap_or_default();
                lines.push(match (delivery.state.as_str(), self.now.queues.get(&consumer)) {
                    ("failed", _) => format!("{name} is a dead letter of {consumer}: warren dlq show {id}"),
                    (_, Some(queue)) => format!("{name} has not taken effect in {consumer} ({})", queue.line(consumer)),
                    (_, None) => format!("{name} has not taken effect in {consumer}"),
                });
            }
        }
        if lines.is_empty() {
            lines.push(match self.now.status.as_deref() {
                Some("pending") => "waits for inventory's answer".to_owned(),
                Some("reserved") => "waits for its payment".to_owned(),
                _ => "nothing is open".to_owned(),
            });
        }
        lines
    }

    /// For people.
    pub(super) fn page(&self, now: DateTime<Utc>, paint: Paint) -> String {
        let mut before: Option<DateTime<Utc>> = None;
        let mut page = String::new();
        let mut line = |at: DateTime<Utc>, service: &str, kind: &str, detail: &str, reached: &str| {
            let since = before.map_or_else(String::new, |before| since(at - before));
            before = Some(at);
            let time = at.to_rfc3339_opts(SecondsFormat::Millis, true);
            let line = format!("{time}  {since:>11}  {service:<9}  {kind:<22}  {detail:<20}  {reached}");
            page += line.trim_end();
            page.push('\n');
        };
        for item in &self.items {
            let reached = match item.is_open() {
                true => paint.yellow(&item.reached()),
                false => paint.dim(&item.reached()),
            };
            line(item.told.at, item.service.name(), &item.told.kind, &item.told.detail, &reached);
        }
        let status = self.now.status.as_deref().unwrap_or("unknown to order");
        let open = self.standing();
        line(now, "now", status, &open[0], "");
        for more in &open[1..] {
            page += &format!("{:75}{more}\n", "");
        }
        page
    }

    /// Whether nobody knows anything of the order.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.now.status.is_none()
    }

    /// For programs.
    pub(crate) fn json(&self, silent: &[(&'static str, String)]) -> Value {
        let item = |item: &Item| {
            let told = &item.told;
            let deliveries = item.deliveries.iter();
            let deliveries =
                deliveries.map(|delivery| json!({"service": delivery.consumer.name(), "state": delivery.state}));
            json!({"at": told.at, "service": item.service.name(), "kind": told.kind, "event_id": told.event_id,
                   "detail": told.detail, "consumers": deliveries.collect::<Vec<_>>()})
        };
        json!({
            "order_id": self.order,
            "status": self.now.status,
            "items": self.items.iter().map(item).collect::<Vec<_>>(),
            "open": if self.standing() == ["nothing is open"] { Vec::new() } else { self.standing() },
            "silent": silent.iter().map(|(who, why)| json!({"service": who, "error": why})).collect::<Vec<_>>(),
        })
    }
}

/// `+0.012s`; clocks of different databases may differ by a little, so it may be negative.
fn since(span: chrono::TimeDelta) -> String {
    let sign = if span < chrono::TimeDelta::zero() { '-' } else { '+' };
    format!("{sign}{}", output::duration(span.abs().to_std().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use contracts::event::Event;
    use contracts::order::OrderCreated;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn item(service: Service, time: &str, kind: &str, detail: &str) -> Item {
        let event_id = (kind == "event").then(Uuid::nil);
        Item::new(service, Told { at: at(time), kind: kind.to_owned(), event_id, detail: detail.to_owned() })
    }

    #[test]
    fn a_page_tells_the_time_between_and_where_it_stands() {
        let mut created = item(Service::Order, "2026-01-02T03:04:05.5Z", "event", OrderCreated::TYPE);
        assert_eq!(created.consumers(), [Service::Inventory]);
        created.deliveries.push(Delivery { consumer: Service::Inventory, state: "unknown".to_owned() });
        let held = item(Service::Inventory, "2026-01-02T03:04:05.512Z", "reservation-held", "2 tea");
        assert!(held.consumers().is_empty());
        let now = Now { status: Some("pending".to_owned()), ..Now::default() };
        let page =
            Story::new(Uuid::nil(), vec![created, held], now).page(at("2026-01-02T03:07:17.512Z"), Paint::on(false));
        let lines: Vec<&str> = page.lines().collect();
        assert!(
            lines[0].starts_with("2026-01-02T03:04:05.500Z ") && lines[0].ends_with("not yet in inventory"),
            "{page}"
        );
        assert!(lines[1].contains("    +0.012s  inventory  reservation-held        2 tea"), "{page}");
        assert!(lines[2].contains("+3m 12s  now        pending"), "{page}");
        assert!(lines[2].ends_with("order.created has not taken effect in inventory"), "{page}");
    }

    #[test]
    fn an_order_of_which_nothing_is_open_is_said_to_be_so() {
        let mut confirmed = item(Service::Order, "2026-01-02T03:04:05Z", "event", OrderCreated::TYPE);
        confirmed.deliveries.push(Delivery { consumer: Service::Inventory, state: "done".to_owned() });
        let story =
            Story::new(Uuid::nil(), vec![confirmed], Now { status: Some("confirmed".to_owned()), ..Now::default() });
        assert_eq!(story.json(&[])["open"], json!([]));
        assert!(story.page(at("2026-01-02T03:04:06Z"), Paint::on(false)).trim_end().ends_with("nothing is open"));
    }
}
