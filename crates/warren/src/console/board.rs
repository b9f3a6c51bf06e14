//! The figures that every page shows: looked at by the clock, whoever is signed in, without anybody's token. What they are
//! made of the services tell anybody (`/metrics`, `/readyz`), and the broker those who know its address.

mod look;
mod shown;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use contracts::event::Service;
use messaging::schedule::RetrySchedule;
use messaging::settings::AmqpUrls;
use serde_json::Value;

use super::figures::{Figures, growth};
use super::history::{History, Point, Range};
use super::wrong::{self, COUNTED, Looked, Recent, Scene, Setup, Wrong};
use crate::client::Services;
use crate::queues::Queues;
pub(super) use look::keep;

/// The wait between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// How many looks are kept to count what happened within a minute, and how many make up the last moments.
const MINUTE: usize = 30;
const MOMENTS: usize = 5;

/// For how long mails that failed are told.
const MAILS_TOLD: Duration = Duration::from_mins(15);

/// Where to look.
pub(super) struct Plan {
    /// The services, without a token.
    pub(super) services: Services,
    /// The broker.
    pub(super) broker: Option<AmqpUrls>,
    /// Its management interface, which alone tells of bindings.
    pub(super) management_url: Option<String>,
    /// The ladder, from which the names of queues follow.
    pub(super) schedule: RetrySchedule,
}

/// What one look found.
struct Look {
    services: BTreeMap<Service, Looked>,
    /// The queues, as the broker counts; the reason where it does not answer; nothing where we do not know it.
    queues: Option<Result<Queues, String>>,
}

/// The figures of one moment, by service.
type Moment = (Instant, BTreeMap<Service, Figures>);

/// The figures.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    at: Option<DateTime<Utc>>,
    scene: Scene,
    history: History,
    point: Option<Point>,
    moments: VecDeque<Moment>,
    mails: VecDeque<(Instant, f64, f64)>,
    /// Since when each queue is not empty, and since when each thing is wrong.
    filled: BTreeMap<Service, Instant>,
    wrong: Vec<(Wrong, DateTime<Utc>)>,
    /// Since when those that handle orders are well with nothing on its way to them.
    quiet: Option<Instant>,
    /// How far each read model that is behind was behind at the last look, and since when it has come no closer.
    behind: BTreeMap<String, (f64, Instant)>,
}

impl Board {
    /// What waited in the queues.
    pub(super) fn queues(&self) -> Queues {
        self.lock().scene.queues.clone()
    }

    /// Notes how the broker is set up.
    fn set_up(&self, setup: Setup) {
        self.lock().scene.setup = setup;
    }

    /// Notes what a look found.
    fn note(&self, look: Look) {
        self.lock().note(look, Instant::now(), Utc::now());
    }

    /// For the page: the history after `since`, and everything as it is now.
    pub(super) fn value(&self, range: Range, since: i64) -> Value {
        self.lock().value(range, since)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, look: Look, now: Instant, at: DateTime<Utc>) {
        let figures = |looked: &Looked| looked.figures().cloned();
        let moment = look.services.iter().filter_map(|(service, looked)| Some((*service, figures(looked)?))).collect();
        self.scene.services = look.services;
        (self.scene.queues, self.scene.broker) = match look.queues {
            Some(Ok(queues)) => (queues, None),
            Some(Err(why)) => (queues_as_services_tell(&self.scene.services), Some(why)),
            None => (queues_as_services_tell(&self.scene.services), None),
        };
        for service in Service::ALL {
            match self.scene.queues.get(&service).and_then(|queue| queue.queued) {
                Some(queued) if queued > 0 => drop(self.filled.entry(service).or_insert(now)),
                _ => drop(self.filled.remove(&service)),
            }
        }
        self.scene.waiting = self.filled.iter().map(|(service, since)| (*service, now - *since)).collect();
        if self.moments.len() == MINUTE {
            self.moments.pop_front();
        }
        self.moments.push_back((now, moment));
        self.scene.recent = Service::ALL.into_iter().map(|service| (service, self.recent(service))).collect();
        self.scene.still = self.still(now);
        self.quiet = wrong::is_quiet(&self.scene).then(|| self.quiet.unwrap_or(now));
        self.scene.quiet = self.quiet.map(|since| now - since);
        self.scene.mails = self.mails(now);
        let point = self.point(at);
        self.history.add(point);
        self.point = Some(point);
        let before = std::mem::take(&mut self.wrong);
        let since = |key: &str| before.iter().find(|(known, _)| known.key == key).map_or(at, |(_, since)| *since);
        self.wrong = wrong::all(&self.scene).into_iter().map(|wrong| (wrong.clone(), since(&wrong.key))).collect();
        self.at = Some(at);
    }

    /// A service's figures now, so many looks ago, and the seconds between.
    fn between(&self, service: Service, looks: usize) -> Option<(&Figures, &Figures, f64)> {
        let (now, last) = self.moments.back()?;
        let last = last.get(&service)?;
        let skipped = self.moments.len().saturating_sub(looks + 1);
        let mut earlier = self.moments.iter().skip(skipped).filter_map(|(at, all)| Some((*at, all.get(&service)?)));
        let (at, first) = earlier.next()?;
        let seconds = (*now - at).as_secs_f64();
        (seconds > 0.0).then_some((last, first, seconds))
    }

    /// A service's figures at each look of the last moments, and of those before: callers that gave up come back later.
    fn lately(&self, service: Service) -> impl Iterator<Item = &Figures> {
        self.moments.iter().rev().take(2 * MOMENTS).filter_map(move |(_, all)| all.get(&service))
    }

