//! What is wrong now, in words: a pure function of what was looked at. It tells of the same things as the alert rules in
//! `deploy/prometheus`, earlier and at lower thresholds: who looks at a screen wants to know at once.
//!
//! One trouble shows in many places. Rules, a file per subject, find each of them; [`links`] then says which follows from
//! which, so that the cause stands first.

mod books;
mod broker;
mod lately;
mod links;
mod orders;
mod service;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::event::Service;
use serde::Serialize;

use super::figures::Figures;
use crate::queues::Queues;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Wrong {
    /// Names it, the same as long as it lasts.
    pub(super) key: String,
    /// Whether somebody should act now, or in the morning.
    pub(super) urgent: bool,
    /// What it is, in one line.
    pub(super) title: String,
    /// What follows from it, and what is known of it.
    pub(super) detail: String,
    /// What helps.
    pub(super) helps: String,
    /// The page of the console that shows more.
    pub(super) page: Option<&'static str>,
    /// Its page in `docs/runbooks`.
    pub(super) runbook: &'static str,
    /// The title of what it follows from, as far as one can tell; that stands above it.
    pub(super) follows: Option<String>,
}

/// What a service did when it was looked at.
#[derive(Debug, Clone)]
pub(super) enum Looked {
    /// It answered with these.
    Answers(Box<Figures>),
    /// It did not, for this reason.
    Silent(String),
}

impl Looked {
    /// The figures, if it answered.
    pub(super) fn figures(&self) -> Option<&Figures> {
        match self {
            Self::Answers(figures) => Some(figures),
            Self::Silent(_) => None,
        }
    }
}

/// What a service did within the last moments.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Recent {
    /// Messages that it handled within a minute, and those of them that failed.
    pub(super) messages: (f64, f64),
    /// Requests that it answered within a minute, and those of them that failed.
    pub(super) requests: (f64, f64),
    /// How long 95 of 100 requests take at most, in seconds.
    pub(super) latency: Option<f64>,
    /// How old 95 of 100 messages are at most when they are handled, in seconds.
    pub(super) age: Option<f64>,
    /// For how long a statement has waited for a lock at most within the last moments, in seconds.
    pub(super) lock_wait: f64,
}

/// How the broker differs from the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// In words.
    pub(super) told: String,
    /// Which event does not reach which service any more, where it is a binding that is missing.
    pub(super) lost: Option<(String, String)>,
}

/// What the broker's management interface tells, which is looked at less often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Setup {
    /// How it differs from the catalogue.
    pub(super) mismatches: Vec<Mismatch>,
    /// How many messages each work queue takes where a policy says so.
    pub(super) limits: BTreeMap<Service, u64>,
}

/// Everything that was looked at.
#[derive(Debug, Default)]
pub(super) struct Scene {
    /// The services.
    pub(super) services: BTreeMap<Service, Looked>,
    /// What they did lately.
    pub(super) recent: BTreeMap<Service, Recent>,
    /// The queues; empty where nobody tells.
    pub(super) queues: Queues,
    /// For how long each work queue has not been empty.
    pub(super) waiting: BTreeMap<Service, Duration>,
    /// Why the broker does not answer.
    pub(super) broker: Option<String>,
    /// How the broker is set up.
    pub(super) setup: Setup,
    /// Read models that are behind and have not come closer, with for how long.
    pub(super) still: BTreeMap<String, Duration>,
    /// For how long those that handle orders have been well with nothing on its way to them; none while that is not so.
    pub(super) quiet: Option<Duration>,
    /// Mails of the last quarter of an hour that were refused, and those in doubt.
    pub(super) mails: (f64, f64),
}

/// All that is wrong, the most urgent first, and causes before what follows from them.
pub(super) fn all(scene: &Scene) -> Vec<Wrong> {
    let mut found = Vec::new();
    broker::rules(scene, &mut found);
    for (service, looked) in &scene.services {
        match looked {
            Looked::Silent(why) => found.push(service::silent(scene, *service, why)),
            Looked::Answers(figures) => {
                service::rules(scene, *service, figures, &mut found);
                lately::rules(*service, scene.recent.get(service).copied().unwrap_or_default(), &mut found);
                books::rules(*service, figures, &mut found);
                orders::rules(scene, figures, &mut found);
            }
        }
    }
    books::read_models(scene, &mut found);
    lately::mails(scene, &mut found);
    links::link(&mut found);
    // stable: what belongs together stays together
    found.sort_by_key(|wrong| (!wrong.urgent, wrong.follows.is_some()));
    found
}

pub(super) use books::COUNTED;
pub(super) use orders::is_quiet;

#[cfg(test)]
mod tests;
