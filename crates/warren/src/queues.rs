//! What waits in the queues of the services, as far as AMQP tells: messages that wait to be delivered, and consumers.

use std::collections::BTreeMap;

use contracts::event::Service;
use messaging::inspect::{self, QueueCounts};
use messaging::schedule::RetrySchedule;
use messaging::settings::AmqpUrls;
use messaging::topology::{Topology, dead_queue};
use serde::Serialize;

use crate::failure::Usage;
use crate::settings;

/// What the broker's list of connections shows of us.
const CONNECTION_NAME: &str = "warren";

/// The figures of one service's queues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Waiting {
    /// Messages in its work queue; `None` where there is no such queue.
    pub(crate) queued: Option<u32>,
    /// Who takes them.
    pub(crate) consumers: u32,
    /// Messages on the retry ladder.
    pub(crate) retrying: u32,
    /// Dead letters.
    pub(crate) dead: u32,
}

/// The figures of all services.
pub(crate) type Queues = BTreeMap<Service, Waiting>;

/// Asks the broker.
///
/// # Errors
/// [`Usage`] for a wrong `RETRY_DELAYS`; else when the broker cannot be asked.
pub(crate) async fn ask(urls: &AmqpUrls) -> anyhow::Result<Queues> {
    let schedule = match settings::variable("RETRY_DELAYS", None)? {
        None => RetrySchedule::default(),
        Some(text) => text.parse().map_err(|why| Usage(format!("RETRY_DELAYS: {why}")))?,
    };
    let found = inspect::presence(urls, CONNECTION_NAME, &Topology::new(&schedule)).await?;
    Ok(of_all(&found.queues))
}

/// The figures of all services, from those of the queues.
pub(crate) fn of_all(queues: &[QueueCounts]) -> Queues {
    Service::ALL.into_iter().map(|service| (service, of(service, queues))).collect()
}

fn of(service: Service, queues: &[QueueCounts]) -> Waiting {
    let named = |name: &str| queues.iter().find(|queue| queue.name == name);
    let ladder = format!("{}.retry.", service.name());
    Waiting {
        queued: named(service.name()).map(|queue| queue.messages),
        consumers: named(service.name()).map_or(0, |queue| queue.consumers),
        retrying: queues.iter().filter(|queue| queue.name.starts_with(&ladder)).map(|queue| queue.messages).sum(),
        dead: named(&dead_queue(service)).map_or(0, |queue| queue.messages),
    }
}

impl Waiting {
    /// How many messages may still take effect by themselves.
    pub(crate) fn under_way(&self) -> u64 {
        u64::from(self.queued.unwrap_or(0)) + u64::from(self.retrying)
    }

    /// Whether nobody is there to take what is queued.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.queued.is_none() || (self.consumers == 0 && self.under_way() > 0)
    }

    /// `inventory: 412 queued, 0 consumers`.
    pub(crate) fn line(&self, service: Service) -> String {
        let Some(queued) = self.queued else { return format!("{service}: no queue") };
        let mut line = format!("{service}: {queued} queued, {} consumers", self.consumers);
        if self.retrying > 0 {
            line += &format!(", {} retrying", self.retrying);
        }
        if self.dead > 0 {
            line += &format!(", {} dead letters", self.dead);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str, messages: u32, consumers: u32) -> QueueCounts {
        QueueCounts { name: name.to_owned(), messages, consumers }
    }

    #[test]
    fn a_line_says_what_waits_and_who_takes_it() {
        let queues = [queue("inventory", 412, 0), queue("inventory.retry.1s", 2, 0), queue("order", 0, 2)];
        let inventory = of(Service::Inventory, &queues);
        assert_eq!(inventory.line(Service::Inventory), "inventory: 412 queued, 0 consumers, 2 retrying");
        assert!(inventory.is_abandoned());
        let order = of(Service::Order, &queues);
        assert_eq!(
            (order.line(Service::Order).as_str(), order.is_abandoned()),
            ("order: 0 queued, 2 consumers", false)
        );
        let email = of(Service::Email, &queues);
        assert_eq!((email.line(Service::Email).as_str(), email.is_abandoned()), ("email: no queue", true));
    }
}
