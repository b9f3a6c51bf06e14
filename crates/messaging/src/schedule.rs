//! The retry ladder: how long a failed message waits before each next attempt. A pure function over a table.

use std::str::FromStr;
use std::time::Duration;

/// The most rungs a ladder may have: each is a queue of its own in every service.
const MAX_RUNGS: usize = 20;

/// The longest delay. The broker counts a queue's TTL in 32-bit milliseconds; a day is more than a retry should wait.
const MAX_DELAY: Duration = Duration::from_hours(24);

/// The backoff schedule, `RETRY_DELAYS`: `1s,5s,30s,2m,10m`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule(Vec<Duration>);

impl RetrySchedule {
    /// How long to wait after attempt number `attempt` (1 is the first) has failed; `None` when it was the last.
    pub fn delay_after(&self, attempt: u32) -> Option<Duration> {
        let rung = usize::try_from(attempt.max(1) - 1).ok()?;
        self.0.get(rung).copied()
    }

    /// All delays, in order.
    pub fn delays(&self) -> &[Duration] {
        &self.0
    }

    /// How many attempts a message has in all.
    pub fn attempts(&self) -> usize {
        self.0.len() + 1
    }
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self([1, 5, 30, 120, 600].map(Duration::from_secs).to_vec())
    }
}

impl FromStr for RetrySchedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let delays: Vec<Duration> = text
            .split(',')
            .map(|part| match humantime::parse_duration(part.trim()) {
                Ok(delay)
                    if delay >= Duration::from_millis(1)
                        && delay <= MAX_DELAY
                        && delay.subsec_nanos() % 1_000_000 == 0 =>
                {
                    Ok(delay)
                }
                _ => Err(format!("{part:?} is not a delay of 1ms to 24h")),
            })
            .collect::<Result<_, _>>()?;
        if delays.len() > MAX_RUNGS {
            return Err(format!("more than {MAX_RUNGS} delays"));
        }
        Ok(Self(delays))
    }
}

/// A delay in the largest unit that divides it: 60 s is `1m`, 90 s stays `90s`. The name of its queue ends with it.
pub fn delay_name(delay: Duration) -> String {
    let millis = delay.as_millis();
    [(3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        .into_iter()
        .find(|(unit, _)| millis.is_multiple_of(*unit))
        .map_or_else(|| format!("{millis}ms"), |(unit, name)| format!("{}{name}", millis / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rung() {
        let schedule: RetrySchedule = "1s,5s,30s,2m,10m".parse().unwrap();
        assert_eq!(schedule, RetrySchedule::default());
        let waits: Vec<_> = (1..=6).map(|attempt| schedule.delay_after(attempt).map(delay_name)).collect();
        let expected = [Some("1s"), Some("5s"), Some("30s"), Some("2m"), Some("10m"), None];
        assert_eq!(waits, expected.map(|name| name.map(str::to_owned)));
    }

    #[test]
    fn names_take_the_largest_unit_that_divides() {
        for (text, name) in
            [("60s", "1m"), ("90s", "90s"), ("3600s", "1h"), ("1500ms", "1500ms"), ("1000ms", "1s"), ("24h", "24h")]
        {
            assert_eq!(delay_name(humantime::parse_duration(text).unwrap()), name);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "1", "0s", "1s,,2s", "-1s", "25h", "1us"] {
            assert!(bad.parse::<RetrySchedule>().is_err(), "{bad}");
        }
    }
}
