//! The till: where an intent is handed to the payment worker of the same process, claimed from its birth.
//!
//! An intent that the worker would claim a moment later need not wait to be found: its row is written as a claim, and the
//! job is handed over when that is committed, which saves a statement, a commit and their time. What is handed over and lost,
//! because the process ends, is a claim without a result like any other, and is taken over when its time is up.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use messaging::tx::Tx;
use tokio::sync::Notify;

use super::{Intent, Job};

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
    /// Whether somebody takes jobs out. Closed at first, at the end, and while the provider cannot be reached.
    is_open: bool,
    /// The methods that the worker has no time for.
    busy: HashSet<String>,
    jobs: Vec<Job>,
}

impl Till {
    /// Wakes the worker to look for intents in their rows.
    pub fn intents(&self) -> &Arc<Notify> {
        &self.0.intents
    }

    /// Whether the worker would begin with this intent at once.
    pub fn takes(&self, intent: &Intent) -> bool {
        let state = self.state();
        state.is_open && state.jobs.len() < MOST && !state.busy.contains(&intent.method)
    }

    /// Hands jobs over when `tx` has committed their claims.
    pub fn hand_over(&self, tx: &mut Tx, jobs: Vec<Job>) {
        let till = self.clone();
        tx.on_commit(move || {
            till.state().jobs.extend(jobs);
            till.0.handed.notify_one();
        });
    }

    /// Opens the till but for these methods.
    pub(crate) fn open(&self, busy: Vec<String>) {
        let mut state = self.state();
        state.is_open = true;
        state.busy = busy.into_iter().collect();
    }

    /// Intents wait in their rows from now on.
    pub(crate) fn close(&self) {
        self.state().is_open = false;
    }

    /// What was handed over.
    pub(crate) fn take(&self) -> Vec<Job> {
        std::mem::take(&mut self.state().jobs)
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
    use contracts::money::{Currency, Money};
    use contracts::values::OrderId;
    use messaging::context::Context;
    use uuid::Uuid;

    use super::*;

    fn intent(method: &str) -> Intent {
        Intent {
            payment_id: "p".to_owned(),
            order_id: OrderId(Uuid::nil()),
            amount: Money::new(1, Currency::EUR).unwrap(),
            method: method.to_owned(),
            context: Context { correlation_id: "c".to_owned(), causation_id: None, traceparent: None },
        }
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
