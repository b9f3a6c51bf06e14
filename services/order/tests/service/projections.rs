//! Read models and rows against the log: verified, found to differ, built anew while orders go on.

use messaging::follower;
use order::history::verify;
use order::metrics::Metrics;
use order::workers::projections::{all, rebuild, step};
use prometheus_client::registry::Registry;
use sqlx::postgres::PgPoolOptions;

use crate::shop::Shop;

fn nobody_asks(_: u64) {}

async fn orders(shop: &mut Shop, count: usize, cancelled: usize) {
    let customer = shop.customer(&format!("{}@example.com", uuid::Uuid::now_v7())).await;
    for index in 0..count {
        let id = shop.place(&customer, "sandbox:ok").await;
        shop.reserved(id).await;
        while shop.payments.step().await.unwrap() > 0 {}
        if index < cancelled {
            shop.cancel(id).await;
        }
    }
}

#[tokio::test]
async fn a_read_model_that_differs_is_found_and_built_anew() {
    let mut shop = Shop::open().await;
    orders(&mut shop, 6, 2).await;
    let projections = all(&Metrics::register(&mut Registry::default()));
    // one of them has taken part of the log, the other nothing
    step(projections[0].as_ref(), shop.pool()).await.unwrap();
    orders(&mut shop, 3, 1).await;
    let mut conn = shop.pool().acquire().await.unwrap();
    for projection in &projections {
        let found = rebuild::verify(projection.as_ref(), &mut conn, &mut nobody_asks).await.unwrap();
        assert_eq!((found.rows, found.examples), (0, vec![]), "{}", projection.name());
    }
    let behind = |standings: Vec<follower::Standing>, name: &str| {
        standings.into_iter().find(|standing| standing.name == name).map(|standing| standing.behind)
    };
    let before = follower::standings(&mut conn).await.unwrap();
    assert!(behind(before, "customer-totals").is_some_and(|behind| behind > 0), "verifying moves nobody");

    for projection in &projections {
        step(projection.as_ref(), shop.pool()).await.unwrap();
    }
    assert_eq!(shop.execute("update daily_sale set revenue = revenue + 1").await, 1);
    assert_eq!(shop.execute("delete from customer_total").await, 2);
    for projection in &projections {
        let found = rebuild::verify(projection.as_ref(), &mut conn, &mut nobody_asks).await.unwrap();
        assert!(found.rows > 0 && !found.examples.is_empty(), "{}: {found:?}", projection.name());
    }
    for projection in &projections {
        rebuild::rebuild(projection.as_ref(), &mut conn, &mut nobody_asks).await.unwrap();
        let found = rebuild::verify(projection.as_ref(), &mut conn, &mut nobody_asks).await.unwrap();
        assert_eq!((found.rows, found.examples), (0, vec![]), "{}", projection.name());
    }
    drop(conn);
    orders(&mut shop, 1, 0).await;
    let mut conn = shop.pool().acquire().await.unwrap();
    for projection in &projections {
        step(projection.as_ref(), shop.pool()).await.unwrap();
        let found = rebuild::verify(projection.as_ref(), &mut conn, &mut nobody_asks).await.unwrap();
        assert_eq!(found.rows, 0, "it goes on from where the new one came to: {found:?}");
    }
    let names: Vec<String> =
        follower::standings(&mut conn).await.unwrap().into_iter().map(|standing| standing.name).collect();
    assert!(names.iter().all(|name| !name.ends_with(".rebuild")), "{names:?}");
    assert_eq!(shop.count("select count(*) from daily_sale where confirmed = 10 and cancelled = 3").await, 1);
}

