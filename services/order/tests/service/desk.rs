//! The desk: batches, an outage, and a stop.

use contracts::event::Service;
use contracts::values::CustomerId;
use futures_util::future::join_all;
use messaging::context::Context;
use messaging::tx::Database;
use order::desk::{Desk, Wish};

use crate::shop::Shop;

fn wish(customer: &str) -> Wish {
    Wish {
        customer_id: customer.parse::<CustomerId>().unwrap(),
        lines: vec![("tea".parse().unwrap(), 1.try_into().unwrap())],
        payment_method: "sandbox:ok".to_owned(),
        key: None,
        context: Context { correlation_id: "test".into(), causation_id: None, traceparent: None },
    }
}

#[tokio::test]
async fn whoever_came_before_it_closed_is_served() {
    let shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let (desk, clerks) = Desk::open(shop.database.clone());
    let wishes: Vec<_> = (0..200).map(|_| (desk.clone(), wish(&customer))).collect();
    drop(desk);
    let answers = join_all(wishes.into_iter().map(|(desk, wish)| async move { desk.place(wish).await }));
    let (answers, ()) = tokio::join!(answers, clerks);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(shop.count("select count(*) from orders").await, 200);
    assert_eq!(
        shop.count("select count(distinct xid) from event where type = 'order.created'").await,
        4,
        "64 together"
    );
}

#[tokio::test]
async fn while_the_database_is_away_everybody_is_told_at_once() {
    let shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    // the same database over connections of its own, which go away
    let options = shop.pool().connect_options();
    let pool = sqlx::PgPool::connect_with((*options).clone()).await.unwrap();
    let (desk, clerks) = Desk::open(Database::new(pool.clone(), Service::Order, u64::MAX));
    tokio::spawn(clerks);
    pool.close().await;
    let answers = join_all((0..100).map(|_| desk.place(wish(&customer)))).await;
    for answer in answers {
        let problem = answer.unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.kind()), (503, "unavailable"));
    }
    assert_eq!(shop.count("select count(*) from orders").await, 0);
}
