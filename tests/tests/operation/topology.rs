//! What stands on the broker, and how a service that may not declare it behaves.

use std::collections::{BTreeMap, BTreeSet};

use end_to_end::broker::{Message, Vhost};
use end_to_end::service::SERVICES;
use end_to_end::setup::RETRY_DELAYS;
use end_to_end::shop::text;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use serde_json::{Value, json};

/// What each service consumes.
const CONSUMED: [(&str, &[&str]); 3] = [
    ("order", &["product.changed", "inventory.reserved", "inventory.rejected"]),
    ("inventory", &["order.created", "order.confirmed", "order.cancelled"]),
    ("email", &["customer.registered", "customer.changed", "order.confirmed", "order.cancelled", "inventory.low"]),
];

fn names(list: &Value) -> BTreeSet<String> {
    let items = list.as_array().expect("a list").iter().map(|item| text(item, "name").to_owned());
    items.filter(|name| !name.is_empty() && !name.starts_with("amq.")).collect()
}

async fn bindings(broker: &Vhost) -> BTreeSet<(String, String, String)> {
    let all = broker.describe("bindings").await;
    let all = all.as_array().expect("a list").iter();
    all.filter(|binding| binding["source"] != "")
        .map(|binding| ["source", "routing_key", "destination"].map(|field| text(binding, field).to_owned()).into())
        .collect()
}

#[tokio::test]
async fn the_topology_is_the_one_of_the_interface() {
    let system = System::start().await;
    let queues = system.broker.describe("queues").await;
    let mut expected_queues = BTreeSet::new();
    let mut expected_exchanges = BTreeSet::from(["events".to_owned()]);
    for service in SERVICES {
        expected_queues.extend([service.to_owned(), format!("{service}.dead")]);
        expected_queues.extend(RETRY_DELAYS.split(',').map(|delay| format!("{service}.retry.{delay}")));
        expected_exchanges.extend(["retry", "redeliver", "dlx"].map(|name| format!("{service}.{name}")));
    }
    assert_eq!(names(&queues), expected_queues);
    assert_eq!(names(&system.broker.describe("exchanges").await), expected_exchanges);
    for queue in queues.as_array().expect("a list") {
        let name = text(queue, "name");
        let arguments = &queue["arguments"];
        assert_eq!((&queue["type"], &queue["durable"]), (&json!("quorum"), &json!(true)), "{queue}");
        assert!(arguments["x-delivery-limit"].is_i64(), "{queue}");
        if name.ends_with(".dead") {
            assert_eq!(arguments.get("x-max-length"), None, "dead letters have no length limit: {queue}");
            continue;
        }
        assert_eq!(arguments["x-max-length"], 100_000, "{queue}");
        assert_eq!(arguments["x-overflow"], "reject-publish", "{queue}");
        assert_eq!(arguments["x-dead-letter-strategy"], "at-least-once", "{queue}");
        let (service, exchange) = match name.split_once(".retry.") {
            Some((service, _)) => (service, format!("{service}.redeliver")),
            None => (name, format!("{name}.dlx")),
        };
        assert_eq!(text(arguments, "x-dead-letter-exchange"), exchange, "{service}: {queue}");
    }
    let of_events: BTreeMap<&str, BTreeSet<String>> =
        CONSUMED.map(|(service, types)| (service, types.iter().map(|name| (*name).to_owned()).collect())).into();
    let bindings = bindings(&system.broker).await;
    for (service, types) in of_events {
        let bound: BTreeSet<String> = bindings
            .iter()
            .filter(|(source, _, queue)| source == "events" && queue == service)
            .map(|(_, key, _)| key.clone())
            .collect();
        assert_eq!(bound, types, "what {service} hears of");
    }
    system.finish().await;
}

#[tokio::test]
async fn a_changed_schedule_makes_new_rungs_and_the_old_ones_drain() {
    let system = System::setup().env("RETRY_DELAYS", "1500ms,60s,90s").start().await;
    let queues = names(&system.broker.describe("queues").await);
    for rung in ["order.retry.1500ms", "order.retry.1m", "order.retry.90s"] {
        assert!(queues.contains(rung), "{rung} is not in {queues:?}");
    }
    // A message that waits on an old rung comes back to a service that has another ladder by then.
    let newer = json!({"specversion": "1.0", "id": "0198c0de-0000-7000-8000-00000000e0ff", "source": "/warren/order", "type": "order.exploded",
        "dataschema": "urn:warren:order.exploded:1", "subject": "x", "sequence": "1", "time": "2026-01-15T10:30:00Z", "correlationid": "c", "data": {}});
    system.broker.put("inventory", &[Message::event(&newer)]).await;
    eventually("it waits on the first rung", PATIENCE, async || {
        let waiting = system.broker.waiting("inventory.retry.1500ms").await;
        check(waiting == Some(1), || format!("{waiting:?}"))
    })
    .await;
    for name in SERVICES {
        system.service(name).set("RETRY_DELAYS", Some("200ms,300ms"));
    }
    system.inventory.restart().await;
    eventually("it is a dead letter", PATIENCE, async || {
        let waiting = system.broker.waiting("inventory.dead").await;
        check(waiting == Some(1), || format!("{waiting:?}"))
    })
    .await;
    let letter = system.take_dead("inventory").await.remove(0);
    assert_eq!((letter.header("error-kind"), letter.header("attempt")), ("unknown-type", "3"));
    for name in ["order", "email"] {
        system.service(name).restart().await;
    }
    system.finish().await;
}

#[tokio::test]
async fn who_may_not_declare_waits_until_the_queue_is_there() {
    let system = System::setup().prepare().await;
    system.migrate().await;
    for name in SERVICES {
        let service = system.service(name);
        service.set("TOPOLOGY", Some("check"));
        service.start();
    }
    eventually("inventory misses its queue", PATIENCE, async || {
        let (status, checks) = system.inventory.checks().await?;
        check(status == 503 && checks["consumer"] != "ok" && checks["database"] == "ok", || {
            format!("{status} {checks}")
        })
    })
    .await;
    assert!(names(&system.broker.describe("queues").await).is_empty(), "nobody declared anything");
    // Somebody who may declares all of it: here, one service of the same vhost in the other mode.
    system.order.stop().await;
    system.order.set("TOPOLOGY", Some("declare"));
    system.order.start_and_wait().await;
    for name in ["inventory", "email"] {
        system.service(name).ready().await;
    }
    system.finish().await;
}
