//! Two copies of each service against one. That nothing is doubled is among the checks of the load.

use anyhow::Result;

use super::figures::{Figures, Goal};
use super::load::Load;
use super::sizes::Sizes;
use super::world::World;

/// Measures.
///
/// # Errors
/// When something does not start, or a load finds a broken promise.
pub(super) fn measure(sizes: &Sizes, figures: &mut Figures) -> Result<()> {
    let mut world = World::new(sizes, Vec::new())?;
    let mailed = |world: &mut World, name: &str| -> Result<f64> {
        world.load(&Load::closed("warming up", sizes.warm_up, sizes.concurrency))?;
        Ok(world.load(&Load::closed(name, sizes.orders, sizes.concurrency))?.mailed().unwrap_or(f64::NAN))
    };
    let one = mailed(&mut world, "one copy")?;
    world.double()?;
    let two = mailed(&mut world, "two copies")?;
    figures.note("orders with one copy of each service", one, "/s");
    figures.note("orders with two copies of each", two, "/s");
    figures.judge("two copies against one", two / one, "×", Goal::AtLeast(1.0));
    Ok(())
}
