//! Going on after a dump was restored on another server.

use contracts::event::Service;
use messaging::follower;
use messaging::harness::TestDatabase;
use sqlx::PgPool;

use crate::support::MIGRATOR;
use crate::support::events::Customer;

/// Makes a database look as if it had been restored from a server whose transaction ids are far ahead, or far behind.
async fn as_if_restored(pool: &PgPool, ids: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "update follower set system_identifier = 1;
         update event set xid = ({ids} + position)::text::xid8"
    )))
    .execute(pool)
    .await
    .expect("restored");
}

async fn set(pool: &PgPool, follower: &str, prev: &str, next: Option<&str>, position: i64) {
    sqlx::query(
        "insert into follower (name, prev, next, position, system_identifier)
         values ($1, $2::pg_snapshot, $3::pg_snapshot, $4, 1)",
    )
    .bind(follower)
    .bind(prev)
    .bind(next)
    .bind(position)
    .execute(pool)
    .await
    .expect("a checkpoint");
}

/// The positions that a follower has not read yet.
async fn unread(pool: &PgPool, name: &str) -> Vec<i64> {
    let mut conn = pool.acquire().await.expect("a connection");
    let checkpoint = follower::load(&mut conn, name, "order").await.expect("of this server");
    let page = follower::read(&mut conn, &checkpoint).await.expect("a page");
    let rest = follower::read(&mut conn, &page.after).await.expect("a page");
    assert!(rest.events.is_empty());
    page.events.iter().map(|event| event.position).collect()
}

async fn with_events(count: usize) -> TestDatabase {
    let database = TestDatabase::create(&MIGRATOR).await;
    let owner = database.database(Service::Order);
    for _ in 0..count {
        Customer::new().registers(&owner).await;
    }
    database
}

#[tokio::test]
async fn every_follower_goes_on_where_it_stood() {
    for ids in ["9000000000", "100"] {
        let database = with_events(10).await;
        let pool = database.pool();
        as_if_restored(pool, ids).await;
        let id = |position: u64| ids.parse::<u64>().expect("a number") + position;
        // in the middle of a window: 1, 2, 3 and 5 before it, 4 and 6 in it, 7 later in it; 8 was running, 9 and 10 came later
        let (prev, next) = (format!("{}:{}:{}", id(4), id(6), id(4)), format!("{}:{}:{}", id(8), id(9), id(8)));
        set(pool, "relay", &prev, Some(&next), 6).await;
        // behind it, ahead of it, and one that has read nothing
        set(pool, "behind", &format!("{}:{}:", id(1), id(3)), None, 0).await;
        set(pool, "ahead", &format!("{0}:{0}:", id(11)), None, 0).await;
        set(pool, "new", "3:3:", None, 0).await;

        let mut conn = pool.acquire().await.expect("a connection");
        assert_eq!(follower::rebase(&mut conn).await.expect("rebased"), Some(4));
        assert_eq!(unread(pool, "relay").await, [7, 8, 9, 10]);
        assert_eq!(unread(pool, "behind").await, [3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(unread(pool, "ahead").await, [0; 0]);
        assert_eq!(unread(pool, "new").await, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);

        assert_eq!(follower::rebase(&mut conn).await.expect("asked"), None, "nothing is left to do");
        assert_eq!(unread(pool, "relay").await, [7, 8, 9, 10]);
    }
}

#[tokio::test]
async fn what_is_written_next_is_read_next() {
    let database = with_events(3).await;
    let pool = database.pool();
    as_if_restored(pool, "9000000000").await;
    set(pool, "relay", "9000000003:9000000003:", None, 0).await;
    // written here before anybody thought of it: its id is lower than all those of the checkpoint
    Customer::new().registers(&database.database(Service::Order)).await;

    let mut conn = pool.acquire().await.expect("a connection");
    assert_eq!(follower::rebase(&mut conn).await.expect("rebased"), Some(2));
    Customer::new().registers(&database.database(Service::Order)).await;
    assert_eq!(unread(pool, "relay").await, [3, 4, 5]);
}

#[tokio::test]
async fn an_open_transaction_of_the_new_server_is_waited_for_by_nobody_and_skipped_by_nobody() {
    let database = with_events(2).await;
    let pool = database.pool();
    as_if_restored(pool, "9000000000").await;
    set(pool, "relay", "9000000002:9000000002:", None, 0).await;
    let mut early = pool.begin().await.expect("a transaction");
    sqlx::query("select pg_current_xact_id()").execute(&mut *early).await.expect("it has an id");

    let mut conn = pool.acquire().await.expect("a connection");
    assert_eq!(follower::rebase(&mut conn).await.expect("rebased"), Some(1));
    assert_eq!(unread(pool, "relay").await, [2]);
    sqlx::query(
        "insert into event (id, subject, sequence, type, version, time, correlation_id, data)
         values (gen_random_uuid(), 'early', 1, 'order.reserved', 1, now(), 'a', '{}')",
    )
    .execute(&mut *early)
    .await
    .expect("written");
    early.commit().await.expect("committed");
    assert_eq!(unread(pool, "relay").await, [2, 3]);
}

#[tokio::test]
async fn without_followers_or_events_there_is_nothing_to_do() {
    let database = with_events(0).await;
    let mut conn = database.pool().acquire().await.expect("a connection");
    assert_eq!(follower::rebase(&mut conn).await.expect("asked"), None);
    set(database.pool(), "relay", "9000000003:9000000003:", None, 0).await;
    assert_eq!(follower::rebase(&mut conn).await.expect("rebased"), Some(0));
    Customer::new().registers(&database.database(Service::Order)).await;
    assert_eq!(unread(database.pool(), "relay").await, [1]);
}
