//! Whether the provider is called, and with what it is probed while it cannot be reached.

use std::time::Duration;

use messaging::breaker::Breaker;
use tokio::time::Instant;

/// The one thing to be asked while the provider cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probe {
    /// Not before then.
    pub(super) at: Instant,
    /// A payment that it gave no answer about.
    pub(super) payment_id: String,
}

/// The breaker in front of the provider.
#[derive(Debug)]
pub(super) struct Gate {
    breaker: Breaker,
    probe: Option<Probe>,
}

impl Gate {
    pub(super) fn new(breaker: Breaker) -> Self {
        Self { breaker, probe: None }
    }

    /// `None` while calls go through.
    pub(super) fn probe(&self) -> Option<Probe> {
        self.probe.clone()
    }

    pub(super) fn probing(&mut self) {
        self.breaker.probing();
    }

    /// A call about `payment_id` got no answer. Returns when to ask again, and whether this closed the way for others.
    pub(super) fn failed(&mut self, payment_id: &str, probing: bool) -> (Duration, bool) {
        if let Some(probe) = &self.probe
            && !probing
        {
            // one of the calls that were under way when the first failed: nothing new
            return (probe.at.saturating_duration_since(Instant::now()), false);
        }
        let (wait, opened) = self.breaker.failed();
        self.probe = Some(Probe { at: Instant::now() + wait, payment_id: payment_id.to_owned() });
        (wait, opened)
    }

    /// The provider answered. Returns whether that opens the way again.
    pub(super) fn succeeded(&mut self) -> bool {
        self.probe = None;
        self.breaker.succeeded()
    }
}

#[cfg(test)]
mod tests {
    use messaging::metrics::Metrics;

    use super::*;

    #[test]
    fn only_probes_make_the_wait_longer() {
        let mut gate = Gate::new(Breaker::new("test", &Metrics::register(&mut Default::default())));
        assert_eq!(gate.probe(), None);
        let (first, opened) = gate.failed("a", false);
        assert!(opened);
        assert_eq!(gate.probe().map(|probe| probe.payment_id).as_deref(), Some("a"));
        let (rest, opened) = gate.failed("b", false);
        assert!(rest <= first && !opened, "it was under way");
        assert_eq!(gate.failed("a", true), (first * 2, false));
        assert!(gate.succeeded());
        assert_eq!(gate.probe(), None);
        assert!(!gate.succeeded());
    }
}
