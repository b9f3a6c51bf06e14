//! Messages that take their consumer down with them.

use contracts::values::{CustomerId, EventId};
use messaging::harness::TestDatabase;

use crate::support::broker::Broker;
use crate::support::events::{count, message, registered};
use crate::support::node::{Node, Options, topology};
use crate::support::tap::Tap;
use crate::support::work::{Plan, effects, has_processed, takes_effect, with_effects};
use crate::support::{MIGRATOR, SOON, bring_back, eventually, is, name_of, take_away};

struct World {
    broker: Broker,
    database: TestDatabase,
}

impl World {
    async fn new() -> Self {
        let world = Self { broker: Broker::with(&topology()).await, database: TestDatabase::create(&MIGRATOR).await };
        with_effects(world.database.pool()).await;
        world
    }

    async fn email(&self, plan: &std::sync::Arc<Plan>) -> Node {
        Node::start(self.broker.urls(), self.database.pool(), plan.subscriptions(), Options::default()).await
    }

    async fn publish(&self, names: &[&str]) -> Vec<EventId> {
        let named = names.iter().map(|name| message(&registered(CustomerId::new(), name)));
        let (ids, messages): (Vec<_>, Vec<_>) = named.unzip();
        self.broker.publish(&messages).await;
        ids
    }

    async fn starts(&self, id: EventId) -> i32 {
        let sql = "select coalesce(max(starts), 0) from attempt where id = $1";
        sqlx::query_scalar(sql).bind(id.0).fetch_one(self.database.pool()).await.expect("a number")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_three_starts_without_an_end_it_is_a_dead_letter_and_its_neighbours_are_done() {
    let world = World::new().await;
    let tap = Tap::on(&world.broker, "email.dead").await;
    let plan = Plan::new();
    let ids = world.publish(&["good", "wait", "good", "good"]).await;
    let culprit = ids[1];
    // It never gets its permit: whoever handles it hangs until it is killed.
    for crash in 1..=4 {
        let node = world.email(&plan).await;
        plan.has_begun(culprit, crash).await;
        eventually(SOON, async || is(world.starts(culprit).await, crash as i32 - 1)).await;
        node.kill().await;
    }
    let node = world.email(&plan).await;
    let letter = tap.until(1).await.remove(0);
    assert_eq!(letter.id(), culprit.to_string());
    assert_eq!(letter.header("error-kind").as_deref(), Some("crashed-consumer"));
    assert_eq!(letter.header("handler").as_deref(), Some("Work"));
    assert_eq!(letter.header("attempt").as_deref(), Some("1"));
    for id in [ids[0], ids[2], ids[3]] {
        takes_effect(world.database.pool(), id).await;
    }
    eventually(SOON, async || is(world.broker.waiting_in("email").await, 0)).await;
    assert_eq!((plan.begun(culprit), effects(world.database.pool(), culprit).await), (4, 0));
    eventually(SOON, async || is(count(world.database.pool(), "select count(*) from attempt").await, 0)).await;
    assert_eq!(node.retries(), 0);
    node.stop().await;
    assert_eq!(tap.letters().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_delivered_again_for_no_fault_of_its_own_is_simply_handled() {
    let world = World::new().await;
    let plan = Plan::new();
    let ids = world.publish(&["good", "wait 1", "again 1", "reject"]).await;
    let node = world.email(&plan).await;
    plan.has_begun(ids[1], 1).await;
    node.kill().await;

    let node = world.email(&plan).await;
    for id in &ids[..3] {
        takes_effect(world.database.pool(), *id).await;
    }
    has_processed(&node, "customer.registered", "dead", 1).await;
    assert_eq!(count(world.database.pool(), "select count(*) from attempt").await, 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_after_the_commit_repeats_no_effect() {
    let world = World::new().await;
    let plan = Plan::new();
    // The copies of the failed one have nowhere to go, so the batch is committed and not acknowledged. It forms while
    // another is being handled.
    world.broker.delete("queues", "email.dead").await;
    let node = world.email(&plan).await;
    let first = world.publish(&["wait"]).await;
    plan.has_begun(first[0], 1).await;
    let ids = world.publish(&["good", "reject", "good"]).await;
    eventually(SOON, async || is(world.broker.waiting_in("email").await, 0)).await;
    plan.gate.add_permits(1);
    node.complains("consumer", "missing or full").await;
    takes_effect(world.database.pool(), ids[0]).await;
    node.kill().await;

    let (connection, channel) = world.broker.channel().await;
    topology().declare(&channel).await.expect("declared");
    connection.close(200, "declared".into()).await.expect("closed");
    let node = world.email(&plan).await;
    has_processed(&node, "customer.registered", "duplicate", 2).await;
    has_processed(&node, "customer.registered", "dead", 1).await;
    assert_eq!(count(world.database.pool(), "select count(*) from effect").await, 3);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_something_that_is_away_counts_as_no_start() {
    let world = World::new().await;
    let plan = Plan::new();
    let ids = world.publish(&["unavailable 9"]).await;
    let node = world.email(&plan).await;
    plan.has_begun(ids[0], 1).await;
    node.kill().await;
    let node = world.email(&plan).await;
    takes_effect(world.database.pool(), ids[0]).await;
    has_processed(&node, "customer.registered", "done", 1).await;
    assert_eq!(plan.begun(ids[0]), 10);
    assert_eq!(world.broker.waiting_in("email.dead").await, 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_in_the_middle_again_and_again_counts_as_one_start() {
    let world = World::new().await;
    let plan = Plan::new();
    let ids = world.publish(&["wait 6"]).await;
    let node = world.email(&plan).await;
    plan.has_begun(ids[0], 1).await;
    node.kill().await;
    let node = world.email(&plan).await;
    let name = name_of(world.database.pool()).await;
    for begun in 2..=6 {
        plan.has_begun(ids[0], begun).await;
        take_away(&name).await;
        plan.gate.add_permits(1);
        node.complains("consumer", "holding: database is away").await;
        bring_back(&name).await;
    }
    takes_effect(world.database.pool(), ids[0]).await;
    has_processed(&node, "customer.registered", "done", 1).await;
    assert_eq!(world.broker.waiting_in("email.dead").await, 0);
    node.stop().await;
}
