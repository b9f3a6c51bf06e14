//! How long a service takes from its start to its first 200 of `/readyz`, where servers, schema and topology are there.

use anyhow::Result;

use super::figures::{Figures, Goal};
use super::sizes::Sizes;
use super::world::World;
use crate::services::Service;

/// Measures.
///
/// # Errors
/// When something does not start.
pub(super) fn measure(sizes: &Sizes, figures: &mut Figures) -> Result<()> {
    let mut world = World::new(sizes, Vec::new())?;
    for service in Service::ALL {
        let mut times = Vec::new();
        for _ in 0..sizes.starts {
            world.stop(&[service]);
            times.push(world.time_start(service)?.as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        let name = service.name();
        figures.judge(&format!("start of {name} to ready, median"), times[times.len() / 2], "ms", Goal::AtMost(150.0));
        figures.note(&format!("start of {name} to ready, longest"), times.last().copied(), "ms");
    }
    Ok(())
}
