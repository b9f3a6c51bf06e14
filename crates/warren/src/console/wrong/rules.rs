//! The rules, one function per subject.

use std::time::Duration;

use contracts::event::Service;

use super::{Figures, Looked, Recent, Scene, Wrong};
use crate::output;

/// A work queue with more than this is long.
const LONG: u32 = 1000;

/// A work queue that has not been empty for so long is slow, if nothing says so before.
const SLOW: Duration = Duration::from_secs(60);

/// Seconds: an event that waits so long to be published, a message that is so old when it is handled, a request that
/// takes so long.
const LATE_EVENT: f64 = 10.0;
const OLD_MESSAGE: f64 = 10.0;
const SLOW_REQUEST: f64 = 1.0;

/// A read model that is so many events behind.
const BEHIND: f64 = 1000.0;

/// Parts of messages and requests that fail, and how many have to at least.
const MESSAGES_FAIL: (f64, f64) = (0.05, 3.0);
const REQUESTS_FAIL: (f64, f64) = (0.01, 3.0);

fn wrong(key: impl Into<String>, title: impl Into<String>, detail: impl Into<String>) -> Wrong {
    Wrong {
        key: key.into(),
        urgent: true,
        title: title.into(),
        detail: detail.into(),
        helps: "",
        page: None,
        runbook: "README",
    }
}

fn count(number: f64, one: &str, many: &str) -> String {
    let noun = if number == 1.0 { one } else { many };
    format!("{number} {noun}")
}

fn seconds(seconds: f64) -> String {
    output::duration(Duration::from_secs_f64(seconds.clamp(0.0, 1e9)))
}

/// What waits for a service, as a sentence.
fn waits(scene: &Scene, service: Service) -> String {
    match scene.queues.get(&service).and_then(|queue| queue.queued) {
        Some(0) | None => String::new(),
        Some(queued) => format!(" {} for it.", count(queued.into(), "message waits", "messages wait")),
    }
}

pub(super) fn broker(scene: &Scene) -> Vec<Wrong> {
    let mut found = Vec::new();
    if let Some(why) = &scene.broker {
        found.push(Wrong {
            helps: "Bring RabbitMQ back. Orders are taken meanwhile; their events go out in order by themselves.",
            runbook: "service-down",
            ..wrong(
                "broker",
                "The broker does not answer",
                format!("RabbitMQ: {why}. No event travels between the services."),
            )
        });
    }
    if let Some(first) = scene.differences.first() {
        let more = match scene.differences.len() - 1 {
            0 => String::new(),
            more => format!(" And {more} more: `warren topology check` names them."),
        };
        found.push(Wrong {
            helps: "A service restores its own bindings within a minute (TOPOLOGY=declare); else `warren topology apply`.",
            runbook: "orders-stuck",
            ..wrong("topology", "The broker is not as the catalogue says", format!("{first}.{more} Events may reach nobody."))
        });
    }
    found
}

pub(super) fn silent(scene: &Scene, service: Service, why: &str) -> Wrong {
    let means = match service {
        Service::Order => "No orders are taken.",
        Service::Inventory => "Orders stay pending.",
        Service::Email => "No mails are sent.",
    };
    Wrong {
        helps: "Start it. What waits for it is handled then; nothing is lost.",
        runbook: "service-down",
        ..wrong(
            format!("silent-{service}"),
            format!("{service} does not answer"),
            format!("{why}. {means}{}", waits(scene, service)),
        )
    }
}

pub(super) fn of_service(scene: &Scene, service: Service, figures: &Figures, found: &mut Vec<Wrong>) {
    let checks: Vec<String> = figures.not_ready.iter().map(|(check, state)| format!("{check}: {state}")).collect();
    if !checks.is_empty() {
        let names_database = figures.not_ready.contains_key("database");
        found.push(Wrong {
            helps: if names_database {
                "Bring its database back. Messages wait for it, and no attempt of theirs is spent."
            } else {
                "It goes on by itself once what it waits for is there; its log says what it tries."
            },
            runbook: "service-down",
            ..wrong(
                format!("unready-{service}"),
                format!("{service} is up, but not ready"),
                format!("{}.{}", checks.join("; "), waits(scene, service)),
            )
        });
    }
    for (name, state) in figures.breakers.iter().filter(|(_, state)| **state > 0.0) {
        found.push(breaker(service, name, *state, figures));
    }
    if figures.oldest > LATE_EVENT {
        found.push(Wrong {
            helps: "Is the broker reachable, and has the queue of its consumers room? Events go out in order by themselves.",
            runbook: "outbox-stuck",
            ..wrong(
                format!("outbox-{service}"),
                format!("Events of {service} are not published"),
                format!(
                    "{} to be published, the oldest for {}.",
                    count(figures.outbox, "event waits", "events wait"),
                    seconds(figures.oldest)
                ),
            )
        });
    }
    let recent = scene.recent.get(&service).copied().unwrap_or_default();
    of_moments(service, recent, found);
}

