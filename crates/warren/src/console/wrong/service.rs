//! A service: whether it answers, whether it is ready, and what it cannot reach.

use contracts::event::Service;

use super::words::{count, seconds, stands, touches, waits, wrong};
use super::{Figures, Scene, Wrong};

/// An event that waits for so many seconds to be published is late.
const LATE_EVENT: f64 = 10.0;

/// A statement that waits for so many seconds for a lock is held up. Those of the services hold theirs for milliseconds.
const LOCKED: f64 = 1.0;

/// What a service says of its connection while the broker has raised an alarm.
const BLOCKED: &str = "alarm";

/// It does not answer.
pub(super) fn silent(scene: &Scene, service: Service, why: &str) -> Wrong {
    let (means, helps) = match why {
        "no answer in time" => (
            "It takes connections, and gives no answer in time: it hangs, or is frozen.",
            "Restart it. What waits for it is handled then; nothing is lost.",
        ),
        "connection refused" => (
            "Connection refused: nothing listens at its address, so it does not run.",
            "Start it. What waits for it is handled then; nothing is lost. If it ends again, the last line of its log says why.",
        ),
        _ => ("", "See whether it runs, and start it. What waits for it is handled then; nothing is lost."),
    };
    let means = if means.is_empty() { format!("{why}.") } else { means.to_owned() };
    Wrong {
        helps: helps.into(),
        runbook: "service-down",
        ..wrong(
            format!("silent-{service}"),
            format!("{service} does not answer"),
            format!("{means} {}{}", touches(service), waits(scene, service)),
        )
    }
}

/// What it says of itself.
pub(super) fn rules(scene: &Scene, service: Service, figures: &Figures, found: &mut Vec<Wrong>) {
    found.extend(unready(scene, service, figures));
    found.extend(locks(scene, service));
    for (name, state) in figures.breakers.iter().filter(|(_, state)| **state > 0.0) {
        found.push(breaker(service, name, *state, figures));
    }
    if figures.oldest > LATE_EVENT {
        found.push(Wrong {
            helps: "Is the broker reachable, and has the queue of its consumers room? Events go out in order by themselves.".into(),
            runbook: "outbox-stuck",
            ..wrong(
                format!("outbox-{service}"),
                format!("Events of {service} are not published"),
                format!(
                    "{} to be published, the oldest for {}. Nobody hears what {service} has done.",
                    count(figures.outbox, "event waits", "events wait"),
                    seconds(figures.oldest)
                ),
            )
        });
    }
}

fn unready(scene: &Scene, service: Service, figures: &Figures) -> Option<Wrong> {
    let publishes = figures.breakers.get("publish").is_none_or(|state| *state == 0.0);
    // a relay that pauses is told by its breaker, with why
    let told = |(check, _): &(&String, &String)| publishes || *check != "relay";
    let checks: Vec<(&String, &String)> = figures.not_ready.iter().filter(told).collect();
    if checks.is_empty() {
        return None;
    }
    let why = |name: &str| checks.iter().find(|(check, _)| *check == name).map(|(_, why)| *why);
    let all: Vec<String> = checks.iter().map(|(check, state)| format!("{check}: {state}")).collect();
    let (title, helps) = match (why("database"), why("migrations"), why("broker")) {
        (Some(_), ..) => (
            format!("The database of {service} does not answer"),
            "Bring its database back. Messages wait for it, and no attempt of theirs is spent.",
        ),
        (None, Some(_), _) => {
            (format!("The database of {service} does not fit it"), "Run its migrations; the reason names the command.")
        }
        (None, None, Some(why)) if why.contains(BLOCKED) => (
            format!("The broker takes nothing from {service}: it has raised an alarm"),
            "Free memory or disk on the broker's machine; `rabbitmq-diagnostics alarms` names what is short. Events wait in order, and go out by themselves.",
        ),
        (None, None, Some(_)) => (
            format!("{service} has no connection to the broker"),
            "It connects by itself as soon as it can; its log says what it tries.",
        ),
        _ => (
            format!("{service} is up, but not ready"),
            "It goes on by itself once what it waits for is there; its log says what it tries.",
        ),
    };
    let dead = why("database").or(why("migrations")).is_some();
    let effect = if dead { touches(service) } else { stands(service) };
    Some(Wrong {
        helps: helps.into(),
        runbook: "service-down",
        ..wrong(format!("unready-{service}"), title, format!("{}. {effect}{}", all.join("; "), waits(scene, service)))
    })
}

fn locks(scene: &Scene, service: Service) -> Option<Wrong> {
    let wait = scene.recent.get(&service).map_or(0.0, |recent| recent.lock_wait);
    (wait > LOCKED).then(|| Wrong {
        urgent: false,
        helps: "Find who holds it, with the statement in the runbook. A forgotten transaction is ended with \
                `select pg_terminate_backend(PID)`; nothing of Warren holds a lock for longer than its statements."
            .into(),
        runbook: "requests-slow",
        ..wrong(
            format!("locks-{service}"),
            format!("Somebody holds a lock in the database of {service}"),
            format!(
                "A statement of {service} has waited {} for it. What needs it waits as well: requests give up after 5s with \
                 503, messages and read models are tried again.",
                seconds(wait)
            ),
        )
    })
}

fn breaker(service: Service, name: &str, state: f64, figures: &Figures) -> Wrong {
    let state = if state < 1.5 { "It is being probed." } else { "It is left alone for a moment, then probed." };
    let (key, title, means, helps) = match name {
        "publish" => {
            let why = figures.not_ready.get("relay").map_or("the broker refuses", String::as_str);
            (
                format!("publish-{service}"),
                format!("{service} cannot publish"),
                format!(
                    "relay: {why}. {} in its log, in order; nothing is lost.",
                    count(figures.outbox, "event waits", "events wait")
                ),
                "Which queue is long? Bring its consumer back, or raise its limit. REST goes on until OUTBOX_MAX events wait.",
            )
        }
        "payment-provider" => {
            let reserved = figures.orders.get("reserved").copied().unwrap_or_default();
            (
                "payment-provider".to_owned(),
                "The payment provider fails, or cannot be reached".to_owned(),
                format!(
                    "{} for it. The time for which an order waits for its payment stands still meanwhile.",
                    count(reserved, "order is reserved and waits", "orders are reserved and wait")
                ),
                "Look whether the provider answers from where `order` runs; the log of `order` has its words. Charges are asked \
                 again by themselves, under the same payment id: nobody pays twice.",
            )
        }
        "smtp" => (
            "smtp".to_owned(),
            "The mail server refuses, or is away".to_owned(),
            "Mails stay queued. Orders go on.".to_owned(),
            "Look after the mail server, and SMTP_URL; the log of `email` has its words. Mails are sent by themselves when it is back.",
        ),
        other => (
            format!("breaker-{service}-{other}"),
            format!("The breaker {other} of {service} is open"),
            String::new(),
            "See the service's log.",
        ),
    };
    let page = match name {
        "smtp" => Some("/mails"),
        "payment-provider" => Some("/orders?status=reserved"),
        _ => None,
    };
    let detail = format!("{means} {state}").trim().to_owned();
    Wrong { helps: helps.into(), page, runbook: "breaker-open", ..wrong(key, title, detail) }
}