    fn recent(&self, service: Service) -> Recent {
        let minute = self.between(service, MINUTE);
        let moments = self.between(service, MOMENTS);
        let failed = |figures: &Figures| figures.outcome("retry") + figures.outcome("dead");
        Recent {
            messages: minute.map_or((0.0, 0.0), |(now, before, _)| {
                (growth(now.handled(), before.handled()), growth(failed(now), failed(before)))
            }),
            requests: minute.map_or((0.0, 0.0), |(now, before, _)| {
                (growth(now.requests.count(), before.requests.count()), growth(now.failures, before.failures))
            }),
            latency: moments.and_then(|(now, before, _)| now.requests.since(&before.requests).quantile(0.95)),
            age: moments.and_then(|(now, before, _)| now.age.since(&before.age).quantile(0.95)),
            lock_wait: self.lately(service).map(|figures| figures.lock_wait).fold(0.0, f64::max),
        }
    }

    /// The read models that are behind, with for how long each has come no closer.
    fn still(&mut self, now: Instant) -> BTreeMap<String, Duration> {
        let before = std::mem::take(&mut self.behind);
        // while the service does not answer, nobody knows
        let Some(figures) = self.scene.services.get(&Service::Order).and_then(Looked::figures) else {
            return BTreeMap::new();
        };
        let behind = figures.projections.iter().filter(|(_, behind)| **behind > 0.0);
        self.behind = behind
            .map(|(name, behind)| {
                let stood = |(before, _): &&(f64, Instant)| behind >= before && *behind < COUNTED;
                let since = before.get(name).filter(stood).map_or(now, |(_, since)| *since);
                (name.clone(), (*behind, since))
            })
            .collect();
        self.behind.iter().map(|(name, (_, since))| (name.clone(), now - *since)).collect()
    }

    /// Mails that failed, and those in doubt, within the time for which they are told.
    fn mails(&mut self, now: Instant) -> (f64, f64) {
        let of = |service, outcome: &str| {
            let (now, before, _) = self.between(service, 1)?;
            let count = |figures: &Figures| figures.mails.get(outcome).copied().unwrap_or_default();
            Some(growth(count(now), count(before)))
        };
        let (failed, doubt) = (of(Service::Email, "failed"), of(Service::Email, "in-doubt"));
        let (failed, doubt) = (failed.unwrap_or_default(), doubt.unwrap_or_default());
        if failed + doubt > 0.0 {
            self.mails.push_back((now, failed, doubt));
        }
        self.mails.retain(|(at, _, _)| now - *at < MAILS_TOLD);
        self.mails.iter().fold((0.0, 0.0), |sum, (_, failed, doubt)| (sum.0 + failed, sum.1 + doubt))
    }

    fn point(&self, at: DateTime<Utc>) -> Point {
        let mut point = Point::at(at.timestamp_millis());
        let per_second = |service, count: &dyn Fn(&Figures) -> f64| {
            let (now, before, seconds) = self.between(service, 1)?;
            Some(growth(count(now), count(before)) / seconds)
        };
        let order = self.scene.services.get(&Service::Order).and_then(Looked::figures);
        point.set("placed_per_second", per_second(Service::Order, &|figures| figures.placed));
        point.set("completed_per_second", per_second(Service::Order, &|figures| figures.completion.count()));
        let sent = |figures: &Figures| figures.mails.get("sent").copied().unwrap_or_default();
        point.set("mails_per_second", per_second(Service::Email, &sent));
        let failures = Service::ALL.map(|service| per_second(service, &|figures| figures.failures));
        point.set("failures_per_second", failures.into_iter().flatten().reduce(|sum, rate| sum + rate));
        let completion = self.between(Service::Order, MOMENTS);
        let completion =
            completion.and_then(|(now, before, _)| now.completion.since(&before.completion).quantile(0.95));
        point.set("completion_p95", completion);
        point.set("latency_p95", self.scene.recent.get(&Service::Order).and_then(|recent| recent.latency));
        point.set("stuck", order.map(|figures| figures.stuck));
        point.set("behind", order.and_then(|figures| figures.projections.values().copied().reduce(f64::max)));
        let mut oldest = None;
        for service in Service::ALL {
            if let Some(queue) = self.scene.queues.get(&service) {
                point.set(&format!("depth_{service}"), queue.queued.map(f64::from));
                point.set(&format!("retrying_{service}"), Some(queue.retrying.into()));
                point.set(&format!("dead_{service}"), Some(queue.dead.into()));
            }
            point.set(&format!("age_{service}"), self.scene.recent.get(&service).and_then(|recent| recent.age));
            let figures = self.scene.services.get(&service).and_then(Looked::figures);
            if let (Some(figures), true) = (figures, service != Service::Email) {
                point.set(&format!("outbox_{service}"), Some(figures.outbox));
                oldest = Some(figures.oldest.max(oldest.unwrap_or_default()));
            }
        }
        point.set("oldest", oldest);
        point
    }
}

/// Where the broker does not tell, the services' own counts are shown: those of each that answers.
fn queues_as_services_tell(services: &BTreeMap<Service, Looked>) -> Queues {
    let of = |(service, looked): (&Service, &Looked)| {
        let figures = looked.figures()?;
        let found = figures.queues.iter().map(|(name, messages)| messaging::inspect::QueueCounts {
            name: name.clone(),
            messages: *messages as u32,
            consumers: if name == service.name() { figures.consumers.unwrap_or_default() as u32 } else { 0 },
        });
        let found: Vec<_> = found.collect();
        (!found.is_empty()).then(|| Some((*service, crate::queues::of_all(&found).remove(service)?))).flatten()
    };
    services.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests;