fn breaker(service: Service, name: &str, state: f64, figures: &Figures) -> Wrong {
    let (title, means, helps) = match name {
        "publish" => (
            format!("{service} cannot publish"),
            format!(
                "A queue is full, or the broker refuses: {} in its log.",
                count(figures.outbox, "event waits", "events wait")
            ),
            "Which queue is long? Bring its consumer back, or raise its limit. REST goes on until OUTBOX_MAX events wait.",
        ),
        "payment-provider" => (
            "The payment provider fails".to_owned(),
            "Orders stay reserved. The time for which an order waits for its payment stands still meanwhile."
                .to_owned(),
            "Nothing here: charges are asked again by themselves, under the same payment id.",
        ),
        "smtp" => (
            "The mail server refuses, or is away".to_owned(),
            "Mails stay queued. Orders go on.".to_owned(),
            "Look after the mail server, and SMTP_URL. Mails are sent by themselves when it is back.",
        ),
        other => (format!("The breaker {other} of {service} is open"), String::new(), "See the service's log."),
    };
    let state = if state < 1.5 { "It is being probed." } else { "It is left alone for a while, then probed." };
    let page = (name == "smtp").then_some("/mails");
    let detail = format!("{means} {state}").trim().to_owned();
    Wrong { helps, page, runbook: "breaker-open", ..wrong(format!("breaker-{service}-{name}"), title, detail) }
}

/// What a service did within the last minute.
fn of_moments(service: Service, recent: Recent, found: &mut Vec<Wrong>) {
    let fails = |(all, failed): (f64, f64), (part, least): (f64, f64)| failed >= least && failed / all > part;
    if fails(recent.messages, MESSAGES_FAIL) {
        let (all, failed) = recent.messages;
        found.push(Wrong {
            urgent: false,
            helps: "The service's log says why. They are tried again; what fails to the end becomes a dead letter.",
            runbook: "error-rate",
            ..wrong(
                format!("messages-{service}"),
                format!("Messages fail in {service}"),
                format!("{failed} of {all} within a minute."),
            )
        });
    }
    if fails(recent.requests, REQUESTS_FAIL) {
        let (all, failed) = recent.requests;
        found.push(Wrong {
            helps: "Is its database well? Its log has each failure with a request id.",
            runbook: "error-rate",
            ..wrong(
                format!("requests-{service}"),
                format!("Requests to {service} fail"),
                format!("{failed} of {all} within a minute got a status from 500 on."),
            )
        });
    }
    if let Some(latency) = recent.latency.filter(|latency| *latency > SLOW_REQUEST) {
        found.push(Wrong {
            urgent: false,
            helps: "As a rule its database is slow: locks, disk, or too few connections.",
            runbook: "messages-old",
            ..wrong(
                format!("latency-{service}"),
                format!("{service} answers slowly"),
                format!("One request in twenty takes longer than {}.", seconds(latency)),
            )
        });
    }
    if let Some(age) = recent.age.filter(|age| *age > OLD_MESSAGE) {
        found.push(Wrong {
            urgent: false,
            helps: "It does not keep up, or catches up after a pause: more copies help, or a quicker database.",
            runbook: "messages-old",
            ..wrong(
                format!("age-{service}"),
                format!("{service} is late"),
                format!("One message in twenty is older than {} when it is handled.", seconds(age)),
            )
        });
    }
}

