//! The relay when all is well, and when copies of a service come and go.

use contracts::event::Service;
use messaging::context::Context;
use messaging::handler::{NoLocks, Subscriptions};
use messaging::harness::TestDatabase;
use messaging::tx::Head;
use sqlx::PgPool;

use crate::support::broker::Broker;
use crate::support::events::{Customer, count, registered};
use crate::support::node::{Node, Options, topology};
use crate::support::tap::{Letter, Tap, assert_in_order, repeats};
use crate::support::{MIGRATOR, SOON, eventually, is};

/// Handles nothing: these tests are about what leaves.
pub(crate) fn nothing() -> Subscriptions {
    Subscriptions::new(Service::Order, NoLocks)
}

pub(crate) async fn order(broker: &Broker, database: &TestDatabase) -> Node {
    Node::start(broker.urls(), database.pool(), nothing(), Options::default()).await
}

/// Publishes `rounds` events of each customer, all customers at once.
async fn publish_rounds(node: &Node, customers: &[Customer], rounds: usize) {
    let each = customers.iter().map(async |customer| {
        for _ in 0..rounds {
            customer.changes(&node.database).await;
        }
    });
    futures_util::future::join_all(each).await;
}

/// The server process that holds the relay's lock in this database.
async fn leader(pool: &PgPool) -> Option<i32> {
    let sql = "select pid from pg_locks where locktype = 'advisory' and granted
               and database = (select oid from pg_database where datname = current_database())";
    sqlx::query_scalar(sql).fetch_optional(pool).await.expect("the locks")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_published_once_and_in_order() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let tap = Tap::on(&broker, "email").await;
    let node = order(&broker, &database).await;
    let customers = Customer::several(20);
    publish_rounds(&node, &customers, 15).await;
    let letters = tap.until(300).await;
    node.has_published_everything().await;
    node.stop().await;
    assert_eq!((letters.len(), tap.letters().len()), (300, 300));
    assert_in_order(&letters);
}

#[tokio::test]
async fn an_event_that_a_service_puts_aside_is_published_once_more() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let tap = Tap::on(&broker, "email").await;
    let node = order(&broker, &database).await;
    let customer = Customer::new();
    let id = customer.registers(&node.database).await;
    tap.until(1).await;
    node.has_published_everything().await;
    // As often as it likes: the row is there once.
    for _ in 0..2 {
        sqlx::query(
            "insert into set_aside (position, subject) select position, subject from event on conflict do nothing",
        )
        .execute(database.pool())
        .await
        .expect("the table is there");
    }
    eventually(SOON, async || is(repeats(&tap.letters()), 1)).await;
    assert_eq!(tap.letters()[1].id(), id.to_string(), "the same event");
    eventually(SOON, async || is(count(database.pool(), "select count(*) from set_aside").await, 0)).await;
    // What follows is held up by nothing.
    customer.changes(&node.database).await;
    assert_in_order(&tap.until(2).await);
    node.stop().await;
}

#[tokio::test]
async fn a_message_says_what_the_envelope_says() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let tap = Tap::on(&broker, "email").await;
    let node = order(&broker, &database).await;
    let customer = Customer::new();
    let id = customer.registers(&node.database).await;
    let letter = tap.until(1).await.remove(0);
    let p = &letter.properties;
    let text = |value: &Option<lapin::types::ShortString>| value.as_ref().map(ToString::to_string);
    assert_eq!((letter.routing_key.as_str(), letter.id()), ("customer.registered", id.to_string()));
    assert_eq!(text(p.kind()).as_deref(), Some("customer.registered"));
    assert_eq!(text(p.correlation_id()).as_deref(), Some("a-request"));
    assert_eq!(text(p.content_type()).as_deref(), Some("application/cloudevents+json"));
    assert_eq!(text(p.app_id()).as_deref(), Some("order"));
    assert_eq!(*p.delivery_mode(), Some(2));
    assert!(p.timestamp().is_some());
    assert_eq!(
        letter.header("traceparent").as_deref(),
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    );
    assert_eq!(letter.place(), (customer.id.to_string(), 1));
    node.stop().await;
}

