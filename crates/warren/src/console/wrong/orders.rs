//! Orders that wait for too long, by what they wait for.

use std::time::Duration;

use contracts::event::Service;

use super::words::{count, wrong};
use super::{Figures, Looked, Scene, Wrong};

const MEND: &str =
    "Mend what holds it up: it then goes on by itself, and `Nudge` on its page repeats the step that it waits for.";

const LOST: &str = "Look at the order, and press `Nudge` on its page (`warren order nudge ORDER`): that publishes the step again, \
                    and has no second effect.";

/// So many orders are looked up for each thing that they wait for.
const LISTED: f64 = 1000.0;

pub(super) fn rules(scene: &Scene, figures: &Figures, found: &mut Vec<Wrong>) {
    let mut untold = figures.stuck;
    for (waits_for, number) in figures.stuck_for.iter().filter(|(_, number)| **number > 0.0) {
        untold -= number;
        found.push(stuck(scene, waits_for, *number));
    }
    // a release before this one tells their number alone
    if untold > 0.0 {
        found.push(stuck(scene, "", untold));
    }
}

fn stuck(scene: &Scene, waits_for: &str, number: f64) -> Wrong {
    // no more of them are looked up
    let orders = match number {
        LISTED.. => format!("{LISTED} orders or more wait"),
        _ => count(number, "order waits", "orders wait"),
    };
    let (title, detail, helps) = match waits_for {
        "inventory" if is_lost(scene) => (
            format!("{} on the way to inventory", count(number, "order was lost", "orders were lost")),
            "The order is there, and its event was published; inventory runs, its queue is empty, and it has not answered. So its \
             message is gone: purged from the queue, or discarded."
                .to_owned(),
            LOST,
        ),
        "inventory" => (
            format!("{orders} too long for inventory"),
            format!("The stock is not reserved, and the customer has no answer.{}", letters(scene)),
            MEND,
        ),
        "payment" => (
            format!("{orders} too long for the payment"),
            "The stock is reserved, and the provider has not charged it.".to_owned(),
            MEND,
        ),
        "refund" => (
            format!("{orders} too long for a refund"),
            "It is cancelled, and the provider has not given the money back.".to_owned(),
            MEND,
        ),
        "relay" | "queue" => (
            format!("{orders} too long until others are told"),
            "It has moved on, and its event is not published, or no queue takes it.".to_owned(),
            MEND,
        ),
        _ => (format!("{orders} too long"), "Each is listed with what it waits for, and why.".to_owned(), MEND),
    };
    Wrong {
        helps: helps.into(),
        page: Some("/orders?view=stuck"),
        runbook: "orders-stuck",
        ..wrong(format!("stuck-{waits_for}"), title, detail)
    }
}

/// Messages are nowhere when nothing has been on its way for so long: what a service has fetched is in no queue's count, and
/// is handled in less.
const QUIET: Duration = Duration::from_secs(10);

/// Whether what an order waits for is nowhere.
fn is_lost(scene: &Scene) -> bool {
    scene.quiet.is_some_and(|quiet| quiet >= QUIET)
}

/// Whether those that handle orders are well, and nothing is on its way to them.
pub(in crate::console) fn is_quiet(scene: &Scene) -> bool {
    let idle = |service: Service| {
        let ready = scene.services.get(&service).and_then(Looked::figures).is_some_and(|figures| {
            figures.not_ready.is_empty()
                && figures.oldest < 1.0
                && figures.breakers.get("publish").is_none_or(|state| *state == 0.0)
        });
        let empty = scene
            .queues
            .get(&service)
            .is_some_and(|queue| queue.consumers > 0 && queue.under_way() == 0 && queue.dead == 0);
        ready && empty && scene.recent.get(&service).is_none_or(|recent| recent.lock_wait < 1.0)
    };
    idle(Service::Inventory) && idle(Service::Order) && scene.setup.mismatches.is_empty() && scene.broker.is_none()
}

/// That its message may be a dead letter.
fn letters(scene: &Scene) -> String {
    match scene.queues.get(&Service::Inventory).map_or(0, |queue| queue.dead) {
        0 => String::new(),
        dead => {
            format!(" Its message may be among the {} of inventory.", count(dead.into(), "dead letter", "dead letters"))
        }
    }
}
