//! The relay when the broker is full, incomplete or away.

use contracts::event::Service;
use lapin::options::QueueBindOptions;
use lapin::types::FieldTable;
use messaging::harness::TestDatabase;
use messaging::settings::{AmqpUrls, TopologyMode};
use messaging::topology::EVENTS;

use crate::relay::{nothing, order};
use crate::support::broker::Broker;
use crate::support::events::{Customer, context, count};
use crate::support::node::{Node, Options, topology};
use crate::support::tap::{Letter, Tap, assert_in_order};
use crate::support::{MIGRATOR, SOON, eventually, is};

/// Publishes one event of a product, which goes to `order` alone.
async fn product_changes(database: &messaging::tx::Database, name: &str) {
    let sku: contracts::values::Sku = name.parse().expect("a sku");
    let price = serde_json::from_str(r#"{"amount": 100, "currency": "EUR"}"#).expect("money");
    let event = contracts::inventory::ProductChanged { sku, name: name.to_owned(), unit_price: price, active: true };
    let mut tx = database.begin(context()).await.expect("a transaction");
    tx.publish(&mut messaging::tx::Head::NONE.clone(), &event).await.expect("published");
    tx.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_opens_the_breaker_and_its_events_wait_in_order() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    broker.limit("email", 10).await;
    let node = order(&broker, &database).await;
    let customers = Customer::several(10);
    let mut published = 0;
    // a quorum queue says only after a while that it is full
    eventually(SOON, async || {
        for customer in &customers {
            customer.changes(&node.database).await;
        }
        published += 10;
        is(node.breaker(), 2)
    })
    .await;
    node.complains("relay", "paused: a queue is full").await;
    for _ in 0..5 {
        for customer in &customers {
            customer.changes(&node.database).await;
        }
    }
    published += 50;
    eventually(
        SOON,
        async || if node.database.outbox().pending() >= 50 { Ok(()) } else { Err("not counted".to_owned()) },
    )
    .await;
    assert_eq!(count(database.pool(), "select count(*) from set_aside").await, 0, "full is not missing");

    // the consumer is back
    let tap = Tap::on(&broker, "email").await;
    let letters = tap.until(published).await;
    assert_in_order(&letters);
    node.is_well("relay").await;
    assert_eq!(node.breaker(), 0);
    node.has_published_everything().await;
    eventually(SOON, async || is(node.database.outbox().pending(), 0)).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_no_queue_takes_waits_with_the_later_ones_of_its_subject() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let (_connection, channel) = broker.channel().await;
    let [email, events, changed] = ["email", EVENTS, "customer.changed"].map(lapin::types::ShortString::from);
    let unbind = channel.queue_unbind(email.clone(), events.clone(), changed.clone(), FieldTable::default());
    unbind.await.expect("unbound");
    let tap = Tap::on(&broker, "email").await;
    let node = order(&broker, &database).await;
    let [held, free] = [Customer::new(), Customer::new()];
    let mut expected = vec![held.registers(&node.database).await, free.registers(&node.database).await];
    tap.until(2).await;

    let waiting = vec![held.changes(&node.database).await];
    eventually(SOON, async || is(count(database.pool(), "select count(*) from set_aside").await, 1)).await;
    // later ones of its subject wait behind it, also those that a queue would take; others go on
    let mut waiting = waiting;
    waiting.push(held.registers(&node.database).await);
    waiting.push(held.changes(&node.database).await);
    expected.push(free.registers(&node.database).await);
    tap.until(3).await;
    eventually(SOON, async || is(count(database.pool(), "select count(*) from set_aside").await, 3)).await;
    eventually(SOON, async || is(node.database.outbox().pending(), 3)).await;
    node.is_well("relay").await;
    assert_eq!(node.breaker(), 0, "missing is not full");

    // the next leader knows of them, and so does one after a crash
    node.kill().await;
    let node = order(&broker, &database).await;
    waiting.push(held.registers(&node.database).await);
    eventually(SOON, async || is(count(database.pool(), "select count(*) from set_aside").await, 4)).await;
    let ids = |letters: Vec<Letter>| letters.iter().map(Letter::id).collect::<Vec<_>>();
    let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
    assert_eq!(ids(tap.letters()), expected);

    let bind = channel.queue_bind(email, events, changed, QueueBindOptions::default(), FieldTable::default());
    bind.await.expect("bound again");
    let letters = tap.until(7).await;
    let waited: Vec<String> = waiting.iter().map(ToString::to_string).collect();
    assert_eq!(ids(letters)[3..], waited, "in order");
    node.has_published_everything().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_events_that_were_set_aside_leave_quickly_and_one_missing_binding_holds_up_no_other() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let (_connection, channel) = broker.channel().await;
    let [email, events] = ["email", EVENTS].map(lapin::types::ShortString::from);
    for key in ["customer.changed", "customer.registered"] {
        let unbind = channel.queue_unbind(email.clone(), events.clone(), key.into(), FieldTable::default());
        unbind.await.expect("unbound");
    }
    let node = order(&broker, &database).await;
    // the older ones are those whose binding stays away
    for customer in Customer::several(120) {
        customer.changes(&node.database).await;
    }
    for customer in Customer::several(250) {
        customer.registers(&node.database).await;
    }
    eventually(SOON, async || is(count(database.pool(), "select count(*) from set_aside").await, 370)).await;
    let tap = Tap::on(&broker, "email").await;
    let bind = channel.queue_bind(
        email,
        events,
        "customer.registered".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bind.await.expect("bound again");
    let letters = tap.until(250).await;
    assert!(letters.iter().all(|letter| letter.routing_key == "customer.registered"));
    eventually(SOON, async || is(count(database.pool(), "select count(*) from set_aside").await, 120)).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_loses_no_event() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let tap = Tap::on(&broker, "email").await;
    let node = order(&broker, &database).await;
    node.is_well("broker").await;
    let customers = Customer::several(10);
    let publishing = async {
        for round in 0..30 {
            for customer in &customers {
                customer.changes(&node.database).await;
            }
            if round % 10 == 5 {
                broker.close_connections("publisher").await;
            }
        }
    };
    publishing.await;
    let letters = tap.until(300).await;
    assert_in_order(&letters);
    node.has_published_everything().await;
    node.is_well("broker").await;
    node.is_well("relay").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_exchange_is_declared_again_and_the_relay_goes_on() {
    let broker = Broker::empty().await;
    let database = TestDatabase::create(&MIGRATOR).await;
    let options = Options { topology: TopologyMode::Declare, ..Options::default() };
    let node = Node::start(broker.urls(), database.pool(), nothing(), options).await;
    node.is_well("consumer").await;
    let tap = Tap::on(&broker, "email").await;
    let customer = Customer::new();
    customer.registers(&node.database).await;
    tap.until(1).await;

    broker.delete("exchanges", EVENTS).await;
    for _ in 0..5 {
        customer.changes(&node.database).await;
    }
    assert_in_order(&tap.until(6).await);
    node.has_published_everything().await;
    node.is_well("relay").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_starts_without_its_broker_or_database_waits_for_them() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    // a port that nobody listens on, as long as this listener is not accepted from
    let nowhere = "amqp://guest:guest@127.0.0.1:1/%2f".parse().expect("a URL");
    let node = Node::start(nowhere, database.pool(), nothing(), Options::default()).await;
    node.complains("broker", "not connected").await;
    Customer::new().registers(&node.database).await;
    eventually(SOON, async || is(node.database.outbox().pending(), 1)).await;
    node.stop().await;

    let name = crate::support::name_of(database.pool()).await;
    crate::support::take_away(&name).await;
    let node = order(&broker, &database).await;
    node.complains("relay", "database is away").await;
    node.complains("consumer", "database is away").await;
    crate::support::bring_back(&name).await;
    let tap = Tap::on(&broker, "email").await;
    tap.until(1).await;
    node.is_well("relay").await;
    node.is_well("consumer").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_full_queue_does_not_drown_the_others_in_copies() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    // both `inventory` and `email` consume cancellations
    broker.limit("email", 5).await;
    let inventory = Tap::on(&broker, "inventory").await;
    let node = order(&broker, &database).await;
    let cancelled = async || {
        let order_id = contracts::values::OrderId::new();
        let event: contracts::order::OrderCancelled = serde_json::from_value(serde_json::json!({
            "order_id": order_id, "customer_id": contracts::values::CustomerId::new(), "reason": "requested"
        }))
        .expect("a cancellation");
        let mut tx = node.database.begin(context()).await.expect("a transaction");
        tx.publish(&mut messaging::tx::Head::NONE.clone(), &event).await.expect("published");
        tx.commit().await.expect("committed");
    };
    let mut published = 0;
    eventually(SOON, async || {
        cancelled().await;
        published += 1;
        is(node.breaker(), 2)
    })
    .await;
    for _ in 0..100 {
        cancelled().await;
    }
    let before = inventory.letters().len();
    // one probe at a time, ever more rarely: after some seconds there are a few copies, not hundreds
    node.complains("relay", "paused").await;
    eventually(
        SOON,
        async || if inventory.letters().len() > before + 3 { Ok(()) } else { Err("no probe yet".to_owned()) },
    )
    .await;
    assert!(inventory.letters().len() < before + 20, "{} copies", inventory.letters().len() - before);

    let email = Tap::on(&broker, "email").await;
    email.until(published + 100).await;
    inventory.until(published + 100).await;
    node.has_published_everything().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_any_service_leave_from_its_own_log() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let subscriptions = messaging::handler::Subscriptions::new(Service::Inventory, messaging::handler::NoLocks);
    let node = Node::start(broker.urls(), database.pool(), subscriptions, Options::default()).await;
    let tap = Tap::on(&broker, "order").await;
    product_changes(&node.database, "tea").await;
    let letter = tap.until(1).await.remove(0);
    assert_eq!(letter.place(), ("tea".to_owned(), 1));
    assert_eq!(letter.properties.app_id().as_ref().map(|id| id.as_str()), Some("inventory"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_takes_connections_and_says_nothing_is_passed_over() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let frozen = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let urls = broker.urls();
    let urls = format!("amqp://{},{}", frozen.local_addr().expect("an address"), urls.all()[0]);
    let node = Node::start(urls.parse().expect("two URLs"), database.pool(), nothing(), Options::default()).await;
    node.is_well("broker").await;
    Customer::new().registers(&node.database).await;
    node.has_published_everything().await;
    // and when it has to connect again, that node is asked with care and costs no thread
    broker.close_connections("publisher").await;
    node.complains("broker", "not connected").await;
    node.is_well("broker").await;
    node.stop().await;
}

/// A way to the broker that can be closed: what goes over it ends, and nobody gets through any more.
struct Way(tokio::task::JoinSet<()>);

impl Way {
    async fn to(broker: &Broker) -> (Self, AmqpUrls) {
        let mut uri: lapin::uri::AMQPUri = broker.urls().all()[0].parse().expect("a URL");
        let there = (uri.authority.host.clone(), uri.authority.port);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        (uri.authority.host, uri.authority.port) = ("127.0.0.1".to_owned(), listener.local_addr().expect("one").port());
        let mut way = tokio::task::JoinSet::new();
        way.spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut here, _)) = listener.accept().await {
                let there = there.clone();
                connections.spawn(async move {
                    let mut there = tokio::net::TcpStream::connect(there).await.expect("the broker is there");
                    let _ = tokio::io::copy_bidirectional(&mut here, &mut there).await;
                });
            }
        });
        (Self(way), uri.to_string().parse().expect("a URL"))
    }

    async fn close(mut self) {
        self.0.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_cannot_reach_the_broker_leaves_the_lead_to_one_that_can() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let tap = Tap::on(&broker, "email").await;
    let (way, urls) = Way::to(&broker).await;
    let cut_off = Node::start(urls, database.pool(), nothing(), Options::default()).await;
    Customer::new().registers(&cut_off.database).await;
    tap.until(1).await;
    cut_off.has_published_everything().await;
    way.close().await;
    cut_off.complains("broker", "not connected").await;
    Customer::new().registers(&cut_off.database).await;

    // it leads until it has had no connection for a while; then it waits for one before it tries to lead again
    let other = order(&broker, &database).await;
    tap.until(2).await;
    other.has_published_everything().await;
    other.stop().await;
    cut_off.stop().await;
}
