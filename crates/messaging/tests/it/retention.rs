//! What is forgotten, and what is kept.

use std::time::Duration;

use messaging::follower;
use messaging::harness::TestDatabase;
use messaging::metrics::{Metrics, Table};
use messaging::retention::{Retention, measure, prune};
use prometheus_client::registry::Registry;
use sqlx::PgPool;

use crate::support::MIGRATOR;
use crate::support::events::count;

const DAY: Duration = Duration::from_hours(24);

fn retention() -> Retention {
    Retention { inbox: 30 * DAY, events: 10 * DAY, history: &["order.created", "order.reserved"] }
}

async fn run(pool: &PgPool, sql: &'static str) {
    sqlx::raw_sql(sql).execute(pool).await.expect("done");
}

/// Moves the relay to the end of the log.
async fn publish_everything(pool: &PgPool) {
    let mut conn = pool.acquire().await.expect("a connection");
    let mut checkpoint = follower::load(&mut conn, "relay", "order").await.expect("made");
    loop {
        let page = follower::read(&mut conn, &checkpoint).await.expect("a page");
        checkpoint = page.after;
        if page.events.is_empty() {
            break;
        }
    }
    follower::save(&mut conn, "relay", &checkpoint).await.expect("saved");
}

#[tokio::test]
async fn old_inbox_rows_attempts_and_failures_go() {
    let database = TestDatabase::create(&MIGRATOR).await;
    let pool = database.pool();
    run(
        pool,
        "insert into inbox (id, received_at) select gen_random_uuid(), now() - interval '31 days' from generate_series(1, 2500);
         insert into inbox (id, received_at) select gen_random_uuid(), now() - interval '29 days' from generate_series(1, 3);
         insert into attempt (id, starts, started_at) values (gen_random_uuid(), 2, now() - interval '31 days'),
                                                             (gen_random_uuid(), 2, now());
         insert into dead_letter (id, failed_at)
             select gen_random_uuid(), now() - interval '31 days' from generate_series(1, 1500);
         insert into dead_letter (id) values (gen_random_uuid())",
    )
    .await;
    prune(pool, &retention()).await.expect("pruned");
    assert_eq!(count(pool, "select count(*) from inbox").await, 3);
    assert_eq!(count(pool, "select count(*) from attempt").await, 1);
    assert_eq!(count(pool, "select count(*) from dead_letter").await, 1);
}

#[tokio::test]
async fn published_events_go_and_history_stays() {
    let database = TestDatabase::create(&MIGRATOR).await;
    let pool = database.pool();
    // more than one stride of the log, and one that was set aside among them
    run(
        pool,
        "insert into event (id, subject, sequence, type, version, time, correlation_id, data)
         select gen_random_uuid(), 's' || i, 1, case when i % 3 = 0 then 'order.created' else 'customer.changed' end, 1,
                now() - case when i <= 12000 then interval '11 days' else interval '9 days' end, 'a', '{}'
         from generate_series(1, 12010) as i order by i;
         insert into set_aside (position, subject) values (11999, 's11999')",
    )
    .await;
    prune(pool, &retention()).await.expect("pruned");
    assert_eq!(count(pool, "select count(*) from event").await, 12010, "nothing was published yet");

    publish_everything(pool).await;
    run(
        pool,
        "insert into event (id, subject, sequence, type, version, time, correlation_id, data)
         values (gen_random_uuid(), 'new', 1, 'customer.changed', 1, now() - interval '11 days', 'a', '{}')",
    )
    .await;
    prune(pool, &retention()).await.expect("pruned");
    assert_eq!(count(pool, "select count(*) from event where type = 'order.created'").await, 12010 / 3, "history");
    let kept = "select count(*) from event where type = 'customer.changed' and time < now() - interval '10 days'";
    assert_eq!(count(pool, kept).await, 2, "set aside, and not published");
    assert_eq!(count(pool, "select count(*) from event where type = 'customer.changed'").await, 2 + 7, "and the young");

    run(pool, "delete from set_aside").await;
    publish_everything(pool).await;
    prune(pool, &retention()).await.expect("pruned");
    assert_eq!(count(pool, kept).await, 0);
}

#[tokio::test]
async fn the_size_of_every_table_is_told() {
    let database = TestDatabase::create(&MIGRATOR).await;
    let pool = database.pool();
    run(pool, "insert into inbox (id) select gen_random_uuid() from generate_series(1, 1000)").await;
    let metrics = Metrics::register(&mut Registry::default());
    measure(pool, &metrics).await.expect("measured");
    let bytes = |table: &str| metrics.table_bytes.get_or_create(&Table { table: table.to_owned() }).get();
    assert!(bytes("inbox") > 16 * 1000, "a thousand ids: {}", bytes("inbox"));
    assert!(bytes("event") > 0 && bytes("event") < bytes("inbox"));
}
