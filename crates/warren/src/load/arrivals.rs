//! When orders start: an open loop's timetable, and the thread that keeps it.

use std::str::FromStr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// The shortest sleep of the thread. At high rates several arrivals fall into one, which costs less and shifts none of
/// them by more than this.
const TICK: Duration = Duration::from_micros(500);

/// Arrivals per second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Rate(f64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            Ok(rate) if (0.001..=100_000.0).contains(&rate) => Ok(Self(rate)),
            _ => Err("not a number of orders per second, such as 500 or 0.5".to_owned()),
        }
    }
}

impl Rate {
    /// The number itself.
    pub(super) const fn per_second(self) -> f64 {
        self.0
    }

    /// When arrival number `index`, counted from 0, is to be, after the start.
    pub(super) fn offset(self, index: u32) -> Duration {
        Duration::from_secs_f64(f64::from(index) / self.0)
    }

    /// How many arrivals have been until then, at most `orders`.
    fn until(self, elapsed: Duration, orders: u32) -> u32 {
        let mut count = (elapsed.as_secs_f64() * self.0) as u32;
        // the product is rounded: the timetable itself decides
        while count < orders && self.offset(count) <= elapsed {
            count += 1;
        }
        count.min(orders)
    }

    /// Hands out one permit per arrival, at its time. A thread of its own, since the runtime's timers count in
    /// milliseconds and would show in every latency.
    pub(super) fn start(self, start: Instant, orders: u32) -> Arc<Semaphore> {
        let due = Arc::new(Semaphore::new(0));
        let gate = Arc::clone(&due);
        thread::spawn(move || {
            let mut arrived = 0;
            while arrived < orders && Arc::strong_count(&gate) > 1 {
                let now = self.until(start.elapsed(), orders);
                gate.add_permits((now - arrived) as usize);
                arrived = now;
                thread::sleep((self.offset(arrived).saturating_sub(start.elapsed())).max(TICK));
            }
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timetable_is_even() {
        let rate: Rate = "500".parse().unwrap();
        assert_eq!(rate.offset(0), Duration::ZERO);
        assert_eq!(rate.offset(1), Duration::from_millis(2));
        assert_eq!(rate.offset(30_000), Duration::from_secs(60));
    }

    #[test]
    fn an_arrival_is_counted_when_its_time_has_come() {
        for text in ["3", "500", "0.7", "1234.5"] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.until(Duration::ZERO, 9), 1);
            for index in 1..5000 {
                let at = rate.offset(index);
                assert_eq!(rate.until(at, 10_000), index + 1, "{text}: {index}");
                assert_eq!(rate.until(at - Duration::from_nanos(1000), 10_000), index, "{text}: {index}");
            }
            assert_eq!(rate.until(Duration::from_secs(1 << 20), 9), 9);
        }
    }

    #[test]
    fn rates_have_bounds() {
        for bad in ["", "0", "-1", "NaN", "inf", "100001", "fast"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn all_permits_come_and_not_before_their_time() {
        let rate: Rate = "2000".parse().unwrap();
        let start = Instant::now();
        let due = rate.start(start, 101);
        while due.available_permits() < 101 {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(start.elapsed() >= Duration::from_millis(50));
        assert_eq!(due.available_permits(), 101);
    }
}
