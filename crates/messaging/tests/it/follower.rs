//! Followers: every event once, in the order of its subject, whoever else is writing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use contracts::event::Service;
use messaging::event_log::LoggedEvent;
use messaging::follower::{self, Checkpoint, FollowError, PAGE};
use messaging::harness::TestDatabase;
use sqlx::{PgConnection, PgPool};
use tokio::task::JoinSet;

use crate::support::events::Customer;
use crate::support::{MIGRATOR, SOON, eventually, is};

/// Reads on from a checkpoint and keeps what it read.
struct Reader {
    pool: PgPool,
    checkpoint: Checkpoint,
    read: Vec<(String, i64)>,
    full_pages: usize,
}

impl Reader {
    fn at(pool: &PgPool, checkpoint: Checkpoint) -> Self {
        Self { pool: pool.clone(), checkpoint, read: Vec::new(), full_pages: 0 }
    }

    /// Reads one page; says whether there was anything.
    async fn step(&mut self) -> bool {
        let mut tx = self.pool.begin().await.expect("a transaction");
        follower::prepare(&mut tx, true).await.expect("prepared");
        let page = follower::read(&mut tx, &self.checkpoint).await.expect("a page");
        self.full_pages += usize::from(page.is_full());
        self.read.extend(page.events.iter().map(|event| (event.subject.clone(), event.sequence)));
        self.checkpoint = page.after;
        !page.events.is_empty()
    }

    /// Stores the checkpoint and takes it up again, as another process would.
    async fn hand_over(&mut self) {
        let mut conn = self.pool.acquire().await.expect("a connection");
        follower::load(&mut conn, "reader", "order").await.expect("it is there or made");
        follower::save(&mut conn, "reader", &self.checkpoint).await.expect("saved");
        let loaded = follower::load(&mut conn, "reader", "order").await.expect("loaded");
        assert_eq!(loaded, self.checkpoint);
        self.checkpoint = loaded;
    }
}

/// Fails unless `read` is the whole log, each event once, and each subject in order.
async fn assert_complete(pool: &PgPool, read: &[(String, i64)]) {
    let log: Vec<(String, i64)> =
        sqlx::query_as("select subject, sequence from event").fetch_all(pool).await.expect("the log");
    assert_eq!(read.len(), log.len(), "as many as there are");
    assert_eq!(read.iter().collect::<BTreeSet<_>>(), log.iter().collect(), "each of them");
    let mut last = BTreeMap::new();
    for (subject, sequence) in read {
        let before = last.insert(subject, *sequence).unwrap_or(0);
        assert_eq!(*sequence, before + 1, "of {subject}");
    }
}

/// Appends events of a subject as a service does: under the lock of the subject's row. What comes between the steps is
/// up to chance.
async fn write_once(conn: &mut PgConnection, chance: u64) -> sqlx::Result<()> {
    let subject = format!("subject {}", chance % 4);
    sqlx::query("begin").execute(&mut *conn).await?;
    if chance.is_multiple_of(3) {
        // a transaction has its id from its first write on, before it waits for a lock
        sqlx::query("insert into elsewhere default values").execute(&mut *conn).await?;
        linger(conn, chance % 7).await?;
    }
    let version: i64 = sqlx::query_scalar("select version from aggregate where subject = $1 for update")
        .bind(&subject)
        .fetch_one(&mut *conn)
        .await?;
    let events = 1 + (chance / 11 % 3) as i64;
    sqlx::query(
        "insert into event (id, subject, sequence, type, version, time, correlation_id, data)
         select gen_random_uuid(), $1, sequence, 'order.reserved', 1, clock_timestamp(), 'a-request', '{}'
         from generate_series($2, $3) as sequence order by sequence",
    )
    .bind(&subject)
    .bind(version + 1)
    .bind(version + events)
    .execute(&mut *conn)
    .await?;
    sqlx::query("update aggregate set version = $2 where subject = $1")
        .bind(&subject)
        .bind(version + events)
        .execute(&mut *conn)
        .await?;
    linger(conn, chance / 5 % 9).await?;
    let end = if chance.is_multiple_of(5) { "rollback" } else { "commit" };
    sqlx::query(end).execute(conn).await?;
    Ok(())
}

