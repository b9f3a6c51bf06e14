//! Full load: how many orders a second go the whole way, what each costs whom, and how much memory that takes.

use anyhow::Result;

use super::figures::{Figures, Goal};
use super::load::{Load, Moment};
use super::sizes::Sizes;
use super::usage::{LOAD_GENERATOR, POSTGRESQL, RABBITMQ, Usage};
use super::world::World;
use crate::services::Service;

/// The most memory that the three services may have together, in megabytes.
pub(super) const MEMORY: Goal = Goal::AtMost(75.0);

/// Measures.
///
/// # Errors
/// When something does not start, or a load finds a broken promise.
pub(super) fn measure(sizes: &Sizes, figures: &mut Figures) -> Result<()> {
    let mut world = World::new(sizes, Vec::new())?;
    world.load(&Load::closed("warming up", sizes.warm_up, sizes.concurrency))?;
    let (mut before, mut used, mut peaks) = (Usage::default(), Usage::default(), [0.0; 3]);
    let load = Load::closed("full load", sizes.orders, sizes.concurrency);
    let report = world.load_with_stops(&load, |world, moment| {
        match moment {
            Moment::Ready => before = world.usage(),
            Moment::Placed => {}
            Moment::Settled => {
                used = world.usage().since(&before);
                peaks = Service::ALL.map(|service| world.peak_of(service));
            }
        }
        Ok(())
    })?;

    figures.judge_with_floor("orders confirmed and mailed", report.mailed(), "/s", 4000.0, 1500.0);
    figures.note("orders confirmed", report.number("/throughput/completed_per_second"), "/s");
    figures.note("orders accepted", report.accepted(), "/s");
    let costs = |program: &str| used.of(program).map(|seconds| seconds / f64::from(sizes.orders) * 1000.0);
    let services = Service::ALL.iter().map(|service| costs(service.name()));
    let per_thousand = "processor time of 1,000 orders";
    figures.judge(&format!("{per_thousand}: three services"), services.sum::<Option<f64>>(), "s", Goal::AtMost(0.12));
    for service in Service::ALL {
        figures.note(&format!("{per_thousand}: {}", service.name()), costs(service.name()), "s");
    }
    figures.judge(&format!("{per_thousand}: {POSTGRESQL}"), costs(POSTGRESQL), "s", Goal::AtMost(0.17));
    figures.judge(&format!("{per_thousand}: {RABBITMQ}"), costs(RABBITMQ), "s", Goal::AtMost(0.2));
    figures.note(&format!("{per_thousand}: {LOAD_GENERATOR}"), costs(LOAD_GENERATOR), "s");
    figures.judge("peak memory: three services", peaks.iter().sum::<f64>(), "MB", MEMORY);
    for (service, peak) in Service::ALL.iter().zip(peaks) {
        figures.note(&format!("peak memory: {}", service.name()), peak, "MB");
    }
    Ok(())
}
