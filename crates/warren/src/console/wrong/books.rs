//! What does not add up, and read models that are behind.

use std::time::Duration;

use contracts::event::Service;

use super::words::{count, span, wrong};
use super::{Figures, Looked, Scene, Wrong};

/// A read model that is so many events behind is told whether it moves or not.
const BEHIND: f64 = 1000.0;

/// So many events are counted; of one that is further behind nobody can see whether it comes closer.
pub(in crate::console) const COUNTED: f64 = 100_000.0;

/// One that is behind at all and has not come closer for so long stands still.
const STILL: Duration = Duration::from_secs(20);

pub(super) fn rules(service: Service, figures: &Figures, found: &mut Vec<Wrong>) {
    for (check, number) in figures.drift.iter().filter(|(_, number)| **number > 0.0) {
        let (title, means) = match check.as_str() {
            "ledger" => (
                "A stock row is not what its ledger adds up to",
                format!("{}, so the shop sells by a wrong level", count(*number, "product differs", "products differ")),
            ),
            "history" => ("An order is not what its history says", count(*number, "order differs", "orders differ")),
            "mails-once" => ("A mail was sent twice", count(*number, "mail", "mails")),
            "mails-to-be-sent" => ("A mail will never be sent", count(*number, "mail", "mails")),
            _ => ("The books do not agree", count(*number, "thing", "things")),
        };
        let page = (check == "ledger").then_some("/stock");
        found.push(Wrong {
            helps: format!(
                "`warren audit` names what is wrong, and so does the log of `{service}`. Somebody has changed a database by \
                 hand, or there is a fault in the code: what was logged and counted is right, and the row is not."
            ),
            runbook: "audit-drift",
            page,
            ..wrong(format!("drift-{service}-{check}"), title, format!("{means} ({service}, check {check})."))
        });
    }
}

pub(super) fn read_models(scene: &Scene, found: &mut Vec<Wrong>) {
    let Some(figures) = scene.services.get(&Service::Order).and_then(Looked::figures) else { return };
    for (name, behind) in figures.projections.iter().filter(|(name, _)| !name.ends_with(".rebuild")) {
        let still = scene.still.get(name).copied().unwrap_or_default();
        let (title, since, helps) = if still > STILL {
            (
                format!("The read model {name} stands still"),
                format!(", and it has come no closer for {}", span(still)),
                "The log of `order` says why it cannot follow; where it says nothing, somebody holds its checkpoint, and the runbook has \
                 the statement that tells who. It then catches up by itself, thousands of events a second.",
            )
        } else if *behind > BEHIND {
            (
                format!("The read model {name} is behind"),
                String::new(),
                "It catches up by itself; `order projections verify` compares it with the log.",
            )
        } else {
            continue;
        };
        let events = match *behind {
            COUNTED.. => format!("{COUNTED} events or more are"),
            behind => count(behind, "event is", "events are"),
        };
        found.push(Wrong {
            urgent: false,
            helps: helps.into(),
            runbook: "read-model-lags",
            ..wrong(
                format!("behind-{name}"),
                title,
                format!("{events} not in it yet{since}. Reports and totals show an earlier moment; orders go on.",),
            )
        });
    }
}