#[tokio::test]
async fn a_session_that_followed_before_compares_and_builds_beside_the_read_model_all_the_same() {
    let mut shop = Shop::open().await;
    orders(&mut shop, 3, 1).await;
    let options = (*shop.pool().connect_options()).clone();
    let session = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    for projection in &all(&Metrics::register(&mut Registry::default())) {
        for round in 1..=3 {
            orders(&mut shop, 2, 1).await;
            step(projection.as_ref(), &session).await.unwrap();
            let mut conn = session.acquire().await.unwrap();
            for _ in 0..2 {
                let found = rebuild::verify(projection.as_ref(), &mut conn, &mut nobody_asks).await.unwrap();
                assert_eq!((found.rows, found.examples), (0, vec![]), "{} in round {round}", projection.name());
            }
            drop(conn);
            orders(&mut shop, 2, 1).await;
            step(projection.as_ref(), &session).await.unwrap();
            let mut conn = session.acquire().await.unwrap();
            rebuild::rebuild(projection.as_ref(), &mut conn, &mut nobody_asks).await.unwrap();
            let found = rebuild::verify(projection.as_ref(), &mut conn, &mut nobody_asks).await.unwrap();
            assert_eq!((found.rows, found.examples), (0, vec![]), "{} in round {round}", projection.name());
        }
    }
}

#[tokio::test]
async fn a_read_model_goes_on_after_a_window_that_is_full_to_the_last_page() {
    for pages in [1, 2] {
        let mut shop = Shop::open().await;
        let projections = all(&Metrics::register(&mut Registry::default()));
        while step(projections[0].as_ref(), shop.pool()).await.unwrap() {}
        let strangers = sqlx::query(
            "insert into event (id, subject, sequence, type, version, time, correlation_id, data)
             select gen_random_uuid(), 'somebody/' || n, 1, 'customer.registered', 1, now(), 'c', '{}'
             from generate_series(1, $1) as n",
        );
        strangers.bind(i64::try_from(pages * follower::PAGE).unwrap()).execute(shop.pool()).await.unwrap();
        while step(projections[0].as_ref(), shop.pool()).await.unwrap() {}
        orders(&mut shop, 2, 0).await;
        while step(projections[0].as_ref(), shop.pool()).await.unwrap() {}
        assert_eq!(shop.count("select sum(orders)::bigint from customer_total").await, 2, "after {pages} full pages");
    }
}

#[tokio::test]
async fn a_read_model_is_built_anew_while_orders_go_on() {
    let mut shop = Shop::open().await;
    orders(&mut shop, 5, 1).await;
    let pool = shop.pool().clone();
    let follow = tokio::spawn(async move {
        let projections = all(&Metrics::register(&mut Registry::default()));
        loop {
            for projection in &projections {
                step(projection.as_ref(), &pool).await.unwrap();
            }
            tokio::task::yield_now().await;
        }
    });
    let pool = shop.pool().clone();
    let build = tokio::spawn(async move {
        let projections = all(&Metrics::register(&mut Registry::default()));
        let mut conn = pool.acquire().await.unwrap();
        for _ in 0..5 {
            for projection in &projections {
                rebuild::rebuild(projection.as_ref(), &mut conn, &mut nobody_asks).await.unwrap();
            }
        }
    });
    orders(&mut shop, 20, 7).await;
    build.await.unwrap();
    let mut conn = shop.pool().acquire().await.unwrap();
    for projection in &all(&Metrics::register(&mut Registry::default())) {
        let found = rebuild::verify(projection.as_ref(), &mut conn, &mut nobody_asks).await.unwrap();
        assert_eq!((found.rows, found.examples), (0, vec![]), "{}", projection.name());
    }
    follow.abort();
}

#[tokio::test]
async fn an_order_that_is_not_its_history_is_found() {
    let mut shop = Shop::open().await;
    orders(&mut shop, 4, 2).await;
    let mut conn = shop.pool().acquire().await.unwrap();
    let found = verify::verify(&mut conn, &mut nobody_asks).await.unwrap();
    assert_eq!((found.orders, found.drifted), (4, vec![]));

    for (damage, says) in [
        (
            "update orders set total_amount = total_amount + 1 where id = (select id from orders order by id limit 1)",
            "differs",
        ),
        (
            "update orders set version = version + 1 where id = (select id from orders order by id limit 1)",
            "it is at version",
        ),
        (
            "delete from event where sequence = 2 and subject = (select id::text from orders order by id limit 1)",
            "no event 2",
        ),
    ] {
        assert_eq!(shop.execute(damage).await, 1);
        let found = verify::verify(&mut conn, &mut nobody_asks).await.unwrap();
        assert_eq!(found.drifted.len(), 1, "{damage}");
        assert!(found.drifted[0].why.contains(says), "{damage}: {found:?}");
    }
}
