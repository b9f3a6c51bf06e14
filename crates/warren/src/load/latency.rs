//! Latencies and their percentiles.

use std::time::Duration;

use chrono::TimeDelta;
use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest latency that is told apart, in microseconds: an hour.
const MAX_MICROS: u64 = 3_600_000_000;

/// Significant digits: percentiles are right to a tenth of a percent.
const DIGITS: u8 = 3;

/// Durations, counted in a histogram of microseconds (HdrHistogram).
#[derive(Debug)]
pub(super) struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, MAX_MICROS, DIGITS).expect("constant bounds that the histogram permits"))
    }
}

impl Latency {
    /// Counts one.
    pub(super) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(MAX_MICROS).max(1));
    }

    /// Counts one between two times of a database. Where clocks disagree it may be negative, and counts as none.
    pub(super) fn record_delta(&mut self, delta: TimeDelta) {
        self.record(delta.to_std().unwrap_or_default());
    }

    /// The percentiles; none where nothing was counted.
    pub(super) fn summary(&self) -> Option<Summary> {
        let millis = |micros: u64| micros as f64 / 1000.0;
        (!self.0.is_empty()).then(|| Summary {
            count: self.0.len(),
            p50: millis(self.0.value_at_quantile(0.50)),
            p90: millis(self.0.value_at_quantile(0.90)),
            p99: millis(self.0.value_at_quantile(0.99)),
            max: millis(self.0.max()),
        })
    }
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Summary {
    /// Of how many.
    pub(super) count: u64,
    /// The median.
    pub(super) p50: f64,
    /// Nine of ten are not longer.
    pub(super) p90: f64,
    /// 99 of 100 are not longer.
    pub(super) p99: f64,
    /// The longest.
    pub(super) max: f64,
}

/// Milliseconds as people read them: three digits that matter, in the unit that suits.
pub(super) fn readable(millis: f64) -> String {
    let (value, unit) = if millis < 1000.0 { (millis, "ms") } else { (millis / 1000.0, "s") };
    let decimals = match value {
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_known_row() {
        let mut latency = Latency::default();
        assert_eq!(latency.summary(), None);
        for millis in 1..=1000 {
            latency.record(Duration::from_millis(millis));
        }
        let summary = latency.summary().unwrap();
        assert_eq!(summary.count, 1000);
        for (got, want) in [(summary.p50, 500.0), (summary.p90, 900.0), (summary.p99, 990.0), (summary.max, 1000.0)] {
            assert!((got - want).abs() <= want * 0.001, "{got} is not {want}");
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_counted_at_the_bound() {
        let mut latency = Latency::default();
        latency.record(Duration::ZERO);
        latency.record_delta(TimeDelta::seconds(-1));
        latency.record(Duration::from_hours(100));
        let summary = latency.summary().unwrap();
        assert_eq!((summary.count, summary.p50), (3, 0.001));
        assert!(summary.max >= 3_590_000.0);
    }

    #[test]
    fn three_digits_are_enough() {
        for (millis, text) in
            [(0.4567, "0.46 ms"), (12.34, "12.3 ms"), (345.6, "346 ms"), (1234.0, "1.23 s"), (65_000.0, "65.0 s")]
        {
            assert_eq!(readable(millis), text);
        }
    }
}
