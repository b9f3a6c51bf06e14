//! Orders that are only accepted, since the other services are stopped, beside what `pgbench` does with a plain order.

use anyhow::Result;

use super::figures::{Figures, Goal};
use super::load::{Load, Moment};
use super::pgbench::Plain;
use super::sizes::Sizes;
use super::world::World;
use crate::services::Service;

/// Connections to the order service, and clients of pgbench.
const CLIENTS: u32 = 32;

const OTHERS: [Service; 2] = [Service::Inventory, Service::Email];

/// Measures.
///
/// # Errors
/// When something does not start, or a load finds a broken promise.
pub(super) fn measure(sizes: &Sizes, figures: &mut Figures) -> Result<()> {
    let mut world = World::new(sizes, Vec::new())?;
    world.load(&Load::closed("warming up", sizes.warm_up, CLIENTS))?;
    let plain = Plain::prepare(&world.ground.infra, world.dir())?;
    let load = Load::closed("accepting orders", sizes.orders, CLIENTS);
    // Before and after, so that what changes on the machine meanwhile weighs on both.
    let (mut before, mut after) = (None, None);
    let report = world.load_with_stops(&load, |world, moment| {
        match moment {
            Moment::Ready => {
                world.stop(&OTHERS);
                before = plain.per_second(CLIENTS, sizes.seconds / 2)?;
            }
            Moment::Placed => {
                after = plain.per_second(CLIENTS, sizes.seconds / 2)?;
                world.start(&OTHERS)?;
            }
            Moment::Settled => {}
        }
        Ok(())
    })?;
    let (accepted, plain) = (report.accepted(), before.zip(after).map(|(before, after)| f64::midpoint(before, after)));
    figures.note("orders accepted, 32 connections", accepted, "/s");
    figures.note("plain order transactions of pgbench, 32 clients", plain, "/s");
    let ratio = accepted.zip(plain).map(|(accepted, plain)| accepted / plain);
    figures.judge("accepted against pgbench", ratio, "×", Goal::AtLeast(1.0));
    Ok(())
}
