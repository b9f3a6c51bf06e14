//! How far an action is, for whoever watches it, and the wish that it stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;
use uuid::Uuid;

use super::pass::Tally;

/// How many failures and lines are kept for who watches; the journal has all failures.
const MOST_KEPT: usize = 100;

/// What there is to see of an action under way.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Seen {
    /// How many letters it is about, once that is known.
    pub(crate) total: Option<usize>,
    /// How many were handed over.
    pub(crate) replayed: usize,
    /// How many failed again.
    pub(crate) failed: usize,
    /// The first of those.
    pub(crate) failures: Vec<Value>,
    /// How many outcomes are waited for.
    pub(crate) open: usize,
    /// What it said, newest last.
    pub(crate) lines: Vec<String>,
}

/// One action under way.
#[derive(Debug)]
pub(crate) struct Progress {
    run: String,
    aloud: bool,
    seen: Mutex<Seen>,
    stop: AtomicBool,
    stopped: Notify,
}

impl Progress {
    /// Of an action that is about to begin; `aloud` is whether lines go to standard error, too.
    pub(crate) fn new(aloud: bool) -> Self {
        let run = Uuid::now_v7().to_string();
        Self { run, aloud, seen: Mutex::default(), stop: AtomicBool::new(false), stopped: Notify::new() }
    }

    /// The name of this run, which the journal's lines and the copies that it makes carry.
    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// How far it is.
    pub(crate) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    /// Tells a line to whoever watches.
    pub(crate) fn say(&self, line: String) {
        if self.aloud {
            eprintln!("{line}");
        }
        let lines = &mut self.lock().lines;
        if lines.len() == MOST_KEPT {
            lines.remove(0);
        }
        lines.push(line);
    }

    /// It is about so many letters more.
    pub(super) fn expect(&self, letters: usize) {
        let mut seen = self.lock();
        seen.total = Some(seen.total.unwrap_or_default() + letters);
    }

    /// It has come so far, and waits for so many outcomes.
    pub(super) fn note(&self, tally: &Tally, open: usize) {
        let mut seen = self.lock();
        (seen.replayed, seen.failed, seen.open) = (tally.replayed, tally.failed.len(), open);
        let known = seen.failures.len();
        seen.failures.extend(tally.failed.iter().skip(known).take(MOST_KEPT - known.min(MOST_KEPT)).cloned());
    }

    /// Asks it to stop before the next letters. What was handed over runs to its end.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.stopped.notify_one();
    }

    /// Whether somebody has asked it to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits until somebody asks it to stop.
    pub(super) async fn stopping(&self) {
        while !self.is_stopping() {
            self.stopped.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_watches_sees_the_first_failures_and_the_last_lines() {
        let progress = Progress::new(false);
        let failed: Vec<Value> = (0..150).map(|number| json!(number)).collect();
        let mut tally = Tally { replayed: 200, failed, ..Tally::default() };
        progress.expect(100);
        progress.expect(150);
        progress.note(&tally, 7);
        tally.failed.push(json!(150));
        progress.note(&tally, 0);
        (0..120).for_each(|number| progress.say(number.to_string()));
        let seen = progress.seen();
        assert_eq!((seen.total, seen.replayed, seen.failed, seen.open), (Some(250), 200, 151, 0));
        assert_eq!((seen.failures.len(), &seen.failures[99]), (100, &json!(99)));
        assert_eq!((seen.lines.len(), seen.lines[99].as_str()), (100, "119"));
    }

    #[tokio::test]
    async fn a_wish_to_stop_is_heard_whether_it_comes_before_or_after() {
        let progress = Progress::new(false);
        let (heard, ()) =
            tokio::join!(tokio::time::timeout(std::time::Duration::from_secs(5), progress.stopping()), async {
                progress.stop()
            });
        heard.expect("heard at once");
        progress.stopping().await;
    }
}
