//! What was answered and is not recorded yet; and what is told and counted once it is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use contracts::values::OrderId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tracing::{info, warn};
use uuid::Uuid;

use super::outcome::{Event, Outcome};
use super::session::Session;
use crate::mail::Template;
use crate::store::delivery::{self, Claimed, LeftBehind, Settled};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    template: &'static str,
    outcome: &'static str,
}

/// `warren_mails_total{template,outcome}`: `sent`, `in-doubt`, `failed`. Clones show the same numbers.
#[derive(Debug, Clone)]
pub struct Mails(Family<Labels, Counter>);

impl Mails {
    /// Registers the counter.
    pub fn register(registry: &mut Registry) -> Self {
        let mails = Self(Family::default());
        registry.register("warren_mails", "Mails by what became of them", mails.0.clone());
        // From zero, so that the first of each shows as an increase.
        for template in Template::ALL {
            for outcome in ["sent", "in-doubt", "failed"] {
                mails.get(template, outcome);
            }
        }
        mails
    }

    fn count(&self, template: &str, outcome: &'static str) {
        let template = Template::named(template).map_or("unknown", Template::as_str);
        self.0.get_or_create(&Labels { template, outcome }).inc();
    }

    /// The number so far.
    pub fn get(&self, template: Template, outcome: &'static str) -> u64 {
        self.0.get_or_create(&Labels { template: template.as_str(), outcome }).get()
    }
}

/// What is told of a mail once its end is recorded.
#[derive(Debug)]
struct Told {
    template: String,
    order_id: Option<OrderId>,
    correlation_id: String,
    event: Event,
}

/// The answers that are not recorded yet.
#[derive(Debug)]
pub(super) struct Tally {
    mails: Mails,
    settled: Vec<Settled>,
    told: HashMap<Uuid, Told>,
    given_back: BTreeMap<Duration, Vec<Uuid>>,
}

impl Tally {
    /// None yet.
    pub(super) fn new(mails: Mails) -> Self {
        Self { mails, settled: Vec::new(), told: HashMap::new(), given_back: BTreeMap::new() }
    }

    /// How many they are.
    pub(super) fn len(&self) -> usize {
        self.settled.len() + self.given_back.values().map(Vec::len).sum::<usize>()
    }

    /// One more.
    pub(super) fn add(&mut self, mail: Claimed, outcome: Outcome) {
        match outcome {
            Outcome::GiveBack(wait) => self.given_back.entry(wait).or_default().push(mail.id),
            Outcome::Settle(settled, event) => {
                let Claimed { id, template, order_id, correlation_id, .. } = mail;
                self.told.insert(id, Told { template, order_id, correlation_id, event });
                self.settled.push(settled);
            }
        }
    }

    /// Records all of them, and takes them off what is `held`. On an error they stay, to be recorded again.
    pub(super) async fn record(&mut self, session: &mut Session, held: &mut HashSet<Uuid>) -> sqlx::Result<()> {
        while let Some((wait, mails)) = self.given_back.first_key_value() {
            delivery::give_back(&mut session.conn, session.sender, mails, *wait).await?;
            for id in self.given_back.pop_first().into_iter().flat_map(|(_, mails)| mails) {
                held.remove(&id);
            }
        }
        if self.settled.is_empty() {
            return Ok(());
        }
        let recorded = delivery::settle(&mut session.conn, session.sender, &self.settled).await?;
        let mut told = std::mem::take(&mut self.told);
        for settled in std::mem::take(&mut self.settled) {
            held.remove(&settled.id);
            let Some(told) = told.remove(&settled.id) else { continue };
            // One that was taken over by another sender is the other's to tell of.
            if recorded.contains(&settled.id) {
                tell(&told, settled.error.as_deref());
                self.count(&told);
            }
        }
        Ok(())
    }

    fn count(&self, told: &Told) {
        match told.event {
            Event::Sent => self.mails.count(&told.template, "sent"),
            Event::InDoubt => self.mails.count(&told.template, "in-doubt"),
            Event::Failed => self.mails.count(&told.template, "failed"),
            Event::Deferred => {}
        }
    }

    /// Tells of a mail that another sender left behind.
    pub(super) fn left_behind(&self, mail: &LeftBehind) {
        let told = Told {
            template: mail.template.clone(),
            order_id: mail.order_id.map(OrderId),
            correlation_id: mail.correlation_id.clone(),
            event: Event::InDoubt,
        };
        tell(&told, Some("its sender stopped before it recorded the answer"));
        self.count(&told);
    }
}

fn tell(told: &Told, why: Option<&str>) {
    let Told { template, correlation_id, .. } = told;
    let order_id = told.order_id.map(tracing::field::display);
    let event = Template::named(template).map(Template::event);
    match told.event {
        Event::Sent => info!(order_id, correlation_id, event, template, "mail sent"),
        Event::Deferred => info!(order_id, correlation_id, event, template, why, "mail deferred"),
        Event::InDoubt => warn!(order_id, correlation_id, event, template, why, "mail in doubt"),
        Event::Failed => warn!(order_id, correlation_id, event, template, why, "mail failed"),
    }
}
