//! What the rules' sentences are made of.

use std::time::Duration;

use contracts::event::Service;

use super::{Scene, Wrong};
use crate::output;

/// Something wrong that is urgent, to be filled in.
pub(super) fn wrong(key: impl Into<String>, title: impl Into<String>, detail: impl Into<String>) -> Wrong {
    Wrong {
        key: key.into(),
        urgent: true,
        title: title.into(),
        detail: detail.into(),
        helps: String::new(),
        page: None,
        runbook: "README",
        follows: None,
    }
}

/// `1 order waits`, `2 orders wait`.
pub(super) fn count(number: f64, one: &str, many: &str) -> String {
    let noun = if number == 1.0 { one } else { many };
    format!("{number} {noun}")
}

/// A time that a person may read at a glance: `4.2s`, `1m 30s`.
pub(super) fn seconds(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 1e9);
    if seconds < 10.0 { format!("{seconds:.1}s") } else { span(Duration::from_secs_f64(seconds)) }
}

/// The same, of whole seconds.
pub(super) fn span(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        _ => output::duration(duration),
    }
}

/// What waits for a service, as a sentence with a space before it.
pub(super) fn waits(scene: &Scene, service: Service) -> String {
    match scene.queues.get(&service).and_then(|queue| queue.queued) {
        Some(0) | None => String::new(),
        Some(queued) => format!(" {} for it.", count(queued.into(), "message waits", "messages wait")),
    }
}

/// What does not happen while a service takes no messages. REST needs the database alone.
pub(super) fn stands(service: Service) -> &'static str {
    match service {
        Service::Order => "Orders are taken, and do not move on.",
        Service::Inventory | Service::Email => touches(service),
    }
}

/// What does not happen while a service does nothing.
pub(super) fn touches(service: Service) -> &'static str {
    match service {
        Service::Order => "No orders are taken.",
        Service::Inventory => "Orders are taken, and stay pending.",
        Service::Email => "Orders go on. No mails are sent.",
    }
}
