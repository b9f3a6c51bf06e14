//! The topology on a real broker, declared by a service and by an administrator.

use std::collections::BTreeSet;

use contracts::order::CustomerRegistered;
use contracts::values::CustomerId;
use messaging::harness::TestDatabase;
use messaging::settings::TopologyMode;
use messaging::topology::{Argument, EVENTS};
use serde_json::{Map, Value};

use crate::support::broker::Broker;
use crate::support::events::{message, registered};
use crate::support::node::{Node, Options, topology};
use crate::support::work::{Plan, takes_effect, with_effects};
use crate::support::{MIGRATOR, SOON, eventually, is, logs};

/// What `email` needs beside its work queue: to fail messages, and nothing else.
const WRITE: &str = r"^(events|email\.(retry|dlx))$";
const READ: &str = "^email$";

fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name].as_str().unwrap_or_default()
}

/// Fails unless the broker has exactly the topology.
async fn assert_as_declared(broker: &Broker) {
    let topology = topology();
    let exchanges = broker.list("exchanges").await;
    let found: BTreeSet<_> = exchanges
        .iter()
        .filter(|exchange| !text(exchange, "name").is_empty() && !text(exchange, "name").starts_with("amq."))
        .map(|exchange| (text(exchange, "name"), text(exchange, "type"), exchange["durable"] == true))
        .collect();
    assert_eq!(found, topology.exchanges.iter().map(|e| (e.name.as_str(), e.kind.as_str(), true)).collect());

    let queues = broker.list("queues").await;
    assert_eq!(queues.len(), topology.queues.len());
    for queue in &topology.queues {
        let found = queues.iter().find(|found| text(found, "name") == queue.name).expect("it is there");
        let mut arguments = Map::new();
        arguments.insert("x-queue-type".to_owned(), "quorum".into());
        for (name, argument) in &queue.arguments {
            let value = match argument {
                Argument::Text(text) => text.as_str().into(),
                Argument::Number(number) => (*number).into(),
            };
            arguments.insert((*name).to_owned(), value);
        }
        assert_eq!(
            (&found["arguments"], &found["durable"]),
            (&Value::Object(arguments), &Value::Bool(true)),
            "{}",
            queue.name
        );
    }

    let bindings = broker.list("bindings").await;
    let found: BTreeSet<_> = bindings
        .iter()
        .filter(|binding| !text(binding, "source").is_empty())
        .map(|binding| (text(binding, "source"), text(binding, "routing_key"), text(binding, "destination")))
        .collect();
    let declared = topology.bindings.iter().map(|b| (b.exchange.as_str(), b.key.as_str(), b.queue.as_str()));
    assert_eq!(found, declared.collect());
}

#[tokio::test]
async fn declaring_again_changes_nothing() {
    let broker = Broker::with(&topology()).await;
    assert_as_declared(&broker).await;
    let (connection, channel) = broker.channel().await;
    topology().declare(&channel).await.expect("what is there already stays as it is");
    connection.close(200, "declared".into()).await.expect("closed");
    assert_as_declared(&broker).await;
}

#[tokio::test]
async fn other_arguments_are_refused_and_left_alone() {
    let broker = Broker::with(&topology()).await;
    let (_connection, channel) = broker.channel().await;
    let mut other = topology();
    other.queues[0].arguments[0].1 = Argument::Number(7);
    let error = other.declare(&channel).await.expect_err("refused").to_string();
    assert!(error.contains("inequivalent arg 'x-max-length' for queue 'order'"), "{error}");
    assert_as_declared(&broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_declares_everything_itself_and_again_when_it_is_gone() {
    let (broker, database) = (Broker::empty().await, TestDatabase::create(&MIGRATOR).await);
    with_effects(database.pool()).await;
    let plan = Plan::new();
    let options = Options { topology: TopologyMode::Declare, ..Options::default() };
    let node = Node::start(broker.urls(), database.pool(), plan.subscriptions(), options).await;
    node.is_well("consumer").await;
    assert_as_declared(&broker).await;

    for queue in ["email", "email.dead", "order"] {
        broker.delete("queues", queue).await;
    }
    broker.delete("exchanges", "email.retry").await;
    broker.close_connections("publisher").await;
    eventually(SOON, async || is(broker.list("queues").await.len(), topology().queues.len())).await;
    node.is_well("broker").await;
    node.is_well("consumer").await;
    broker.is_bound(&topology()).await;
    assert_as_declared(&broker).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_check_a_user_without_the_right_to_configure_will_do() {
    let mut broker = Broker::with(&topology()).await;
    let database = TestDatabase::create(&MIGRATOR).await;
    with_effects(database.pool()).await;
    let (user, password) = broker.user("^$", WRITE, READ).await;
    let plan = Plan::new();
    let urls = broker.urls_of(&user, &password);
    let node = Node::start(urls, database.pool(), plan.subscriptions(), Options::default()).await;
    node.is_well("consumer").await;
    let event = |name: &str| -> CustomerRegistered { registered(CustomerId::new(), name) };
    let [good, again, reject] = ["good", "again 1", "reject"].map(|name| message(&event(name)));
    broker.publish(&[good.1, again.1, reject.1]).await;
    takes_effect(database.pool(), good.0).await;
    takes_effect(database.pool(), again.0).await;
    eventually(SOON, async || is(broker.waiting_in("email.dead").await, 1)).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_check_it_is_said_what_is_missing_and_waited_for() {
    let mut broker = Broker::empty().await;
    let database = TestDatabase::create(&MIGRATOR).await;
    with_effects(database.pool()).await;
    let (user, password) = broker.user("^$", WRITE, READ).await;
    let plan = Plan::new();
    let urls = broker.urls_of(&user, &password);
    let node = Node::start(urls, database.pool(), plan.subscriptions(), Options::default()).await;
    node.complains("consumer", r#"queue "email" cannot be consumed"#).await;
    node.complains("consumer", "no queue 'email'").await;
    node.complains("consumer", "is the topology applied?").await;
    assert!(broker.list("queues").await.is_empty(), "it declares nothing");

    let (connection, channel) = broker.channel().await;
    topology().declare(&channel).await.expect("applied");
    connection.close(200, "applied".into()).await.expect("closed");
    node.is_well("consumer").await;
    let (id, message) = message(&registered(CustomerId::new(), "good"));
    broker.publish(&[message]).await;
    takes_effect(database.pool(), id).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_rights_is_told_so_and_declares_nothing() {
    logs::keep();
    let mut broker = Broker::empty().await;
    let database = TestDatabase::create(&MIGRATOR).await;
    let (user, password) = broker.user("^$", "^$", "^$").await;
    let options = Options { topology: TopologyMode::Declare, ..Options::default() };
    let urls = broker.urls_of(&user, &password);
    let node = Node::start(urls, database.pool(), Plan::new().subscriptions(), options).await;
    // the broker closes what it was declared on, so "connected" is short; that it was is what this says
    eventually(
        SOON,
        async || {
            if logs::with("topology not declared").is_empty() { Err("not said".to_owned()) } else { Ok(()) }
        },
    )
    .await;
    assert!(broker.list("exchanges").await.iter().all(|exchange| text(exchange, "name") != EVENTS));
    node.stop().await;
}
