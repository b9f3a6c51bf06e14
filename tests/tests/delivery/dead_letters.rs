//! What an operator does with dead letters: finds out why, has the cause repaired, replays, edits, discards.

use std::path::PathBuf;

use end_to_end::broker::{Found, Message};
use end_to_end::operator::Operator;
use end_to_end::shop::text;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use lapin::BasicProperties;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::events::product_changed;
use crate::letters::{dead_letter, ids};

/// A fault in a database that is neither an outage nor a collision: publishing one type of event fails.
const BREAK: &str = "
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused by the test'; end $$;
    create trigger refuse before insert on event for each row when (new.type = 'inventory.reserved') execute function refuse();
";
const REPAIR: &str = "drop trigger refuse on event; drop function refuse();";

async fn waiting(system: &System, queue: &str, count: u32) {
    eventually(&format!("{queue} has {count}"), PATIENCE, async || {
        let waiting = system.broker.waiting(queue).await;
        check(waiting == Some(count), || format!("{waiting:?}"))
    })
    .await;
}

async fn inbox(system: &System, service: &str, event_id: &str) -> Value {
    system.service(service).api().get(&format!("/v1/ops/inbox/{event_id}")).await.expect(200)["state"].clone()
}

async fn retries(system: &System) -> f64 {
    let metric = system.inventory.metric("warren_retries_total", &[("queue", "inventory")]).await;
    metric.expect("metrics").unwrap_or_default()
}

#[tokio::test]
async fn a_repaired_fault_is_replayed_to_a_good_end() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let ada = Operator::named("ada", &system);
    assert_eq!(ada.dlq("list").await.ended(0).out, "", "there is nothing yet");

    system.database("inventory").execute(BREAK).await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    let order_id = text(&order, "id");
    let event_id = text(&system.history(order_id).await[0], "id").to_owned();
    waiting(&system, "inventory.dead", 1).await;
    assert_eq!(inbox(&system, "inventory", &event_id).await, "failed");
    assert_eq!(inbox(&system, "email", &event_id).await, "unknown");

    let groups = ada.groups("").await;
    let fields: Vec<&String> = groups[0].as_object().expect("a group").keys().collect();
    let expected =
        ["group", "queue", "type", "error_kind", "handler", "count", "first_failed_at", "last_failed_at", "ids"];
    assert_eq!(fields.len(), expected.len());
    assert!(expected.iter().all(|name| fields.iter().any(|field| field == name)), "{fields:?}");
    let [group] = groups.as_slice() else { panic!("one group: {groups:?}") };
    assert_eq!((text(group, "queue"), text(group, "type")), ("inventory", "order.created"));
    assert_eq!((text(group, "error_kind"), &group["count"]), ("transient-exhausted", &json!(1)));
    assert_eq!(group["ids"], json!([event_id]));
    assert!(text(group, "first_failed_at") < text(group, "last_failed_at"), "{group}");
    let name = text(group, "group");
    assert_eq!(ada.groups("--queue email").await, Vec::<Value>::new());
    let page = ada.dlq("list").await.ended(0).out;
    assert!(page.contains(name) && page.contains(&event_id), "{page}");

    let shown = ada.dlq(&format!("show {event_id} --json")).await.ended(0).json();
    assert_eq!((&shown["attempt"], &shown["body"]["subject"]), (&json!(4), &json!(order_id)), "{shown}");
    assert_eq!((text(&shown, "group"), text(&shown, "handler")), (name, text(group, "handler")), "{shown}");
    let page = ada.dlq(&format!("show {event_id}")).await.ended(0).out;
    assert!(page.contains("SQLSTATE P0001") && page.contains(order_id), "{page}");

    let planned = ada.dlq(&format!("replay --group {name} --dry-run --json")).await.ended(0).json();
    assert_eq!(planned, json!([group]), "a dry run tells what `list` tells, and changes nothing");
    assert_eq!(ids(&system.broker.peek("inventory.dead").await), [event_id.as_str()]);

    // Too early: it fails again, at once and not after another climb of the ladder.
    let climbed = retries(&system).await;
    let again = ada.dlq(&format!("replay {event_id} --json")).await.ended(1).json();
    assert_eq!((&again["replayed"], text(&again["failed"][0], "id")), (&json!(1), event_id.as_str()), "{again}");
    waiting(&system, "inventory.dead", 1).await;
    assert_eq!(retries(&system).await, climbed, "a replayed message has one attempt");
    let letter = system.broker.peek("inventory.dead").await.remove(0);
    assert_eq!((letter.header("attempt"), letter.header("original-routing-key")), ("5", "order.created"));
    assert_eq!(letter.header("first-failed-at"), text(group, "first_failed_at"), "{:?}", letter.headers);
    assert_eq!(ada.groups("").await[0]["group"], name, "the group has the same name");

    system.database("inventory").execute(REPAIR).await;
    ada.dlq(&format!("replay --group {name} --canary --rate 5")).await.ended(0);
    assert_eq!(text(&system.settled(order_id).await, "status"), "confirmed");
    assert_eq!(inbox(&system, "inventory", &event_id).await, "done");
    assert_eq!(system.broker.waiting("inventory.dead").await, Some(0));
    let gone = ada.dlq(&format!("replay {event_id}")).await.ended(1);
    assert!(gone.err.contains(&event_id), "{}", gone.err);
    ada.dlq(&format!("replay --group {name}")).await.ended(1);
    ada.dlq("replay --all").await.ended(0);

    let log = ada.dlq("log --json").await.ended(0).json();
    let lines: Vec<String> = log
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| {
            assert_eq!(text(line, "operator"), "ada", "{line}");
            format!("{} {} {}", text(line, "action"), text(line, "phase"), line["replayed"])
        })
        .collect();
    assert_eq!(&lines[..4], ["replay begin null", "replay end 1", "replay begin null", "replay end 1"], "{log}");
    system.finish().await;
}

