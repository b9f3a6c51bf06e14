//! The broker, how it is set up, and its queues.

use contracts::event::Service;

use super::words::{count, span, stands, wrong};
use super::{Figures, Looked, Mismatch, Scene, Wrong};
use crate::queues::Waiting;

/// A work queue with more than this is long.
const LONG: u32 = 1000;

/// A work queue that has not been empty for so long is slow, if nothing says so before, and if it holds so many.
const SLOW: (std::time::Duration, u32) = (std::time::Duration::from_secs(60), 10);

/// What a service's relay says of itself while a queue takes nothing more.
const FULL: &str = "a queue is full";

pub(super) fn rules(scene: &Scene, found: &mut Vec<Wrong>) {
    let stands_elsewhere = |figures: &Figures| !figures.not_ready.contains_key("broker");
    let services_are_connected = scene.services.values().filter_map(Looked::figures).any(stands_elsewhere);
    if let Some(why) = scene.broker.as_ref().filter(|_| services_are_connected) {
        found.push(Wrong {
            urgent: false,
            helps: "Is the console's AMQP_URL right, with a user that may configure (RabbitMQ 4.3.0 wants that of who counts)? If the \
                    broker hangs, services notice within twenty seconds."
                .into(),
            runbook: "service-down",
            ..wrong(
                "console-broker",
                "The console cannot ask the broker",
                format!("RabbitMQ: {why}. Services are connected to it; the queues are shown as they count them."),
            )
        });
    } else if let Some(why) = &scene.broker {
        found.push(Wrong {
            helps: "Bring RabbitMQ back. Orders are taken meanwhile; their events go out in order by themselves."
                .into(),
            runbook: "service-down",
            ..wrong(
                "broker",
                "The broker does not answer",
                format!("RabbitMQ: {why}. No event travels between the services."),
            )
        });
    }
    found.extend(mismatch(&scene.setup.mismatches));
    for (service, queue) in &scene.queues {
        of_queue(scene, *service, queue, found);
    }
    found.extend(full(scene));
}

fn mismatch(mismatches: &[Mismatch]) -> Option<Wrong> {
    let first = mismatches.iter().find(|mismatch| mismatch.lost.is_some()).or(mismatches.first())?;
    let more = match mismatches.len() - 1 {
        0 => String::new(),
        more => format!(" And {more} more: `warren topology check` names them."),
    };
    let (title, means) = match &first.lost {
        Some((event, service)) => (
            format!("{event} does not reach {service}: the binding is missing"),
            format!(
                "Such events wait at their sender, or, where another queue takes them, pass {service} by, and `warren audit` \
                 names them."
            ),
        ),
        None => ("The broker is not as the catalogue says".to_owned(), "Events may reach nobody.".to_owned()),
    };
    Some(Wrong {
        helps: "`warren topology apply` restores it at once; a service does so itself within a minute, unless it is started \
                with TOPOLOGY=check. Events that waited then go out by themselves."
            .into(),
        runbook: "outbox-stuck",
        ..wrong("topology", title, format!("On the broker, {}. {means}{more}", first.told))
    })
}

fn of_queue(scene: &Scene, service: Service, queue: &Waiting, found: &mut Vec<Wrong>) {
    let answers = matches!(scene.services.get(&service), Some(Looked::Answers(_)));
    let Some(queued) = queue.queued else {
        found.push(Wrong {
            helps: "`warren topology apply` makes it.".into(),
            runbook: "consumer-missing",
            ..wrong(
                format!("queue-{service}"),
                format!("The queue {service} does not exist"),
                format!("Events for {service} reach nobody. {}", stands(service)),
            )
        });
        return;
    };
    let waiting = count(queued.into(), "message waits", "messages wait");
    if queue.consumers == 0 && answers {
        found.push(Wrong {
            helps: "Its /readyz and its log say why it does not consume; a restart connects it anew.".into(),
            runbook: "consumer-missing",
            ..wrong(
                format!("consumers-{service}"),
                format!("Nobody takes what is in the queue {service}"),
                format!("{waiting}, and no consumer. {}", stands(service)),
            )
        });
    }
    let since = scene.waiting.get(&service).copied().unwrap_or_default();
    if queue.consumers > 0 && (queued > LONG || (since > SLOW.0 && queued > SLOW.1)) {
        found.push(Wrong {
            urgent: queued > LONG,
            helps: "More comes than is handled. More copies of the service help, or what slows it down has to go."
                .into(),
            runbook: "queue-grows",
            ..wrong(
                format!("long-{service}"),
                format!("The queue {service} is long"),
                format!("{waiting}; it has not been empty for {}.", span(since)),
            )
        });
    }
    if queue.dead > 0 {
        found.push(dead(scene, service, queue.dead));
    }
}

