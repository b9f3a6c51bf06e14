//! A circuit breaker: after a failure nothing is tried but single probes, at growing intervals, until one succeeds.

use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;

use crate::metrics::Metrics;

/// The first and the longest wait between two probes.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Protects one dependency from a caller that would only add to its trouble. Owned by the one worker that calls it.
#[derive(Debug)]
pub struct Breaker {
    gauge: Gauge,
    wait: Option<Duration>,
}

impl Breaker {
    /// Closed: calls go through. `name` is the label of `warren_breaker_state`.
    pub fn new(name: &'static str, metrics: &Metrics) -> Self {
        Self { gauge: metrics.breaker(name), wait: None }
    }

    /// A call failed. Returns how long to wait before the next probe, and whether this failure opened the breaker.
    pub fn failed(&mut self) -> (Duration, bool) {
        let opened = self.wait.is_none();
        let wait = self.wait.map_or(INTERVALS.0, |wait| (wait * 2).min(INTERVALS.1));
        self.wait = Some(wait);
        self.gauge.set(2);
        (wait, opened)
    }

    /// The wait is over and one call is tried.
    pub fn probing(&mut self) {
        if self.wait.is_some() {
            self.gauge.set(1);
        }
    }

    /// A call succeeded. Returns whether that closed the breaker.
    pub fn succeeded(&mut self) -> bool {
        self.gauge.set(0);
        self.wait.take().is_some()
    }

    /// Whether only probes go through.
    pub fn is_open(&self) -> bool {
        self.wait.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn probes_come_at_growing_intervals_until_one_succeeds() {
        let metrics = Metrics::register(&mut Default::default());
        let mut breaker = Breaker::new("test", &metrics);
        assert_eq!(metrics.breakers(), BTreeMap::from([("test", "closed")]));
        assert_eq!(breaker.failed(), (Duration::from_millis(100), true));
        assert_eq!(metrics.breakers(), BTreeMap::from([("test", "open")]));
        assert_eq!(breaker.failed(), (Duration::from_millis(200), false));
        for _ in 0..10 {
            breaker.failed();
        }
        assert_eq!(breaker.failed(), (Duration::from_secs(5), false));
        assert!(breaker.succeeded() && !breaker.is_open());
        assert!(!breaker.succeeded(), "it was closed already");
        assert_eq!(breaker.failed(), (Duration::from_millis(100), true));
    }
}
