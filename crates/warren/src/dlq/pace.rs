//! How quickly a replay goes: the steps of a canary, and a rate that is never exceeded.

use std::time::Duration;

use tokio::time::Instant;

/// The most letters that are handed over at once.
const WINDOW: usize = 100;

/// With a rate, how many windows a second is divided into at most: what is handed over at once is a small part of it.
const SLOTS: f64 = 20.0;

/// From this step on a canary does not grow: so many failures can be dealt with.
const LARGEST_STEP: usize = 1000;

/// The steps of a canary: 1, 2, 5, 10, 20, 50, … 1000, 1000, …
#[derive(Debug)]
pub(super) struct Steps {
    step: usize,
    done: usize,
}

impl Steps {
    pub(super) fn new() -> Self {
        Self { step: 1, done: 0 }
    }

    /// How many letters this step has left.
    pub(super) fn room(&self) -> usize {
        self.step - self.done
    }

    /// So many of this step were handed over. Returns its size when that was all of it.
    pub(super) fn count(&mut self, letters: usize) -> Option<usize> {
        self.done += letters;
        (self.done >= self.step).then_some(self.step)
    }

    /// On to the next step.
    pub(super) fn advance(&mut self) {
        // 1 → 2 → 5 → 10: the first digit tells
        let grown = if self.step.to_string().starts_with('2') { self.step / 2 * 5 } else { self.step * 2 };
        *self = Self { step: grown.min(LARGEST_STEP), done: 0 };
    }
}

/// A rate: windows of the same size, never sooner after one another than the rate allows. A delay is not made up for.
#[derive(Debug)]
pub(super) struct Pace {
    window: usize,
    interval: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// At most `rate` letters in any second; as quickly as it goes without one.
    pub(super) fn new(rate: Option<f64>) -> Self {
        let Some(rate) = rate else { return Self { window: WINDOW, interval: Duration::ZERO, next: None } };
        let window = ((rate / SLOTS).floor() as usize).clamp(1, WINDOW);
        // whole windows, so that no second, wherever it begins, holds one too many
        let per_second = rate / window as f64;
        let per_second = if per_second > 1.0 { per_second.floor() } else { per_second };
        // a nanosecond more, since what a duration cannot hold is cut off
        let interval = Duration::from_secs_f64(1.0 / per_second) + Duration::from_nanos(1);
        Self { window, interval, next: None }
    }

    /// How many letters go at once.
    pub(super) fn window(&self) -> usize {
        self.window
    }

    /// When the next window may go; `None` when there is nothing to wait for.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next.filter(|next| *next > Instant::now())
    }

    /// A window goes now.
    pub(super) fn begin(&mut self) {
        self.next = (!self.interval.is_zero()).then(|| Instant::now() + self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_grows_and_then_stays() {
        let mut steps = Steps::new();
        let mut sizes = Vec::new();
        for _ in 0..12 {
            let room = steps.room();
            assert_eq!(steps.count(room), Some(room));
            sizes.push(room);
            steps.advance();
        }
        assert_eq!(sizes, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 1000, 1000]);
    }

    #[test]
    fn no_second_holds_more_than_the_rate() {
        for rate in [0.1, 0.5, 1.0, 2.5, 3.0, 19.0, 20.0, 33.0, 45.0, 100.0, 750.0, 1999.0, 10_000.0] {
            let pace = Pace::new(Some(rate));
            let starts = (1.0 / pace.interval.as_secs_f64()).ceil();
            let most = starts * pace.window as f64;
            assert!(most <= rate.max(1.0), "{rate}: {most} in a second");
            let average = pace.window as f64 / pace.interval.as_secs_f64();
            assert!(average >= rate * 0.75, "{rate}: only {average}");
        }
    }
}
