//! Replays and other actions on dead letters that are under way, and the last few that were.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::dlq::progress::Progress;

/// How many are remembered; the journal on the broker remembers more.
const MOST: usize = 50;

/// One action.
#[derive(Debug)]
pub(super) struct Run {
    action: &'static str,
    by: String,
    /// What it is about, in words.
    about: Value,
    started_at: DateTime<Utc>,
    /// How far it is.
    pub(super) progress: Progress,
    ended: Mutex<Option<Ended>>,
}

/// How an action ended.
#[derive(Debug, Clone, Serialize)]
struct Ended {
    at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Run {
    /// It has ended.
    pub(super) fn end(&self, result: anyhow::Result<Value>) {
        let at = Utc::now();
        *self.ended() = Some(match result {
            Ok(result) => Ended { at, result: Some(result), error: None },
            Err(error) => Ended { at, result: None, error: Some(format!("{error:#}")) },
        });
    }

    fn is_under_way(&self) -> bool {
        self.ended().is_none()
    }

    fn ended(&self) -> MutexGuard<'_, Option<Ended>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is to see of it.
    pub(super) fn value(&self) -> Value {
        let ended = self.ended().clone();
        json!({"run": self.progress.run(), "action": self.action, "by": self.by, "about": self.about,
            "started_at": self.started_at, "under_way": ended.is_none(), "stopping": self.progress.is_stopping(),
            "progress": self.progress.seen(), "ended": ended})
    }
}

/// A run in the hands of whoever does it. Dropped before its end, by a panic, it ends all the same: else nobody could begin
/// another until the console is started anew.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Run>);

impl Deref for UnderWay {
    type Target = Run;

    fn deref(&self) -> &Run {
        &self.0
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.is_under_way() {
            self.end(Err(anyhow::anyhow!("it broke off; what was done until then stays done")));
        }
    }
}

/// All of them, newest first.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<VecDeque<Arc<Run>>>);

impl Runs {
    /// Begins one, unless another is under way: they would wait for each other's letters.
    pub(super) fn begin(&self, action: &'static str, by: String, about: Value) -> Option<UnderWay> {
        let mut runs = self.lock();
        if runs.iter().any(|run| run.is_under_way()) {
            return None;
        }
        let (progress, started_at) = (Progress::new(false), Utc::now());
        let run = Arc::new(Run { action, by, about, started_at, progress, ended: Mutex::default() });
        runs.push_front(Arc::clone(&run));
        runs.truncate(MOST);
        Some(UnderWay(run))
    }

    /// Whether one is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.lock().iter().any(|run| run.is_under_way())
    }

    /// The one of that name.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Run>> {
        self.lock().iter().find(|run| run.progress.run() == name).cloned()
    }

    /// All of them.
    pub(super) fn values(&self) -> Vec<Value> {
        self.lock().iter().map(|run| run.value()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Run>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_under_way_at_a_time_and_the_last_few_are_remembered() {
        let runs = Runs::default();
        for number in 0..MOST + 5 {
            let run = runs.begin("replay", "ada".to_owned(), json!(number)).unwrap();
            assert!(runs.is_busy() && runs.begin("replay", "bob".to_owned(), json!(0)).is_none());
            run.end(Ok(json!({})));
        }
        let values = runs.values();
        assert_eq!((values.len(), &values[0]["about"]), (MOST, &json!(MOST + 4)));
        assert!(!runs.is_busy());
        let failed = runs.begin("edit", "ada".to_owned(), json!(null)).unwrap();
        failed.end(Err(anyhow::anyhow!("no such letter")));
        assert_eq!(runs.find(failed.progress.run()).unwrap().value()["ended"]["error"], "no such letter");
    }

    #[tokio::test]
    async fn one_whose_doer_panics_has_ended() {
        let runs = Runs::default();
        let run = runs.begin("replay", "ada".to_owned(), json!(null)).unwrap();
        let name = run.progress.run().to_owned();
        let doer = tokio::spawn(async move {
            assert!(run.value()["by"] == "nobody", "a mistake");
            run.end(Ok(json!({})));
        });
        assert!(doer.await.is_err() && !runs.is_busy());
        let why = runs.find(&name).unwrap().value()["ended"]["error"].clone();
        assert!(why.as_str().unwrap().starts_with("it broke off"), "{why}");
        assert!(runs.begin("replay", "bob".to_owned(), json!(null)).is_some());
    }
}