/// Dead letters, with why messages failed for good, as far as the service has seen that since its start.
fn dead(scene: &Scene, service: Service, dead: u32) -> Wrong {
    let figures = scene.services.get(&service).and_then(Looked::figures);
    let seen: Vec<(&str, f64)> = figures
        .into_iter()
        .flat_map(|figures| &figures.dead)
        .map(|(kind, n)| (kind.as_str(), *n))
        .filter(|(_, count)| *count > 0.0)
        .collect();
    let letters = count(dead.into(), "dead letter", "dead letters");
    let title = match seen.as_slice() {
        // those from before its start are of any kind
        [(kind, seen)] if *seen >= f64::from(dead) => format!("{letters} of {service}: {}", reason(kind)),
        _ => format!("{letters} of {service}"),
    };
    let them = if dead == 1 { "it was" } else { "they were" };
    let causes = match seen.as_slice() {
        [] => String::new(),
        seen => {
            let told: Vec<String> = seen.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            format!(" Since {service} started: {}.", told.join(", "))
        }
    };
    Wrong {
        urgent: false,
        helps: "Look why, mend the cause, and replay what can be handled then; discard what never can.".into(),
        page: Some("/dead-letters"),
        runbook: "dead-letters",
        ..wrong(
            format!("dead-{service}"),
            title,
            format!(
                "What {them} to do has not happened, and waits for somebody's decision. Everything else goes on.{causes}"
            ),
        )
    }
}

/// A kind of error in words; other words than the kinds' own are those of a newer release.
fn reason(kind: &str) -> &str {
    match kind {
        "transient-exhausted" => "every retry failed",
        "malformed" => "no event that can be read (malformed)",
        "unknown-type" => "a type that it does not handle",
        "unsupported-version" => "a version that it does not know",
        "rejected" => "refused for good",
        "crashed-consumer" => "handling it ended the process",
        "too-large" => "larger than an event may be",
        other => other,
    }
}

/// The queue that takes nothing more, where somebody cannot publish for that reason: the one that is at the limit which a
/// policy sets, else the longest.
fn full(scene: &Scene) -> Option<Wrong> {
    let held_up = |looked: &Looked| {
        looked.figures().is_some_and(|figures| figures.not_ready.values().any(|why| why.contains(FULL)))
    };
    let senders: Vec<&str> =
        scene.services.iter().filter(|(_, looked)| held_up(looked)).map(|(service, _)| service.name()).collect();
    if senders.is_empty() {
        return None;
    }
    let queued = |service: &Service| scene.queues.get(service).and_then(|queue| queue.queued).map_or(0, u64::from);
    let limited = scene.setup.limits.iter().find(|(service, limit)| queued(service) >= **limit);
    let (service, limit) = match limited {
        Some((service, limit)) => (*service, Some(*limit)),
        None => (Service::ALL.into_iter().max_by_key(queued)?, None),
    };
    let holds = count(queued(&service) as f64, "message", "messages");
    let senders = senders.join(" and ");
    let takes = match limit {
        Some(limit) => format!("A policy of the broker lets it hold {limit}; it holds {holds}."),
        None => format!("It holds {holds}."),
    };
    let nobody = scene.queues.get(&service).is_some_and(|queue| queue.consumers == 0);
    let consumers = if nobody { " Nobody takes what is in it." } else { "" };
    Some(Wrong {
        helps: match limit {
            Some(_) => "Raise the limit or take the policy away (`rabbitmqctl list_policies`), and bring the queue's consumer back. What waits goes out by itself.",
            None => "Bring its consumer back, or add copies of the service. What waits goes out by itself.",
        }
        .into(),
        runbook: "queue-grows",
        ..wrong(
            // with a limit of its own it is no wonder that it is full, whoever consumes
            format!("{}-{service}", if limit.is_some() { "limit" } else { "full" }),
            format!("The queue {service} is full"),
            format!("{takes}{consumers} {senders} cannot publish: events wait in the log, in order. Orders are taken until OUTBOX_MAX events wait."),
        )
    })
}
