//! What follows from what. One stopped service shows as orders that wait, old messages and a full queue as well: those
//! are told too, below it, with its name.

use super::Wrong;

/// What may lead to the thing of that key: beginnings of keys, the deepest cause first. `{}` is the service in the key.
fn causes(kind: &str) -> &'static [&'static str] {
    match kind {
        "unready" => &["broker"],
        "full" => &["broker", "silent-{}", "unready-{}", "locks-{}", "consumers-{}"],
        "consumers" => &["broker", "unready-{}", "locks-{}"],
        "publish" => &["broker", "limit-", "full-"],
        "outbox" => &["broker", "topology", "queue-", "limit-", "full-", "unready-{}", "publish-{}"],
        "requests" => &["broker", "topology", "limit-", "full-", "unready-{}", "locks-{}", "publish-{}", "outbox-{}"],
        "latency" => &["unready-{}", "locks-{}"],
        "messages" => &["unready-{}", "locks-{}", "dead-{}"],
        "long" => &["unready-{}", "locks-{}"],
        "age" => &["broker", "unready-{}", "locks-{}", "limit-{}", "full-{}", "publish-", "topology"],
        "stuck-inventory" => &[
            "broker",
            "topology",
            "queue-inventory",
            "silent-inventory",
            "unready-inventory",
            "locks-inventory",
            "limit-inventory",
            "full-inventory",
            "publish-order",
            "publish-inventory",
            "consumers-inventory",
            "consumers-order",
            "locks-order",
            "dead-inventory",
            "dead-order",
            "outbox-order",
            "outbox-inventory",
            "messages-inventory",
            "long-inventory",
        ],
        "stuck-payment" | "stuck-refund" => &["payment-provider"],
        "stuck-queue" => &["topology", "queue-"],
        "stuck-relay" => &["broker", "limit-", "full-", "publish-order", "outbox-order"],
        "behind" => &["unready-order", "locks-order"],
        _ => &[],
    }
}

/// Names what each thing follows from. What leads to something urgent is urgent.
pub(super) fn link(found: &mut [Wrong]) {
    let causes: Vec<Option<usize>> = (0..found.len()).map(|at| cause(found, at)).collect();
    for (at, cause) in causes.iter().enumerate() {
        found[at].follows = cause.map(|cause| found[cause].title.clone());
    }
    // a chain is no longer than there are things
    for _ in 0..found.len() {
        for (at, cause) in causes.iter().enumerate() {
            if let Some(cause) = *cause {
                found[cause].urgent |= found[at].urgent;
            }
        }
    }
}

/// Where the cause of the thing at that place is, if it is told as well.
fn cause(found: &[Wrong], at: usize) -> Option<usize> {
    let key = found[at].key.as_str();
    let (kind, rest) = key.split_once('-').unwrap_or((key, ""));
    let begins = |beginning: &&str| {
        let beginning = beginning.replace("{}", rest);
        found.iter().position(|other| other.key == beginning || is_below(&other.key, &beginning))
    };
    let causes = causes(if kind == "stuck" { key } else { kind });
    causes.iter().find_map(begins).filter(|cause| *cause != at)
}

/// Whether a beginning leaves open which service is meant, and this is one of them.
fn is_below(key: &str, beginning: &str) -> bool {
    beginning.ends_with('-') && key.starts_with(beginning)
}
