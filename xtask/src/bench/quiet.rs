//! 100 orders per second: what a caller waits for without load, and how long his mail takes.

use anyhow::Result;

use super::figures::{Figures, Goal};
use super::load::Load;
use super::sizes::Sizes;
use super::world::World;

/// Arrivals per second.
const RATE: u32 = 100;

/// Measures.
///
/// # Errors
/// When something does not start, or a load finds a broken promise.
pub(super) fn measure(sizes: &Sizes, figures: &mut Figures) -> Result<()> {
    let mut world = World::new(sizes, Vec::new())?;
    world.load(&Load::closed("warming up", sizes.warm_up, sizes.concurrency))?;
    let load = Load { name: "without much load", orders: RATE * sizes.seconds, options: Vec::new() };
    let report = world.load(&load.with("--rate", RATE))?;
    for (name, pointer, most) in [
        ("POST at 100/s, p50", "/latency_ms/post/p50", 1.0),
        ("POST at 100/s, p99", "/latency_ms/post/p99", 4.0),
        ("POST to mail at 100/s, p50", "/latency_ms/to_mail/p50", 5.0),
        ("POST to mail at 100/s, p99", "/latency_ms/to_mail/p99", 12.0),
    ] {
        figures.judge(name, report.number(pointer), "ms", Goal::AtMost(most));
    }
    Ok(())
}
