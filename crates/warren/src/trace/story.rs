//! The timeline: what the services told, in the order of its times, and where the order stands now. Pure.

use chrono::{DateTime, Utc};
use contracts::catalogue::find;
use contracts::event::Service;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

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

    /// `dead letter of inventory, not yet in email`; empty when all have taken it.
    pub(super) fn not_taken(&self) -> String {
        let open = self.deliveries.iter().filter(|delivery| delivery.state != "done");
        let word = |delivery: &Delivery| match delivery.state.as_str() {
            "failed" => format!("dead letter of {}", delivery.consumer),
            _ => format!("not yet in {}", delivery.consumer),
        };
        open.map(word).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn is_open(&self) -> bool {
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
    /// Whether somebody did not answer, so that there may be more.
    pub(super) partial: bool,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Story {
    pub(super) order: Uuid,
    pub(super) items: Vec<Item>,
    pub(super) now: Now,
}

impl Story {
    pub(super) fn new(order: Uuid, items: Vec<Item>, now: Now) -> Self {
        Self { order, items, now }
    }

    /// Where it stands, in words: each line is one thing that is still open.
    pub(super) fn standing(&self) -> Vec<String> {
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
        if let Some(mail) = self.open_mail()
            && !self.now.stuck.iter().any(|item| matches!(item.waits_for.as_str(), "mail server" | "recipient"))
        {
            let (state, mail) = (mail.told.kind.trim_start_matches("mail-"), &mail.told.detail);
            lines.push(format!("waits for the mail server: the mail {mail} is {state}"));
        }
        if lines.is_empty() {
            lines.extend(match self.now.status.as_deref() {
                Some("pending") => Some("waits for inventory's answer".to_owned()),
                Some("reserved") => Some("waits for its payment".to_owned()),
                _ => None,
            });
        }
        lines
    }

    /// A mail that was neither sent nor refused for good, as far as has been told: the last that was told of its event.
    pub(super) fn open_mail(&self) -> Option<&Item> {
        let mails = || self.items.iter().filter(|item| item.service == Service::Email);
        let last = |event| mails().rfind(|item| item.told.event_id == event);
        let open = |item: &&Item| !matches!(item.told.kind.as_str(), "mail-sent" | "mail-failed");
        mails().filter_map(|item| last(item.told.event_id)).find(open)
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
            "open": self.standing(),
            "silent": silent.iter().map(|(who, why)| json!({"service": who, "error": why})).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use contracts::event::Event;
    use contracts::order::OrderCreated;

    use super::*;

    #[test]
    fn a_mail_that_waits_is_open_until_it_is_sent() {
        let mail = |kind: &str| {
            let told = Told {
                at: Utc::now(),
                kind: kind.to_owned(),
                event_id: Some(Uuid::nil()),
                detail: "welcome".to_owned(),
            };
            Item::new(Service::Email, told)
        };
        let story = |items: Vec<Item>| {
            Story::new(Uuid::nil(), items, Now { status: Some("confirmed".to_owned()), ..Now::default() })
        };
        let open = story(vec![mail("mail-queued")]).standing();
        assert_eq!(open, ["waits for the mail server: the mail welcome is queued"]);
        assert!(story(vec![mail("mail-queued"), mail("mail-sent")]).standing().is_empty());
    }

    #[test]
    fn what_is_open_is_told_to_programs() {
        let told =
            Told { at: Utc::now(), kind: "event".to_owned(), event_id: None, detail: OrderCreated::TYPE.to_owned() };
        let mut created = Item::new(Service::Order, told);
        assert_eq!(created.consumers(), [Service::Inventory]);
        created.deliveries.push(Delivery { consumer: Service::Inventory, state: "done".to_owned() });
        let story = |item: &Item, status: &str| {
            Story::new(Uuid::nil(), vec![item.clone()], Now { status: Some(status.to_owned()), ..Now::default() })
        };
        assert_eq!(story(&created, "confirmed").json(&[])["open"], json!([]));
        assert_eq!(story(&created, "reserved").json(&[])["open"], json!(["waits for its payment"]));
        created.deliveries[0].state = "unknown".to_owned();
        assert_eq!(
            story(&created, "pending").json(&[])["open"],
            json!(["order.created has not taken effect in inventory"])
        );
    }
}
