//! Waiting for something to come about, instead of sleeping and hoping.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// What any step of an order may take on a busy machine, and until work is taken over that a crash left claimed. Reached
/// only by tests that fail.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The wait between two looks, first and longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(15), Duration::from_millis(250));

/// Looks again and again until it sees what it looks for, and returns that.
///
/// # Panics
/// When the deadline has passed, with what it saw last.
pub async fn eventually<T, E: Display>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let began = Instant::now();
    let mut pause = PAUSE.0;
    loop {
        match look().await {
            Ok(seen) => return seen,
            Err(last) if began.elapsed() > deadline => {
                panic!("waited {} s in vain until {what}; last seen: {last}", deadline.as_secs())
            }
            Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(PAUSE.1);
    }
}

/// Waits for a moment of a schedule.
pub async fn until(moment: Instant) {
    tokio::time::sleep_until(moment.into()).await;
}

/// Looks again and again for `period`, and fails as soon as it does not see what must stay.
///
/// # Panics
/// When it does not stay.
pub async fn stays<E: Display>(what: &str, period: Duration, mut look: impl AsyncFnMut() -> Result<(), E>) {
    let began = Instant::now();
    while began.elapsed() < period {
        if let Err(seen) = look().await {
            panic!("{what} did not stay for {period:?}: {seen}");
        }
        tokio::time::sleep(PAUSE.1).await;
    }
}

/// `Ok` when `holds`, else `Err` with what was seen: for [`eventually`] and [`stays`].
///
/// # Errors
/// When it does not hold.
pub fn check(holds: bool, seen: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(seen()) }
}
