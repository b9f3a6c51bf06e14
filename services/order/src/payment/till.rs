//! The till: where an intent is handed to the payment worker of the same process, claimed from its birth.
//!
//! An intent that the worker would claim a moment later need not wait to be found: its row is written as a claim, and the
//! job is handed over when that is committed, which saves a statement, a commit and their time. What is handed over and lost,
//! because the process ends, is a claim without a result like any other, and is taken over when its time is up.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use messaging::tx::Tx;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Intent, Job};

/// How long a worker that has not said that it has time is taken to have some: its loop comes round five times a second.
const FRESH: Duration = Duration::from_secs(1);

/// How long a job may lie in the till: its claim has to outlast the call to the provider. What lies longer is taken over.
const MOST_HELD: Duration = Duration::from_secs(2);

/// Jobs that wait in the till at most. Beyond it intents wait in their rows, for whichever copy has time.
const MOST: usize = 1000;

/// Between those who leave intents and the worker. Clones are the same till.
#[derive(Debug, Clone, Default)]
pub struct Till(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Something was handed over.
    handed: Notify,
    /// An intent waits in its row.
    intents: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    /// When somebody last said that he takes jobs out. Closed at first, at the end, and while the provider cannot be reached.
    open: Option<Instant>,
    /// The methods that the worker has no time for.
    busy: HashSet<String>,
    jobs: Vec<(Instant, Job)>,
}

impl Till {
    /// Wakes the worker to look for intents in their rows.
    pub fn intents(&self) -> &Arc<Notify> {
        &self.0.intents
    }

    /// Whether the worker would begin with this intent at once.
    pub fn takes(&self, intent: &Intent) -> bool {
        let state = self.state();
        let is_open = state.open.is_some_and(|open| open.elapsed() < FRESH);
        is_open && state.jobs.len() < MOST && !state.busy.contains(&intent.method)
    }

    /// Hands jobs over when `tx` has committed their claims.
    pub fn hand_over(&self, tx: &mut Tx, jobs: Vec<Job>) {
        let till = self.clone();
        tx.on_commit(move || {
            let now = Instant::now();
            till.state().jobs.extend(jobs.into_iter().map(|job| (now, job)));
            till.0.handed.notify_one();
        });
    }

    /// Opens the till but for these methods.
    pub(crate) fn open(&self, busy: Vec<String>) {
        let mut state = self.state();
        state.open = Some(Instant::now());
        state.busy = busy.into_iter().collect();
    }

    /// Intents wait in their rows from now on.
    pub(crate) fn close(&self) {
        self.state().open = None;
    }

    /// What was handed over, but for what has lain here for too long.
    pub(crate) fn take(&self) -> Vec<Job> {
        let jobs = std::mem::take(&mut self.state().jobs);
        jobs.into_iter().filter(|(since, _)| since.elapsed() < MOST_HELD).map(|(_, job)| job).collect()
    }

    /// Until something is handed over.
    pub(crate) async fn handed_over(&self) {
        self.0.handed.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use contracts::money::{Currency, Money};
    use contracts::values::OrderId;
    use messaging::context::Context;
    use uuid::Uuid;

    use super::*;
    use crate::payment::Task;

    fn intent(method: &str) -> Intent {
        Intent {
            payment_id: "p".to_owned(),
            order_id: OrderId(Uuid::nil()),
            amount: Money::new(1, Currency::EUR).unwrap(),
            method: method.to_owned(),
            context: Context { correlation_id: "c".to_owned(), causation_id: None, traceparent: None },
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_hangs_gets_nothing_and_nothing_old() {
        let till = Till::default();
        till.open(Vec::new());
        let job = Job { intent: intent("quick"), task: Task::Charge, attempts: 1, until: DateTime::UNIX_EPOCH };
        till.state().jobs.push((Instant::now(), job.clone()));
        tokio::time::advance(FRESH).await;
        assert!(!till.takes(&intent("quick")), "it has not come round");
        assert_eq!(till.take().len(), 1, "the claim lasts");
        till.state().jobs.push((Instant::now(), job));
        tokio::time::advance(MOST_HELD).await;
        assert_eq!(till.take().len(), 0, "the claim may be over before the call is");
        till.open(Vec::new());
        assert!(till.takes(&intent("quick")));
    }

    #[test]
    fn it_takes_what_the_worker_has_time_for() {
        let till = Till::default();
        assert!(!till.takes(&intent("quick")), "nobody is there yet");
        till.open(vec!["slow".to_owned()]);
        assert!(till.takes(&intent("quick")) && !till.takes(&intent("slow")));
        till.open(Vec::new());
        assert!(till.takes(&intent("slow")));
        till.close();
        assert!(!till.takes(&intent("quick")));
    }
}
