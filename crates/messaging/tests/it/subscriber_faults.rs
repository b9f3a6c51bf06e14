//! The subscriber when its database or its broker is away, and when transactions get in each other's way.

use contracts::event::Service;
use contracts::order::CustomerRegistered;
use contracts::values::{CustomerId, EventId};
use messaging::handler::{Handler, HandlerError, Key, Locker, NoLocks, Received, Subscriptions};
use messaging::harness::TestDatabase;
use messaging::settings::TopologyMode;
use messaging::tx::Tx;

use crate::support::broker::Broker;
use crate::support::events::{count, message, registered};
use crate::support::node::{Node, Options, topology};
use crate::support::work::{Plan, effects, has_processed, takes_effect, with_effects};
use crate::support::{MIGRATOR, SOON, administer, bring_back, eventually, is, name_of, take_away};

async fn broker_and_database() -> (Broker, TestDatabase) {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    with_effects(database.pool()).await;
    (broker, database)
}

async fn email(broker: &Broker, database: &TestDatabase, subscriptions: Subscriptions) -> Node {
    let options = Options { batch: 20, ..Options::default() };
    let node = Node::start(broker.urls(), database.pool(), subscriptions, options).await;
    node.is_well("consumer").await;
    node
}

/// Publishes registrations of that name, and returns their ids.
async fn publish(broker: &Broker, names: &[&str]) -> Vec<EventId> {
    let (ids, messages): (Vec<_>, Vec<_>) =
        names.iter().map(|name| message(&registered(CustomerId::new(), name))).unzip();
    broker.publish(&messages).await;
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_the_consumer_holds_and_nobody_is_charged() {
    let (broker, database) = broker_and_database().await;
    let plan = Plan::new();
    let node = email(&broker, &database, plan.subscriptions()).await;
    let before = publish(&broker, &["good"]).await;
    takes_effect(database.pool(), before[0]).await;
    let connections = broker.connections("consumer").await;

    let name = name_of(database.pool()).await;
    take_away(&name).await;
    let ids = publish(&broker, &["good", "good", "reject", "good", "again"]).await;
    node.complains("consumer", "holding: database is away").await;
    eventually(SOON, async || is(broker.waiting_in("email").await, 0)).await;
    bring_back(&name).await;

    for index in [0, 1, 3] {
        takes_effect(database.pool(), ids[index]).await;
    }
    has_processed(&node, "customer.registered", "dead", 2).await;
    has_processed(&node, "customer.registered", "done", 4).await;
    node.is_well("consumer").await;
    let charged = (node.retries(), node.processed("customer.registered", "duplicate"));
    assert_eq!(charged, (2, 0), "only what fails by itself");
    assert_eq!(broker.connections("consumer").await, connections, "the deliveries were not given back");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_in_the_middle_of_a_batch_is_waited_for_as_well() {
    let (broker, database) = broker_and_database().await;
    let plan = Plan::new();
    let node = email(&broker, &database, plan.subscriptions()).await;
    let ids = publish(&broker, &["wait 1", "good"]).await;
    plan.has_begun(ids[0], 1).await;
    let name = name_of(database.pool()).await;
    take_away(&name).await;
    plan.gate.add_permits(1);
    node.complains("consumer", "holding: database is away").await;
    bring_back(&name).await;
    for id in &ids {
        takes_effect(database.pool(), *id).await;
    }
    assert_eq!((node.retries(), plan.begun(ids[0])), (0, 2));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_something_else_is_away_the_consumer_holds_too() {
    let (broker, database) = broker_and_database().await;
    let plan = Plan::new();
    let node = email(&broker, &database, plan.subscriptions()).await;
    let ids = publish(&broker, &["unavailable 4", "good"]).await;
    node.complains("consumer", "holding: the moon is away").await;
    for id in &ids {
        takes_effect(database.pool(), *id).await;
    }
    node.is_well("consumer").await;
    assert_eq!((node.retries(), plan.begun(ids[0])), (0, 5));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serialization_failures_repeat_the_batch_and_charge_nobody() {
    let (broker, database) = broker_and_database().await;
    let plan = Plan::new();
    let node = email(&broker, &database, plan.subscriptions()).await;
    let ids = publish(&broker, &["good", "collide 3", "good"]).await;
    for id in &ids {
        takes_effect(database.pool(), *id).await;
    }
    assert_eq!((node.retries(), plan.begun(ids[1])), (0, 4));
    // one that collides for ever does not hold up its queue
    let ids = publish(&broker, &["good", "collide"]).await;
    takes_effect(database.pool(), ids[0]).await;
    has_processed(&node, "customer.registered", "dead", 1).await;
    assert_eq!(effects(database.pool(), ids[1]).await, 0);
    node.stop().await;
}

/// Adds one to the accounts of two customers: the event's own, and the one that its name tells.
struct Transfer {
    names_its_keys: bool,
}

fn both(event: &CustomerRegistered) -> [CustomerId; 2] {
    [event.customer_id, event.name.parse().expect("the name is a customer's id")]
}

impl Handler<CustomerRegistered> for Transfer {
    fn keys(&self, event: &CustomerRegistered) -> Vec<Key> {
        if self.names_its_keys { both(event).map(Key::Customer).to_vec() } else { Vec::new() }
    }

    async fn handle(&self, tx: &mut Tx, event: &Received<CustomerRegistered>) -> Result<(), HandlerError> {
        for customer in both(event) {
            sqlx::query("update account set balance = balance + 1 where customer = $1")
                .bind(customer.0)
                .execute(&mut **tx)
                .await?;
            tokio::task::yield_now().await;
        }
        sqlx::query("insert into effect (event) values ($1)").bind(event.id.0).execute(&mut **tx).await?;
        Ok(())
    }
}

/// Locks accounts in the order that it is given.
struct Accounts;

impl Locker for Accounts {
    async fn lock(&self, tx: &mut Tx, keys: &[Key]) -> Result<(), HandlerError> {
        for key in keys {
            let Key::Customer(customer) = key else { continue };
            sqlx::query("select from account where customer = $1 for update")
                .bind(customer.0)
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }
}

/// Two copies of a service, and messages that touch the same few rows in every order.
async fn contend(subscriptions: impl Fn() -> Subscriptions) -> i64 {
    let (broker, database) = broker_and_database().await;
    let name = name_of(database.pool()).await;
    administer(format!("alter database {name} set deadlock_timeout = '20ms'")).await;
    let pool = database.pool();
    sqlx::raw_sql("create table account (customer uuid primary key, balance bigint not null default 0)")
        .execute(pool)
        .await
        .expect("made");
    let customers: Vec<CustomerId> = (0..6).map(|_| CustomerId::new()).collect();
    for customer in &customers {
        sqlx::query("insert into account (customer) values ($1)").bind(customer.0).execute(pool).await.expect("opened");
    }
    let of = |turn: usize| {
        let (one, other) = (customers[turn % 6], customers[(turn + 1 + turn / 6 % 5) % 6]);
        message(&registered(one, &other.to_string())).1
    };
    let nodes = [email(&broker, &database, subscriptions()).await, email(&broker, &database, subscriptions()).await];
    for node in &nodes {
        node.is_well("consumer").await;
    }
    broker.publish(&(0..240).map(of).collect::<Vec<_>>()).await;
    eventually(SOON, async || is(count(pool, "select count(*) from effect").await, 240)).await;
    assert_eq!(count(pool, "select sum(balance)::bigint from account").await, 480);
    eventually(SOON, async || is(broker.waiting_in("email").await, 0)).await;
    for node in nodes {
        assert_eq!(node.retries(), 0, "nobody is charged");
        node.stop().await;
    }
    assert_eq!(broker.waiting_in("email.dead").await, 0);
    // counters of the server come a little later
    let sql = "select deadlocks from pg_stat_database where datname = current_database()";
    count(pool, sql).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_name_their_keys_do_not_deadlock() {
    let handler = || Transfer { names_its_keys: true };
    let deadlocks = contend(|| Subscriptions::new(Service::Email, Accounts).on::<CustomerRegistered>(handler())).await;
    assert_eq!(deadlocks, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_do_not_deadlock_now_and_then_and_still_get_there() {
    contend(|| {
        Subscriptions::new(Service::Email, NoLocks).on::<CustomerRegistered>(Transfer { names_its_keys: false })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_whose_connection_is_closed_starts_over() {
    let (broker, database) = broker_and_database().await;
    let plan = Plan::new();
    let node = email(&broker, &database, plan.subscriptions()).await;
    let ids = publish(&broker, &["good", "wait 1", "good"]).await;
    plan.has_begun(ids[1], 1).await;
    broker.close_connections("consumer").await;
    node.complains("broker", "not connected").await;
    plan.gate.add_permits(1);
    let more = publish(&broker, &["good"]).await;
    for id in ids.iter().chain(&more) {
        takes_effect(database.pool(), *id).await;
    }
    eventually(SOON, async || is(broker.waiting_in("email").await, 0)).await;
    node.is_well("consumer").await;
    assert_eq!(node.retries(), 0);
    assert_eq!(count(database.pool(), "select count(*) from attempt").await, 0, "what was begun has ended");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_the_broker_cancels_starts_over() {
    let (broker, database) = (Broker::empty().await, TestDatabase::create(&MIGRATOR).await);
    with_effects(database.pool()).await;
    let plan = Plan::new();
    let options = Options { topology: TopologyMode::Declare, ..Options::default() };
    let node = Node::start(broker.urls(), database.pool(), plan.subscriptions(), options).await;
    node.is_well("consumer").await;
    broker.delete("queues", "email").await;
    node.complains("consumer", "").await;
    // declared again by the service itself, with its bindings
    node.is_well("consumer").await;
    broker.is_bound(&topology()).await;
    let ids = publish(&broker, &["good", "again 1"]).await;
    for id in ids {
        takes_effect(database.pool(), id).await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_messages_wait_until_they_have_somewhere_to_go() {
    let (broker, database) = broker_and_database().await;
    let plan = Plan::new();
    let node = email(&broker, &database, plan.subscriptions()).await;
    broker.delete("queues", "email.dead").await;
    let ids = publish(&broker, &["good", "reject"]).await;
    node.complains("consumer", "retry or dead-letter queue missing or full").await;
    takes_effect(database.pool(), ids[0]).await;
    let (connection, channel) = broker.channel().await;
    topology().declare(&channel).await.expect("declared");
    connection.close(200, "declared".into()).await.expect("closed");
    node.is_well("consumer").await;
    eventually(SOON, async || is(broker.waiting_in("email.dead").await, 1)).await;
    let more = publish(&broker, &["good"]).await;
    takes_effect(database.pool(), more[0]).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_survive_a_lost_publishing_connection() {
    let (broker, database) = broker_and_database().await;
    let plan = Plan::new();
    let node = email(&broker, &database, plan.subscriptions()).await;
    for _ in 0..3 {
        let ids = publish(&broker, &["again 1", "good", "reject"]).await;
        broker.close_connections("publisher").await;
        takes_effect(database.pool(), ids[0]).await;
        takes_effect(database.pool(), ids[1]).await;
    }
    eventually(SOON, async || is(broker.waiting_in("email").await, 0)).await;
    eventually(SOON, async || match broker.waiting_in("email.dead").await {
        3.. => Ok(()),
        dead => Err(format!("{dead} dead letters")),
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_the_batch_end_and_acknowledges_it() {
    let (broker, database) = broker_and_database().await;
    let plan = Plan::new();
    let node = email(&broker, &database, plan.subscriptions()).await;
    // while this one is being handled, the others gather
    let first = publish(&broker, &["wait"]).await;
    plan.has_begun(first[0], 1).await;
    let ids = publish(&broker, &["good", "wait", "reject", "again"]).await;
    eventually(SOON, async || is(broker.waiting_in("email").await, 0)).await;
    plan.gate.add_permits(1);
    plan.has_begun(ids[1], 1).await;
    node.shut_down();
    // until halving comes to it alone it begins a few times
    plan.gate.add_permits(20);
    node.stop().await;
    for id in &ids[..2] {
        assert_eq!(effects(database.pool(), *id).await, 1);
    }
    assert_eq!(broker.waiting_in("email.dead").await, 1);
    // nothing comes back but the one on the ladder
    let node = email(&broker, &database, plan.subscriptions()).await;
    has_processed(&node, "customer.registered", "dead", 1).await;
    assert_eq!(["done", "duplicate"].map(|outcome| node.processed("customer.registered", outcome)), [0, 0]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_brings_all_that_was_delivered_to_its_end() {
    let (broker, database) = broker_and_database().await;
    let plan = Plan::new();
    let node = email(&broker, &database, plan.subscriptions()).await;
    let first = publish(&broker, &["wait"]).await;
    plan.has_begun(first[0], 1).await;
    publish(&broker, &["good"; 150]).await;
    eventually(SOON, async || is(broker.waiting_in("email").await, 0)).await;
    node.shut_down();
    plan.gate.add_permits(1);
    node.stop().await;
    assert_eq!(count(database.pool(), "select count(*) from effect").await, 151);
    assert_eq!(broker.waiting_in("email").await, 0, "nothing goes back to the queue");
}
