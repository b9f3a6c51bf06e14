//! Orders are accepted while inventory is away, wait for it, and are worked off when it is back.

use std::time::Instant;

use anyhow::Result;

use super::figures::{Figures, Goal};
use super::full::MEMORY;
use super::load::{Load, Moment};
use super::sizes::Sizes;
use super::world::World;
use crate::process;
use crate::services::Service;

/// Measures.
///
/// # Errors
/// When something does not start, or a load finds a broken promise.
pub(super) fn measure(sizes: &Sizes, figures: &mut Figures) -> Result<()> {
    // What inventory's queue has no room for waits in order's log. By its default limit the service would refuse orders
    // when 100,000 wait there; so that as many as wanted can wait, whatever the queue takes, the limit is higher here.
    let outbox_max = (2 * sizes.backlog).max(200_000).to_string();
    process::say(&format!("{} orders shall wait: OUTBOX_MAX={outbox_max}", sizes.backlog));
    let mut world = World::new(sizes, vec![("OUTBOX_MAX", outbox_max)])?;
    world.load(&Load::closed("warming up", sizes.warm_up, sizes.concurrency))?;
    let (mut back, mut drained) = (Instant::now(), f64::NAN);
    let (mut waiting, mut draining) = ([0.0; 3], [0.0; 3]);
    let load = Load::closed("a backlog", sizes.backlog, sizes.concurrency);
    let report = world.load_with_stops(&load, |world, moment| {
        let peaks = |world: &World| Service::ALL.map(|service| world.peak_of(service));
        match moment {
            Moment::Ready => {
                world.forget_peaks();
                world.stop(&[Service::Inventory]);
            }
            Moment::Placed => {
                waiting = peaks(world);
                world.forget_peaks();
                process::say("inventory is back");
                back = Instant::now();
                world.start(&[Service::Inventory])?;
            }
            Moment::Settled => {
                drained = f64::from(sizes.backlog) / back.elapsed().as_secs_f64();
                draining = peaks(world);
            }
        }
        Ok(())
    })?;

    let accepted = report.accepted();
    figures.note("orders accepted while inventory was away", accepted, "/s");
    figures.note("orders worked off, confirmed and mailed", drained, "/s");
    let ratio = accepted.map(|accepted| drained / accepted);
    figures.judge("worked off against accepted", ratio, "×", Goal::AtLeast(1.0));
    let most: f64 = waiting.iter().zip(draining).map(|(waiting, draining)| waiting.max(draining)).sum();
    let all = format!("peak memory with {} waiting: three services", sizes.backlog);
    figures.judge(&all, most, "MB", MEMORY);
    for (service, peak) in Service::ALL.iter().zip(draining) {
        figures.note(&format!("peak memory while working off: {}", service.name()), peak, "MB");
    }
    Ok(())
}