#[tokio::test]
async fn a_correlation_id_that_amqp_cannot_hold_is_cut_in_the_properties_alone() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let tap = Tap::on(&broker, "email").await;
    let node = order(&broker, &database).await;
    // 256 bytes, two for each character: 255 would be half of one
    let long = "é".repeat(128);
    let mut tx = node.database.begin(Context::of_request(&long, "a-trace")).await.expect("a transaction");
    let customer = Customer::new();
    tx.publish(&mut Head::NONE.clone(), &registered(customer.id, "Ada")).await.expect("published");
    tx.commit().await.expect("committed");
    let letter = tap.until(1).await.remove(0);
    let in_properties = letter.properties.correlation_id().as_ref().map(ToString::to_string);
    assert_eq!(in_properties, Some("é".repeat(127)));
    let envelope = contracts::envelope::Envelope::from_json(&letter.body).expect("an envelope");
    assert_eq!(envelope.correlationid, long);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_repeats_nothing_and_loses_nothing() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let tap = Tap::on(&broker, "email").await;
    let customers = Customer::several(10);
    for round in 1..=4 {
        let node = order(&broker, &database).await;
        node.is_well("relay").await;
        let seen = tap.letters().len();
        let stopping = async {
            // in the midst of it
            eventually(SOON, async || if tap.letters().len() > seen + 20 { Ok(()) } else { Err("too few".to_owned()) })
                .await;
            node.shut_down();
        };
        tokio::join!(publish_rounds(&node, &customers, 10), stopping);
        node.stop().await;
        assert!(tap.letters().len() <= round * 100);
    }
    let node = order(&broker, &database).await;
    let letters = tap.until(400).await;
    node.has_published_everything().await;
    node.stop().await;
    assert_in_order(&letters);
    assert_eq!(repeats(&tap.letters()), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_leader_loses_its_session_another_copy_leads() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let tap = Tap::on(&broker, "email").await;
    let (one, other) = (order(&broker, &database).await, order(&broker, &database).await);
    one.is_well("relay").await;
    other.is_well("relay").await;
    let customers = Customer::several(5);
    publish_rounds(&one, &customers, 5).await;
    tap.until(25).await;

    let mut leaders = Vec::new();
    for round in 2..=4 {
        let pid = leader(database.pool()).await.expect("one leads");
        leaders.push(pid);
        let ended: bool = sqlx::query_scalar("select pg_terminate_backend($1)")
            .bind(pid)
            .fetch_one(database.pool())
            .await
            .expect("ended");
        assert!(ended);
        publish_rounds(&one, &customers, 5).await;
        tap.until(25 * round).await;
        eventually(SOON, async || match leader(database.pool()).await {
            Some(next) if next != pid => Ok(()),
            leader => Err(format!("leader: {leader:?}")),
        })
        .await;
    }
    one.has_published_everything().await;
    assert_in_order(&tap.letters());
    // and when a whole process is gone, with its connections
    one.kill().await;
    publish_rounds(&other, &customers, 2).await;
    assert_in_order(&tap.until(110).await);
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_publishing_and_the_checkpoint_only_repeats() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let tap = Tap::on(&broker, "email").await;
    let node = order(&broker, &database).await;
    let customers = Customer::several(5);
    publish_rounds(&node, &customers, 1).await;
    tap.until(5).await;
    node.has_published_everything().await;

    // the checkpoint cannot be moved while somebody else holds its row
    let mut holder = database.pool().begin().await.expect("a transaction");
    sqlx::query("select from follower for update").execute(&mut *holder).await.expect("held");
    publish_rounds(&node, &customers, 4).await;
    tap.until(6).await;
    let pid = leader(database.pool()).await.expect("it leads");
    eventually(SOON, async || {
        let waits = sqlx::query_scalar("select exists (select from pg_locks where pid = $1 and not granted)").bind(pid);
        is(waits.fetch_one(database.pool()).await.expect("the locks"), true)
    })
    .await;
    node.kill().await;
    // its server process still waits for the row, and would move the checkpoint for it
    let ended: bool = sqlx::query_scalar("select pg_terminate_backend($1)")
        .bind(pid)
        .fetch_one(database.pool())
        .await
        .expect("ended");
    assert!(ended);
    eventually(SOON, async || is(leader(database.pool()).await, None)).await;
    holder.rollback().await.expect("let go");

    let node = order(&broker, &database).await;
    tap.until(25).await;
    node.has_published_everything().await;
    assert!(repeats(&tap.letters()) > 0, "what had no checkpoint came again");
    assert_in_order(&tap.letters());
    node.stop().await;
}

#[tokio::test]
async fn a_log_from_another_server_ends_the_relay_with_one_line() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let node = order(&broker, &database).await;
    eventually(SOON, async || is(count(database.pool(), "select count(*) from follower").await, 1)).await;
    node.stop().await;
    sqlx::query("update follower set system_identifier = 1").execute(database.pool()).await.expect("moved");

    let mut node = order(&broker, &database).await;
    assert_eq!(node.ended().await, "relay", "which ends the service");
    assert_eq!(
        node.report("relay"),
        Err("the log was restored from another server: run `order events rebase`".to_owned())
    );
    node.stop().await;
}

#[tokio::test]
async fn what_nobody_consumes_is_published_all_the_same() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let (_connection, channel) = broker.channel().await;
    channel.queue_declare("curious".into(), Default::default(), Default::default()).await.expect("a queue");
    channel
        .queue_bind("curious".into(), "events".into(), "order.reserved".into(), Default::default(), Default::default())
        .await
        .expect("bound");
    let tap = Tap::on(&broker, "curious").await;
    let node = order(&broker, &database).await;
    let order_id = contracts::values::OrderId::new();
    let mut tx = node.database.begin(crate::support::events::context()).await.expect("a transaction");
    tx.publish(&mut Head::NONE.clone(), &contracts::order::OrderReserved { order_id }).await.expect("published");
    tx.commit().await.expect("committed");
    let letters: Vec<Letter> = tap.until(1).await;
    assert_eq!(letters[0].routing_key, "order.reserved");
    node.has_published_everything().await;
    node.stop().await;
}
