//! What is wrong now, in words: a pure function of what was looked at. The thresholds are those of the alert rules in
//! `deploy/prometheus`, without their patience: who looks at a screen wants to know at once.

mod rules;

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
    pub(super) helps: &'static str,
    /// The page of the console that shows more.
    pub(super) page: Option<&'static str>,
    /// Its page in `docs/runbooks`.
    pub(super) runbook: &'static str,
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
    /// How the broker differs from the catalogue.
    pub(super) differences: Vec<String>,
    /// Mails of the last quarter of an hour that were refused, and those in doubt.
    pub(super) mails: (f64, f64),
}

/// All that is wrong, the most urgent first.
pub(super) fn all(scene: &Scene) -> Vec<Wrong> {
    let mut found = Vec::new();
    found.extend(rules::broker(scene));
    for (service, looked) in &scene.services {
        match looked {
            Looked::Silent(why) => found.push(rules::silent(scene, *service, why)),
            Looked::Answers(figures) => {
                rules::of_service(scene, *service, figures, &mut found);
                rules::of_books(*service, figures, &mut found);
            }
        }
    }
    rules::of_queues(scene, &mut found);
    rules::of_mails(scene, &mut found);
    // stable: what belongs together stays together
    found.sort_by_key(|wrong| !wrong.urgent);
    found
}

#[cfg(test)]
mod tests;