#[tokio::test]
async fn what_cannot_even_be_read_can_be_shown_and_discarded() {
    let system = System::start().await;
    let ada = Operator::named("ada", &system);
    let marked = Uuid::now_v7().to_string();
    let broken = |body: &[u8], properties| Message { body: body.to_vec(), properties };
    let of_nobody = BasicProperties::default().with_delivery_mode(2);
    let messages = [
        broken(b"{\"id\": no", BasicProperties::default().with_message_id(marked.as_str().into())),
        broken(b"\x1b[2Jno \xff JSON", of_nobody.clone()),
        broken(b"", of_nobody.with_message_id("order 7\x07".into())),
    ];
    system.broker.put("order", &messages).await;
    waiting(&system, "order.dead", 3).await;

    let groups = ada.groups("").await;
    let [group] = groups.as_slice() else { panic!("one group: {groups:?}") };
    assert_eq!((text(group, "type"), text(group, "error_kind")), ("unknown", "malformed"));
    let ids: Vec<&str> = group["ids"].as_array().expect("ids").iter().filter_map(Value::as_str).collect();
    assert_eq!(ids[0], marked);
    assert!(ids[1].starts_with("body-"), "{ids:?}");
    assert_eq!(ids[2], "order 7\u{fffd}");
    assert_eq!(ada.groups("").await, groups, "they are called the same every time");

    let shown = ada.dlq(&format!("show {}", ids[1])).await.ended(0).out;
    assert!(shown.contains("no \u{fffd} JSON") && !shown.contains('\u{1b}'), "{shown}");
    let shown = ada.dlq(&format!("show {marked} --json")).await.ended(0).json();
    assert_eq!((&shown["body"], text(&shown, "body_text")), (&Value::Null, "{\"id\": no"));

    // It comes back at once, and the replay stops there.
    let again = ada.dlq("replay --queue order --canary --json").await.ended(1).json();
    assert_eq!(
        (&again["replayed"], &again["left"], &again["stopped"]),
        (&json!(1), &json!(2), &json!(true)),
        "{again}"
    );
    assert_eq!(text(&again["failed"][0], "id"), marked, "{again}");

    let nobody = Uuid::now_v7();
    for command in ["show", "discard", "replay"] {
        let told = ada.dlq(&format!("{command} {nobody}")).await.ended(1);
        assert!(told.err.contains(&nobody.to_string()), "{told:?}");
    }
    ada.dlq(&format!("discard {marked} {nobody}")).await.ended(1);
    assert_eq!(system.broker.waiting("order.dead").await, Some(3), "all or nothing");
    ada.dlq(&format!("discard {marked} {}", ids[1])).await.ended(0);
    assert_eq!(system.take_dead("order").await.len(), 1);
    let log = ada.dlq("log --json").await.ended(0).json();
    let discarded = log.as_array().expect("lines").iter().find(|line| line["action"] == "discard").expect("a line");
    let told: Vec<&str> =
        discarded["letters"].as_array().expect("letters").iter().map(|line| text(line, "id")).collect();
    assert!(told.len() == 2 && told.contains(&marked.as_str()) && told.contains(&ids[1]), "{log}");
    system.finish().await;
}

