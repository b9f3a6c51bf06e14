//! `warren dlq` as it is typed, and against a real RabbitMQ without services.

use serde_json::Value;

use crate::fake::{Ran, warren};
use crate::topology::Vhost;

fn dlq(vhost: &Vhost, arguments: &[&str]) -> Ran {
    // nobody listens there: a service that cannot be asked
    let nowhere = "http://127.0.0.1:9";
    let variables = [
        ("AMQP_URL", vhost.amqp_url.as_str()),
        ("ORDER_URL", nowhere),
        ("INVENTORY_URL", nowhere),
        ("EMAIL_URL", nowhere),
    ];
    warren(&[&["dlq"], arguments].concat(), &variables)
}

fn with_topology() -> Vhost {
    let vhost = Vhost::new();
    assert_eq!(warren(&["topology", "apply"], &[("AMQP_URL", &vhost.amqp_url)]).status, 0);
    vhost
}

#[test]
fn wrong_usage_is_status_2() {
    let id = "0199c2b0-5a3e-7c11-9d51-2f4b8a6e0c77";
    for arguments in [
        &["dlq"][..],
        &["dlq", "list", "--queue", "orders"],
        &["dlq", "show"],
        &["dlq", "replay"],
        &["dlq", "replay", "--all", "--queue", "order"],
        &["dlq", "replay", "--all", id],
        &["dlq", "replay", "--group", "12345678", id],
        &["dlq", "replay", "--all", "--rate", "0"],
        &["dlq", "replay", "--all", "--rate", "-1"],
        &["dlq", "replay", "--all", "--rate", "quick"],
        &["dlq", "replay", "--all", "--canary", "--keep-going"],
        &["dlq", "edit", id],
        &["dlq", "edit", id, "--body", "/no/such/file"],
        &["dlq", "discard"],
        // no broker is named
        &["dlq", "list"],
        &["dlq", "log"],
    ] {
        let ran = warren(arguments, &[]);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{arguments:?}: {ran:?}");
        assert!(!ran.err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_broker_that_is_away_or_has_no_such_queue_is_status_1() {
    let away = warren(&["dlq", "list"], &[("AMQP_URL", "amqp://127.0.0.1:9")]);
    assert_eq!(away.status, 1);
    assert!(away.err.contains("cannot connect to the broker"), "{}", away.err);
    let vhost = Vhost::new();
    let missing = dlq(&vhost, &["list"]);
    assert_eq!(missing.status, 1);
    assert!(missing.err.contains("no queue order.dead") && missing.err.contains("topology apply"), "{}", missing.err);
}

#[test]
fn nothing_is_dead_and_looking_makes_nothing() {
    let vhost = with_topology();
    let list = dlq(&vhost, &["list", "--json"]);
    assert_eq!((list.status, list.out.trim()), (0, "[]"), "{list:?}");
    let log = dlq(&vhost, &["log", "--json"]);
    assert_eq!((log.status, log.out.trim()), (0, "[]"), "{log:?}");
    assert_eq!(dlq(&vhost, &["replay", "--all", "--dry-run"]).status, 0);
    assert_eq!(dlq(&vhost, &["replay", "--group", "12345678"]).status, 1);
    assert_eq!(vhost.queues().iter().filter(|name| name.starts_with("warren.")).count(), 0, "{:?}", vhost.queues());
}

#[test]
fn a_canary_needs_a_service_that_can_be_asked() {
    let vhost = with_topology();
    vhost.put("order.dead", "{}");
    let canary = dlq(&vhost, &["replay", "--all", "--canary"]);
    assert_eq!(canary.status, 1, "{canary:?}");
    assert!(canary.err.contains("a canary has to ask the service"), "{}", canary.err);
    let list: Value = serde_json::from_str(&dlq(&vhost, &["list", "--json"]).out).unwrap();
    assert_eq!(list[0]["count"], 1, "nothing was replayed");
    let id = list[0]["ids"][0].as_str().unwrap().to_owned();
    assert_eq!(dlq(&vhost, &["discard", &id]).status, 0);
    assert_eq!(dlq(&vhost, &["discard", &id]).status, 1);
    let log: Value = serde_json::from_str(&dlq(&vhost, &["log", "--json"]).out).unwrap();
    let actions: Vec<_> = log.as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["replay", "replay", "discard", "discard"], "{log}");
    assert!(log[1]["error"].as_str().unwrap().contains("canary"), "{log}");
}
