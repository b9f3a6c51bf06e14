//! When the mail server is away, nothing is claimed; now and then one mail, or one connection, tries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use messaging::breaker::Breaker;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::transport::Answer;

/// Whether claimed mails may still be handed over. The tasks share it, so that the first that finds the server away stops
/// those that wait behind it.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate(Arc<AtomicBool>);

impl Gate {
    /// Lets nothing more through.
    pub(super) fn shut(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Lets everything through.
    pub(super) fn open(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether nothing goes through.
    pub(super) fn is_shut(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// A whole batch.
    Batch,
    /// One mail, to see whether the server is back.
    Probe,
    /// Nothing until then.
    Nothing(Instant),
}

/// The breaker in front of the mail server, and the gate that it works.
#[derive(Debug)]
pub(super) struct Brake {
    breaker: Breaker,
    gate: Gate,
    next_probe: Instant,
    probing: bool,
}

impl Brake {
    /// Not braking.
    pub(super) fn new(breaker: Breaker, gate: Gate) -> Self {
        Self { breaker, gate, next_probe: Instant::now(), probing: false }
    }

    /// Whether the server is held to be away.
    pub(super) fn is_on(&self) -> bool {
        self.breaker.is_open()
    }

    /// What may be claimed, while `busy` says whether earlier mails are still on their way.
    pub(super) fn admission(&mut self, busy: bool) -> Admission {
        if !self.breaker.is_open() {
            return Admission::Batch;
        }
        if busy || Instant::now() < self.next_probe {
            return Admission::Nothing(self.next_probe);
        }
        self.breaker.probing();
        self.gate.open();
        self.probing = true;
        Admission::Probe
    }

    /// Learns from how handing over a mail ended.
    pub(super) fn note(&mut self, answer: &Answer) {
        match answer {
            Answer::Accepted | Answer::Deferred(_) | Answer::Refused(_) => self.answered(),
            Answer::Unavailable(why) | Answer::Lost(why) => self.away(why),
        }
    }

    /// The server answers.
    pub(super) fn answered(&mut self) {
        // An answer that comes in late, over a connection from before, does not show that the server is back.
        if self.probing || !self.breaker.is_open() {
            self.probing = false;
            if self.breaker.succeeded() {
                info!("the mail server is back");
            }
        }
    }

    /// The server does not answer. The connections of a batch fail together, which counts once.
    pub(super) fn away(&mut self, why: &str) {
        self.gate.shut();
        if self.probing || !self.breaker.is_open() {
            self.probing = false;
            let (wait, opened) = self.breaker.failed();
            self.next_probe = Instant::now() + wait;
            if opened {
                warn!(why, "the mail server is away: mails wait");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use messaging::metrics::Metrics;

    use super::*;

    fn brake() -> (Brake, Gate) {
        let gate = Gate::default();
        (Brake::new(Breaker::new("smtp", &Metrics::register(&mut Default::default())), gate.clone()), gate)
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_one_mail_tries_at_a_time() {
        let (mut brake, gate) = brake();
        assert_eq!(brake.admission(false), Admission::Batch);
        brake.note(&Answer::Unavailable("away".to_owned()));
        assert!(gate.is_shut());
        let Admission::Nothing(until) = brake.admission(false) else { panic!("admitted") };
        tokio::time::sleep_until(until).await;
        assert!(matches!(brake.admission(true), Admission::Nothing(_)), "others are still on their way");
        assert_eq!(brake.admission(false), Admission::Probe);
        assert!(!gate.is_shut());
        brake.note(&Answer::Deferred("busy".to_owned()));
        assert_eq!(brake.admission(false), Admission::Batch);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_fails_counts_once_and_late_answers_not_at_all() {
        let (mut brake, gate) = brake();
        for _ in 0..8 {
            brake.note(&Answer::Lost("lost".to_owned()));
        }
        brake.note(&Answer::Accepted);
        assert!(gate.is_shut());
        let Admission::Nothing(until) = brake.admission(false) else { panic!("admitted") };
        assert!(until - Instant::now() <= Duration::from_millis(200));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_fails_makes_the_next_wait_longer() {
        let (mut brake, _) = brake();
        brake.away("away");
        let mut last = Duration::ZERO;
        for _ in 0..4 {
            let Admission::Nothing(until) = brake.admission(false) else { panic!("admitted") };
            let wait = until - Instant::now();
            assert!(wait > last);
            last = wait;
            tokio::time::sleep_until(until).await;
            assert_eq!(brake.admission(false), Admission::Probe);
            brake.away("still away");
        }
        brake.answered();
        assert!(matches!(brake.admission(false), Admission::Nothing(_)), "no probe was under way");
    }
}