/// Keeps the transaction open for so many milliseconds: what others do meanwhile is what is tested.
async fn linger(conn: &mut PgConnection, milliseconds: u64) -> sqlx::Result<()> {
    let seconds = Duration::from_millis(milliseconds).as_secs_f64();
    sqlx::query("select pg_sleep($1)").bind(seconds).execute(conn).await?;
    Ok(())
}

async fn with_aggregates() -> TestDatabase {
    let database = TestDatabase::create(&MIGRATOR).await;
    sqlx::raw_sql(
        "create table elsewhere (id bigint generated always as identity);
         create table aggregate (subject text primary key, version bigint not null default 0);
         insert into aggregate (subject) select 'subject ' || i from generate_series(0, 3) as i",
    )
    .execute(database.pool())
    .await
    .expect("tables");
    database
}

/// Writers that get in each other's way, until each has written so often.
fn writers(database: &TestDatabase, count: u64, times: u64) -> (JoinSet<()>, Arc<AtomicUsize>) {
    let running = Arc::new(AtomicUsize::new(count as usize));
    let mut writers = JoinSet::new();
    for writer in 0..count {
        let (pool, running) = (database.pool().clone(), Arc::clone(&running));
        writers.spawn(async move {
            let mut conn = pool.acquire().await.expect("a connection");
            for turn in 0..times {
                // any numbers will do that are not the same for all
                let chance = (writer * 7919 + turn * 104_729 + 17).wrapping_mul(2_654_435_761) >> 7;
                write_once(&mut conn, chance).await.expect("written");
            }
            running.fetch_sub(1, Ordering::SeqCst);
        });
    }
    (writers, running)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_skipped_or_read_twice_while_writers_contend() {
    let database = with_aggregates().await;
    let (mut writers, running) = writers(&database, 8, 60);
    let mut reader = Reader::at(database.pool(), Checkpoint::start());
    let mut pages = 0;
    loop {
        let done = running.load(Ordering::SeqCst) == 0;
        let more = reader.step().await;
        pages += usize::from(more);
        if pages % 10 == 1 {
            reader.hand_over().await;
        }
        if done && !more {
            break;
        }
    }
    while let Some(writer) = writers.join_next().await {
        writer.expect("no writer fails");
    }
    assert!(pages > 20, "the reader kept up with the writers: {pages} pages");
    assert_complete(database.pool(), &reader.read).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_drained_in_order_while_writers_go_on() {
    let database = with_aggregates().await;
    sqlx::raw_sql(
        "insert into event (id, subject, sequence, type, version, time, correlation_id, data)
         select gen_random_uuid(), 'subject ' || i % 4, i / 4 + 1, 'order.reserved', 1, clock_timestamp(), 'a-request', '{}'
         from generate_series(0, 3599) as i order by i;
         update aggregate set version = 900",
    )
    .execute(database.pool())
    .await
    .expect("a backlog");
    let (mut writers, running) = writers(&database, 6, 40);
    let mut reader = Reader::at(database.pool(), Checkpoint::start());
    // The first page opens the window; what is committed from now on belongs to the next one.
    assert!(reader.step().await);
    let first = reader.read.len();
    assert_eq!(first, PAGE);
    while running.load(Ordering::SeqCst) > 0 {
        reader.hand_over().await;
        reader.step().await;
    }
    while let Some(writer) = writers.join_next().await {
        writer.expect("no writer fails");
    }
    while reader.step().await {}
    assert!(reader.full_pages >= 3, "{} full pages", reader.full_pages);
    assert_complete(database.pool(), &reader.read).await;
}

#[tokio::test]
async fn a_window_that_is_being_read_takes_nothing_new_in() {
    let database = with_aggregates().await;
    let append = async |from: i64, to: i64| {
        let sql = "insert into event (id, subject, sequence, type, version, time, correlation_id, data)
                   select gen_random_uuid(), 's', i, 'order.reserved', 1, now(), 'a', '{}' from generate_series($1, $2) as i order by i";
        sqlx::query(sql).bind(from).bind(to).execute(database.pool()).await.expect("appended");
    };
    append(1, 2500).await;
    let mut reader = Reader::at(database.pool(), Checkpoint::start());
    let mut ends = Vec::new();
    for page in 0..5 {
        reader.step().await;
        ends.push(reader.read.len());
        append(2501 + page * 10, 2510 + page * 10).await;
    }
    assert_eq!(ends, [1000, 2000, 2500, 2530, 2540], "three pages of the first window, then each what was new");
    reader.step().await;
    assert_complete(database.pool(), &reader.read).await;
}

#[tokio::test]
async fn a_long_transaction_stalls_nobody() {
    let (database, another) = (with_aggregates().await, with_aggregates().await);
    let pool = database.pool();
    // in another database of the server, in this one, and one that has an event of its own to commit
    let mut far = another.pool().begin().await.expect("a transaction");
    sqlx::query("insert into elsewhere default values").execute(&mut *far).await.expect("written");
    let mut near = pool.begin().await.expect("a transaction");
    sqlx::query("insert into elsewhere default values").execute(&mut *near).await.expect("written");
    let mut late = pool.begin().await.expect("a transaction");
    sqlx::query(
        "insert into event (id, subject, sequence, type, version, time, correlation_id, data)
         values (gen_random_uuid(), 'late', 1, 'order.reserved', 1, now(), 'a', '{}')",
    )
    .execute(&mut *late)
    .await
    .expect("written");

    let owner = database.database(Service::Order);
    let mut reader = Reader::at(pool, Checkpoint::start());
    for round in 1..=5 {
        Customer::new().registers(&owner).await;
        assert!(reader.step().await, "it is there at once");
        assert_eq!(reader.read.len(), round);
        reader.hand_over().await;
    }
    far.commit().await.expect("committed");
    near.rollback().await.expect("rolled back");
    late.commit().await.expect("committed");
    assert!(reader.step().await);
    assert_eq!(reader.read.last(), Some(&("late".to_owned(), 1)));
    assert!(!reader.step().await);
    assert_complete(pool, &reader.read).await;
}

#[tokio::test]
async fn a_follower_is_moved_by_one_copy_at_a_time() {
    let database = TestDatabase::create(&MIGRATOR).await;
    let (mut one, mut other) =
        (database.pool().begin().await.expect("begun"), database.pool().begin().await.expect("begun"));
    assert!(follower::lock(&mut one, "totals").await.expect("asked"));
    one.commit().await.expect("committed");
    let mut one = database.pool().begin().await.expect("begun");
    assert!(follower::lock(&mut one, "totals").await.expect("asked"));
    assert!(!follower::lock(&mut other, "totals").await.expect("asked"));
    one.commit().await.expect("committed");
    eventually(SOON, async || is(follower::lock(&mut other, "totals").await.expect("asked"), true)).await;
}

#[tokio::test]
async fn a_checkpoint_of_another_server_is_refused_with_one_line() {
    let database = TestDatabase::create(&MIGRATOR).await;
    let mut conn = database.pool().acquire().await.expect("a connection");
    follower::load(&mut conn, "relay", "order").await.expect("made");
    sqlx::query("update follower set system_identifier = system_identifier + 1")
        .execute(&mut *conn)
        .await
        .expect("moved");
    let error = follower::load(&mut conn, "relay", "order").await.expect_err("refused");
    assert!(matches!(error, FollowError::OtherServer(_)));
    assert_eq!(error.to_string(), "the log was restored from another server: run `order events rebase`");
}

#[tokio::test]
async fn events_come_as_they_were_written() {
    let database = TestDatabase::create(&MIGRATOR).await;
    let customer = Customer::new();
    let id = customer.registers(&database.database(Service::Order)).await;
    let mut conn = database.pool().acquire().await.expect("a connection");
    let page = follower::read(&mut conn, &Checkpoint::start()).await.expect("a page");
    let [
        LoggedEvent {
            id: read,
            subject,
            sequence,
            event_type,
            version,
            correlation_id,
            causation_id,
            traceparent,
            data,
            ..
        },
    ] = page.events.as_slice()
    else {
        panic!("one event: {:?}", page.events)
    };
    assert_eq!((*read, subject, *sequence), (id, &customer.id.to_string(), 1));
    assert_eq!((event_type.as_str(), *version), ("customer.registered", 1));
    assert_eq!((correlation_id.as_str(), causation_id.as_deref()), ("a-request", Some("a-request")));
    assert!(traceparent.is_some());
    assert!(data.contains(r#""name":"Ada""#), "{data}");
}
