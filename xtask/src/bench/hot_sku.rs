//! All orders want the same sku, one row that all lock, against orders of 1,000 skus.

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
    world.load(&Load::closed("warming up", sizes.warm_up, sizes.concurrency))?;
    let mut mailed = |name: &str, skus: u32| -> Result<f64> {
        let load = Load::closed(name, sizes.orders, sizes.concurrency).with("--lines", 1).with("--skus", skus);
        Ok(world.load(&load)?.mailed().unwrap_or(f64::NAN))
    };
    let (many, one) = (mailed("1,000 skus", 1000)?, mailed("one sku", 1)?);
    figures.note("orders of one line among 1,000 skus", many, "/s");
    figures.note("orders for one sku", one, "/s");
    figures.judge("one sku against 1,000", one / many, "×", Goal::AtLeast(0.5));
    Ok(())
}
