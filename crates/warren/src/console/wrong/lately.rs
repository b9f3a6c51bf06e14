//! What a service did within the last moments: failures, and how long it takes.

use contracts::event::Service;

use super::words::{count, seconds, wrong};
use super::{Recent, Scene, Wrong};

/// A message that is so many seconds old when it is handled, and a request that takes so long.
const OLD_MESSAGE: f64 = 10.0;
const SLOW_REQUEST: f64 = 1.0;

/// Parts of messages and requests that fail, and how many have to at least.
const MESSAGES_FAIL: (f64, f64) = (0.05, 3.0);
const REQUESTS_FAIL: (f64, f64) = (0.01, 3.0);

pub(super) fn rules(service: Service, recent: Recent, found: &mut Vec<Wrong>) {
    let fails = |(all, failed): (f64, f64), (part, least): (f64, f64)| failed >= least && failed / all > part;
    if fails(recent.messages, MESSAGES_FAIL) {
        let (all, failed) = recent.messages;
        found.push(Wrong {
            urgent: false,
            helps: "The service's log says why. They are tried again; what fails to the end becomes a dead letter."
                .into(),
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
            helps: "Is its database well? Its log has each failure with a request id.".into(),
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
            helps: "As a rule its database is slow: locks, disk, or too few connections.".into(),
            runbook: "requests-slow",
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
            helps: "It does not keep up, or catches up after a pause: more copies help, or a quicker database.".into(),
            runbook: "messages-old",
            ..wrong(
                format!("age-{service}"),
                format!("{service} is late"),
                format!("One message in twenty is older than {} when it is handled.", seconds(age)),
            )
        });
    }
}

pub(super) fn mails(scene: &Scene, found: &mut Vec<Wrong>) {
    let (failed, in_doubt) = scene.mails;
    if failed > 0.0 {
        found.push(Wrong {
            urgent: false,
            helps: "The log of mails has the server's words. Most often the address is wrong.".into(),
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
            helps: "Nothing has to be done: a copy has the same Message-ID.".into(),
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