/// What does not add up.
pub(super) fn of_books(service: Service, figures: &Figures, found: &mut Vec<Wrong>) {
    for (check, number) in figures.drift.iter().filter(|(_, number)| **number > 0.0) {
        let (title, means) = match check.as_str() {
            "ledger" => {
                ("A stock row is not what its ledger adds up to", count(*number, "product differs", "products differ"))
            }
            "history" => ("An order is not what its history says", count(*number, "order differs", "orders differ")),
            "mails-once" => ("A mail was sent twice", count(*number, "mail", "mails")),
            "mails-to-be-sent" => ("A mail will never be sent", count(*number, "mail", "mails")),
            _ => ("The books do not agree", count(*number, "thing", "things")),
        };
        let page = (check == "ledger").then_some("/stock");
        found.push(Wrong {
            helps: "`warren audit` names what is wrong. Somebody has changed a database by hand, or there is a fault in the code.",
            runbook: "audit-drift",
            page,
            ..wrong(format!("drift-{service}-{check}"), title, format!("{means} ({service}, check {check})."))
        });
    }
    if figures.stuck > 0.0 {
        found.push(Wrong {
            helps: "Look what each waits for, and nudge it once the cause is mended.",
            page: Some("/orders?view=stuck"),
            runbook: "orders-stuck",
            ..wrong(
                "stuck",
                format!("{} too long", count(figures.stuck, "order waits", "orders wait")),
                "Each is listed with what it waits for, and why.",
            )
        });
    }
    let late = figures.projections.iter().filter(|(name, behind)| **behind > BEHIND && !name.ends_with(".rebuild"));
    for (name, behind) in late {
        found.push(Wrong {
            urgent: false,
            helps: "It catches up by itself; `order projections verify` compares it with the log.",
            runbook: "read-model-lags",
            ..wrong(
                format!("behind-{name}"),
                format!("The read model {name} is behind"),
                format!("By {behind} events: reports and totals show an earlier moment."),
            )
        });
    }
}

pub(super) fn of_queues(scene: &Scene, found: &mut Vec<Wrong>) {
    for (service, queue) in &scene.queues {
        let answers = matches!(scene.services.get(service), Some(Looked::Answers(_)));
        let Some(queued) = queue.queued else {
            found.push(Wrong {
                helps: "`warren topology apply` makes it.",
                runbook: "consumer-missing",
                ..wrong(
                    format!("queue-{service}"),
                    format!("The queue {service} does not exist"),
                    "Events for it reach nobody.",
                )
            });
            continue;
        };
        if queue.consumers == 0 && answers {
            found.push(Wrong {
                helps: "Its /readyz and its log say why it does not consume; a restart connects it anew.",
                runbook: "consumer-missing",
                ..wrong(
                    format!("consumers-{service}"),
                    format!("Nobody takes what is in the queue {service}"),
                    format!("{}, and no consumer.", count(queued.into(), "message waits", "messages wait")),
                )
            });
        }
        let waiting = scene.waiting.get(service).copied().unwrap_or_default();
        if queue.consumers > 0 && (queued > LONG || waiting > SLOW) {
            found.push(Wrong {
                urgent: queued > LONG,
                helps: "More comes than is handled. More copies of the service help, or what slows it down has to go.",
                runbook: "queue-grows",
                ..wrong(
                    format!("long-{service}"),
                    format!("The queue {service} is long"),
                    format!(
                        "{}; it has not been empty for {}.",
                        count(queued.into(), "message waits", "messages wait"),
                        output::duration(waiting)
                    ),
                )
            });
        }
        if queue.dead > 0 {
            found.push(Wrong {
                urgent: false,
                helps: "See why, mend the cause, and replay them.",
                page: Some("/dead-letters"),
                runbook: "dead-letters",
                ..wrong(
                    format!("dead-{service}"),
                    format!("{} of {service}", count(queue.dead.into(), "dead letter", "dead letters")),
                    "A message that could not be handled waits for somebody's decision; what it was to do has not happened.",
                )
            });
        }
    }
}

pub(super) fn of_mails(scene: &Scene, found: &mut Vec<Wrong>) {
    let (failed, in_doubt) = scene.mails;
    if failed > 0.0 {
        found.push(Wrong {
            urgent: false,
            helps: "The log of mails has the server's words. Most often the address is wrong.",
            page: Some("/mails?status=failed"),
            runbook: "mails-in-doubt",
            ..wrong(
                "mails-failed",
                format!("{} for good", count(failed, "mail was refused", "mails were refused")),
                "Within the last quarter of an hour.",
            )
        });
    }
    if in_doubt > 0.0 {
        found.push(Wrong {
            urgent: false,
            helps: "Nothing has to be done: a copy has the same Message-ID.",
            page: Some("/mails"),
            runbook: "mails-in-doubt",
            ..wrong(
                "mails-in-doubt",
                format!("{} delivered twice", count(in_doubt, "mail may have been", "mails may have been")),
                "The mail server's answer was lost, within the last quarter of an hour.",
            )
        });
    }
}