/// A file with that text, deleted with the system's folder of mails.
fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("warren-dlq-{}-{name}", Uuid::new_v4().simple()));
    std::fs::write(&path, text).expect("a file");
    path
}

#[tokio::test]
async fn a_corrected_body_is_checked_and_replayed() {
    let system = System::start().await;
    let ada = Operator::named("ada", &system);
    let good = product_changed("cup");
    let mut bad = good.clone();
    bad["data"].as_object_mut().expect("data").remove("unit_price");
    let id = text(&good, "id");
    system.broker.publish("product.changed", &[Message::event(&bad)]).await;
    waiting(&system, "order.dead", 1).await;
    let before = system.broker.peek("order.dead").await.remove(0);

    let with = |pointer: &str, value: Value| {
        let mut other = good.clone();
        *other.pointer_mut(pointer).expect("a field") = value;
        other.to_string()
    };
    for (name, body, why) in [
        ("text", "{".to_owned(), "not valid JSON"),
        ("data", bad.to_string(), "data: missing field `unit_price`"),
        ("id", with("/id", json!(Uuid::now_v7())), "id: "),
        ("type", with("/type", json!("order.exploded")), "dataschema"),
        ("price", with("/data/unit_price/amount", json!(-1)), "data.unit_price"),
        ("version", with("/dataschema", json!("urn:warren:product.changed:9")), "version 9"),
        ("subject", with("/subject", json!("saucer")), "subject"),
    ] {
        let path = file(name, &body);
        let told = ada.dlq(&format!("edit {id} --body {}", path.display())).await.ended(1);
        assert!(told.err.contains(why) && told.err.contains("nothing was changed"), "{name}: {}", told.err);
        let _ = std::fs::remove_file(path);
    }
    let after = system.broker.peek("order.dead").await.remove(0);
    // beside the broker's own count of how often it was looked at
    let ours = |letter: &Found| -> Vec<(String, String)> {
        let headers = letter.headers.iter().filter(|(name, _)| !name.starts_with("x-"));
        headers.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    assert!(after.body == before.body, "nothing was changed");
    assert_eq!(ours(&after), ours(&before), "nothing was changed");
    ada.dlq(&format!("edit {id} --body /no/such/file")).await.ended(2);
    let path = file("good", &good.to_string());
    ada.dlq(&format!("edit {} --body {}", Uuid::now_v7(), path.display())).await.ended(1);

    ada.dlq(&format!("edit {id} --body {}", path.display())).await.ended(0);
    let _ = std::fs::remove_file(path);
    assert_eq!(inbox(&system, "order", id).await, "done");
    let prices = system.database("order").rows("select amount from product where sku = 'cup'").await;
    assert_eq!(prices.len(), 1, "the product is known");
    assert_eq!(system.broker.waiting("order.dead").await, Some(0));
    system.finish().await;
}

#[tokio::test]
async fn an_event_that_is_dead_in_two_services_is_two_letters() {
    let system = System::start().await;
    let ada = Operator::named("ada", &system);
    let event = crate::events::order_cancelled(&crate::events::id());
    let id = text(&event, "id");
    for service in ["inventory", "email"] {
        let letter = dead_letter(Message::event(&event), "transient-exhausted", "Somebody");
        system.broker.put(&format!("{service}.dead"), &[letter.clone(), letter]).await;
    }
    let groups = ada.groups("").await;
    assert_eq!(groups.len(), 2, "{groups:?}");
    assert_ne!(groups[0]["group"], groups[1]["group"]);
    assert!(groups.iter().all(|group| group["count"] == 2 && group["ids"] == json!([id, id])), "{groups:?}");
    let path = file("whose", &event.to_string());
    let told = ada.dlq(&format!("edit {id} --body {}", path.display())).await.ended(1);
    assert!(told.err.contains("--queue"), "{}", told.err);
    let _ = std::fs::remove_file(path);
    assert_eq!(ada.dlq(&format!("discard --queue email {id} --json")).await.ended(0).json()["discarded"][1]["id"], id);
    ada.dlq(&format!("replay {id}")).await.ended(0);
    assert_eq!(inbox(&system, "inventory", id).await, "done");
    assert_eq!(inbox(&system, "email", id).await, "unknown");
    system.finish().await;
}
