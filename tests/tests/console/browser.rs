//! The browser's part: a system with a bit of everything, and the specs of `tests/console` against it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use end_to_end::broker::Message;
use end_to_end::shop::{Customer, product, text};
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use end_to_end::console::Console;

/// How long the specs of one run may take.
const LIMIT: Duration = Duration::from_mins(20);

/// A fault of inventory's database that is no outage: publishing its answer fails.
const BREAK: &str = "
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused by the test'; end $$;
    create trigger refuse before insert on event for each row when (new.type = 'inventory.reserved') execute function refuse();
";
const REPAIR: &str = "drop trigger refuse on event; drop function refuse();";

/// How many orders become dead letters.
const BROKEN: usize = 4;

#[tokio::test]
async fn every_page_and_every_action_works_in_a_browser() {
    let tools = install().await;
    let system = System::start().await;
    let console = Console::of(&system).await;
    let customer = furnish(&system).await;
    let broken = break_some(&system, &customer).await;
    malformed(&system).await;

    let mut told = json!({
        "console": console.url,
        "token": system.tokens.staff(),
        "reader": system.tokens.scopes("orders:read inventory:read"),
        "customer": customer.id,
        "broken": broken,
    });
    specs(&tools, "working.spec.mjs", &told).await;

    // what the page has replayed has taken effect, and what it was to leave is left
    for order in &broken {
        system.reaches(order, &["confirmed"]).await;
    }

    told["broken"] = json!([]);
    system.inventory.kill().await;
    specs(&tools, "away.spec.mjs", &told).await;
    system.inventory.start_and_wait().await;
    system.finish().await;
}

/// Products of every kind of level, a customer, and an order of every end.
async fn furnish(system: &System) -> Customer {
    for (sku, cents, on_hand) in [("carrot-1kg", 199, 500), ("hay-bale", 1250, 80), ("hutch-small", 8990, 3)] {
        system.sell(sku, cents, on_hand).await;
    }
    let mut lamp = product("Burrow lamp", 2499);
    lamp["low_stock_threshold"] = json!(5);
    system.define("burrow-lamp", &lamp).await;
    let customer = system.customer().await;
    let confirmed = system.place(&customer, &[("carrot-1kg", 2), ("hay-bale", 1)]).await;
    system.reaches(text(&confirmed, "id"), &["confirmed"]).await;
    customer
}

/// Orders whose first event is a dead letter of inventory, and which a replay brings to a good end.
async fn break_some(system: &System, customer: &Customer) -> Vec<String> {
    system.database("inventory").execute(BREAK).await;
    let mut broken = Vec::new();
    for _ in 0..BROKEN {
        let order = system.place(customer, &[("carrot-1kg", 1)]).await;
        broken.push(text(&order, "id").to_owned());
    }
    let count = u32::try_from(BROKEN).expect("a few");
    dead(system, "inventory.dead", count).await;
    system.database("inventory").execute(REPAIR).await;
    broken
}

/// A message that no correction saves, and one that a correction of its data saves.
async fn malformed(system: &System) {
    let event = |id: uuid::Uuid| {
        json!({
            "specversion": "1.0", "id": id, "source": "/warren/inventory", "type": "inventory.low",
            "dataschema": "urn:warren:inventory.low:1", "subject": "burrow-lamp/low", "sequence": "1",
            "time": "2026-01-02T03:04:05.678Z", "datacontenttype": "application/json", "correlationid": "test",
            "causationid": "test", "data": {"sku": "burrow-lamp", "name": "Lamp of the body", "available": 0}
        })
    };
    let nonsense = Message::event(&event(uuid::Uuid::now_v7()));
    let nonsense = Message { body: b"neither JSON nor an event".to_vec(), ..nonsense };
    let incomplete = Message::event(&event(uuid::Uuid::now_v7()));
    system.broker.publish("inventory.low", &[incomplete, nonsense]).await;
    dead(system, "email.dead", 2).await;
}

async fn dead(system: &System, queue: &str, count: u32) {
    eventually(&format!("{queue} has {count}"), PATIENCE, async || {
        let waiting = system.broker.waiting(queue).await;
        check(waiting == Some(count), || format!("{waiting:?}"))
    })
    .await;
}

/// Gets Chromium, Node.js and Playwright, and returns the folder of the specs.
async fn install() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("console/install");
    let output = Command::new(&script).output().await.unwrap_or_else(|error| panic!("{}: {error}", script.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "what the browser's tests need cannot be had:\n{said}");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

async fn specs(tools: &Path, file: &str, told: &Value) {
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=spec", &format!("specs/{file}")]).current_dir(tools);
    command.env("CONSOLE_SYSTEM", told.to_string()).kill_on_drop(true);
    let ended = timeout(LIMIT, command.status()).await.unwrap_or_else(|_| panic!("{file} does not end"));
    let status = ended.expect("Node.js is installed");
    assert!(status.success(), "{file}: see above");
}
