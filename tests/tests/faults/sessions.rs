//! The database is there, and its sessions have a hard life: they are ended at random, meet a stranger's locks, and
//! transactions fail to serialise. Nobody's message is to blame.

use std::time::{Duration, Instant};

use end_to_end::infrastructure::beside_others;
use end_to_end::load::Load;
use end_to_end::service::SERVICES;
use end_to_end::shop::order_of;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually, until};
use sqlx::{Connection as _, Executor as _};

use crate::crashes::{LADDER, all_settled, mixture};

/// Longer than services wait for a lock.
const HELD: Duration = Duration::from_secs(7);

async fn shop() -> System {
    let system = System::setup().env("RETRY_DELAYS", LADDER).start().await;
    system.sell("tea", 100, 10_000).await;
    system.sell("cup", 100, 10_000).await;
    system
}

/// No message was sent up the ladder.
async fn nobody_was_charged(system: &System) {
    for name in SERVICES {
        let retries = system.service(name).metric("warren_retries_total", &[]).await.expect("metrics");
        assert_eq!(retries.unwrap_or(0.0), 0.0, "{name} charged a message");
    }
}

#[tokio::test]
async fn sessions_that_are_ended_at_random_cost_nobody_an_attempt() {
    let _beside = beside_others().await;
    let system = shop().await;
    let customer = system.customer().await;
    // A sender whose session ended may have handed over what it could not record.
    system.allow_repeated_mails();
    let load = Load::default();
    let targets = [system.order.api()];
    let ends = async {
        for turn in 1..=12 {
            load.reached(10 * turn).await;
            for name in SERVICES {
                let sql = "select pg_terminate_backend(pid) from pg_stat_activity
                           where datname = current_database() and pid <> pg_backend_pid() and random() < 0.4";
                system.database(name).rows(sql).await;
            }
        }
    };
    tokio::join!(load.run(&targets, 150, mixture(&customer)), ends);
    all_settled(&system, &load).await;
    nobody_was_charged(&system).await;
    system.finish().await;
}

/// Whether a session of the service waits for a lock, in a transaction that is younger than `seconds`.
async fn waits_for_a_lock(system: &System, seconds: u32) -> Result<(), String> {
    let sql = format!(
        "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
         and application_name = 'inventory' and xact_start > now() - interval '{seconds} seconds'"
    );
    let waiting = system.database("inventory").rows(&sql).await.len();
    check(waiting > 0, || "nobody waits".to_owned())
}

#[tokio::test]
async fn locks_that_a_stranger_holds_are_waited_for() {
    let _beside = beside_others().await;
    let system = shop().await;
    let customer = system.customer().await;
    let load = Load::default();
    let targets = [system.order.api()];
    let locks = async {
        load.reached(20).await;
        let mut stranger = system.database("inventory").connect().await;
        let mut held = stranger.begin().await.expect("a transaction");
        held.execute("select 1 from product where sku = 'tea' for update").await.expect("locked");
        until(Instant::now() + HELD).await;
        eventually("the first wait was given up, and another began", PATIENCE, async || {
            waits_for_a_lock(&system, 4).await
        })
        .await;
        held.rollback().await.expect("given back");
        let _ = stranger.close().await;
    };
    tokio::join!(load.run(&targets, 60, mixture(&customer)), locks);
    all_settled(&system, &load).await;
    nobody_was_charged(&system).await;
    system.finish().await;
}

#[tokio::test]
async fn who_meets_a_stranger_in_a_deadlock_tries_again() {
    let _beside = beside_others().await;
    let system = shop().await;
    let customer = system.customer().await;
    let load = Load::default();
    let targets = [system.order.api()];
    let both = |_| order_of(&customer.id, &[("cup", 1), ("tea", 1)], "sandbox:ok");
    let deadlocks = async {
        load.reached(10).await;
        eventually("the service and a stranger have met in a deadlock", PATIENCE, async || {
            let mut stranger = system.database("inventory").connect().await;
            // Whoever has waited this long looks for a deadlock, and is the one to give up.
            stranger.execute("set deadlock_timeout = '1min'").await.expect("a superuser's setting");
            let mut held = stranger.begin().await.expect("a transaction");
            held.execute("select 1 from product where sku = 'tea' for update").await.expect("locked");
            let waiting = eventually("somebody waits for tea", PATIENCE, async || waits_for_a_lock(&system, 60).await);
            waiting.await;
            held.execute("select 1 from product where sku = 'cup' for update").await.expect("the other one gave up");
            held.rollback().await.expect("given back");
            let _ = stranger.close().await;
            let sql = "select 1 from pg_stat_database where datname = current_database() and deadlocks > 0";
            let met = system.database("inventory").rows(sql).await.len();
            check(met > 0, || "they have not".to_owned())
        })
        .await;
    };
    tokio::join!(load.run(&targets, 100, both), deadlocks);
    all_settled(&system, &load).await;
    nobody_was_charged(&system).await;
    system.finish().await;
}

/// How often transactions of each service are made to fail.
const FAILURES: i64 = 12;

/// Whatever is stored, fails so many times before it succeeds. A sequence counts also what is rolled back.
const TRAP: &str = "
    create sequence failures;
    create function fail() returns trigger language plpgsql as $$
    declare count bigint := nextval('failures');
    begin
        if count > 12 then return null; end if;
        if count % 3 = 0 then raise sqlstate '40P01'; end if;
        raise sqlstate '40001';
    end $$;
    create trigger fails before insert on inbox execute function fail();";

#[tokio::test]
async fn transactions_that_fail_to_serialise_are_repeated() {
    let _beside = beside_others().await;
    let system = shop().await;
    let customer = system.customer().await;
    for name in SERVICES {
        system.database(name).execute(TRAP).await;
    }
    // What places an order writes no inbox rows; it fails as well, and is repeated by its caller under the same key.
    system.database("order").execute("create trigger fails before insert on orders execute function fail();").await;
    let load = Load::default();
    load.run(&[system.order.api()], 40, mixture(&customer)).await;
    all_settled(&system, &load).await;
    for name in SERVICES {
        let sql = format!("select 1 from failures where last_value > {FAILURES}");
        assert_eq!(system.database(name).rows(&sql).await.len(), 1, "{name} was spared");
    }
    nobody_was_charged(&system).await;
    system.finish().await;
}
