//! The outbox: how much waits, and when that is too much.

use contracts::event::Service;
use messaging::harness::TestDatabase;
use messaging::metrics::Metrics;
use messaging::outbox::Overloaded;
use messaging::tx::Database;
use tokio_util::sync::CancellationToken;

use crate::relay::nothing;
use crate::support::broker::Broker;
use crate::support::events::Customer;
use crate::support::node::{Node, Options, topology};
use crate::support::tap::Tap;
use crate::support::{MIGRATOR, SOON, eventually, is};

async fn pending(database: &Database, expected: u64) {
    eventually(SOON, async || is(database.outbox().pending(), expected)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_work_is_refused_while_too_much_waits() {
    let (broker, database) = (Broker::with(&topology()).await, TestDatabase::create(&MIGRATOR).await);
    let nowhere = "amqp://guest:guest@127.0.0.1:1/%2f".parse().expect("a URL");
    let options = Options { outbox_max: 5, ..Options::default() };
    let node = Node::start(nowhere, database.pool(), nothing(), options.clone()).await;
    let outbox = std::sync::Arc::clone(node.database.outbox());
    assert_eq!(outbox.admit(), Ok(()));
    let customer = Customer::new();
    for waiting in 0..5 {
        // what is committed while a count runs may count twice for a moment
        assert!(outbox.admit().is_ok() || waiting > 2, "{waiting} wait");
        customer.changes(&node.database).await;
    }
    assert_eq!(outbox.admit(), Err(Overloaded), "at once, without a count");
    eventually(SOON, async || is(node.metrics.outbox_pending.get(), 5)).await;
    eventually(
        SOON,
        async || if node.metrics.outbox_oldest_seconds.get() > 0.0 { Ok(()) } else { Err("no age".to_owned()) },
    )
    .await;
    node.stop().await;

    // another copy, which has appended nothing itself, knows it from its first count on
    let node = Node::start(broker.urls(), database.pool(), nothing(), options).await;
    let tap = Tap::on(&broker, "email").await;
    tap.until(5).await;
    pending(&node.database, 0).await;
    assert_eq!(node.database.outbox().admit(), Ok(()), "it recovers");
    eventually(SOON, async || is(node.metrics.outbox_oldest_seconds.get(), 0.0)).await;
    node.stop().await;
}

#[tokio::test]
async fn with_a_limit_of_zero_all_work_is_refused() {
    let database = TestDatabase::create(&MIGRATOR).await;
    let database = Database::new(database.pool().clone(), Service::Order, 0);
    assert_eq!(database.outbox().admit(), Err(Overloaded));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_counted_wherever_the_relay_stands() {
    let test = TestDatabase::create(&MIGRATOR).await;
    let (pool, database) = (test.pool(), test.database(Service::Order));
    let (metrics, stop) = (Metrics::register(&mut Default::default()), CancellationToken::new());
    let counting = {
        let (database, metrics, stop) = (database.clone(), metrics.clone(), stop.clone());
        tokio::spawn(async move { database.outbox().watch(database.pool(), &metrics, stop).await })
    };
    let counted = async |expected| eventually(SOON, async || is(metrics.outbox_pending.get(), expected)).await;
    let append = async |count: i32| {
        let sql = "insert into event (id, subject, sequence, type, version, time, correlation_id, data)
                   select gen_random_uuid(), gen_random_uuid()::text, 1, 'order.reserved', 1, now(), 'a', '{}'
                   from generate_series(1, $1)";
        sqlx::query(sql).bind(count).execute(pool).await.expect("appended");
    };
    // before there was any relay
    append(3).await;
    counted(3).await;
    // in the middle of a window, with new events behind it
    append(2497).await;
    let mut conn = pool.acquire().await.expect("a connection");
    let start = messaging::follower::load(&mut conn, "relay", "order").await.expect("made");
    let page = messaging::follower::read(&mut conn, &start).await.expect("a page");
    messaging::follower::save(&mut conn, "relay", &page.after).await.expect("saved");
    append(10).await;
    counted(1510).await;
    // while a transaction is open that wrote one
    let mut open = pool.begin().await.expect("a transaction");
    sqlx::query(
        "insert into event (id, subject, sequence, type, version, time, correlation_id, data)
         values (gen_random_uuid(), 's', 1, 'order.reserved', 1, now(), 'a', '{}')",
    )
    .execute(&mut *open)
    .await
    .expect("appended");
    let mut checkpoint = page.after;
    loop {
        let page = messaging::follower::read(&mut conn, &checkpoint).await.expect("a page");
        checkpoint = page.after;
        if page.events.is_empty() {
            break;
        }
    }
    messaging::follower::save(&mut conn, "relay", &checkpoint).await.expect("saved");
    counted(0).await;
    open.commit().await.expect("committed");
    counted(1).await;
    // set aside is not published either
    sqlx::query("insert into set_aside (position, subject) select position, subject from event limit 2")
        .execute(pool)
        .await
        .expect("set aside");
    counted(3).await;
    stop.cancel();
    counting.await.expect("it stops");
}
