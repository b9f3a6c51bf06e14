//! A short chaos of one seed. `cargo xtask chaos --seed N --minutes M` runs longer ones, by the same test.

use std::time::Duration;

/// The seed and the seconds of faults when nobody asks for others.
const USUAL: (u64, u64) = (1, 30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_breaks_no_promise() {
    let seed = variable("CHAOS_SEED").unwrap_or(USUAL.0);
    let seconds = variable("CHAOS_SECONDS").unwrap_or(USUAL.1);
    end_to_end::chaos::run(seed, Duration::from_secs(seconds)).await;
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is no whole number: {value}")))
}
