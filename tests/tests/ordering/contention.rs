//! More orders than goods, all at once.

use std::collections::BTreeMap;

use end_to_end::shop::{order_of, text};
use end_to_end::system::System;
use futures_util::future::join_all;

#[tokio::test]
async fn fifty_units_are_sold_fifty_times() {
    let system = System::start().await;
    system.sell("rare", 100, 50).await;
    let customer = system.customer().await;
    let body = order_of(&customer.id, &[("rare", 1)], "sandbox:ok");
    let answers = join_all((0..200).map(|_| system.try_place(&body))).await;
    let ids: Vec<String> = answers.iter().map(|answer| text(&answer.expect(201), "id").to_owned()).collect();

    let mut endings = BTreeMap::<String, usize>::new();
    for id in &ids {
        let order = system.settled(id).await;
        let ending = order["cancel_reason"].as_str().unwrap_or("confirmed");
        *endings.entry(ending.to_owned()).or_default() += 1;
    }
    assert_eq!(endings, BTreeMap::from([("confirmed".to_owned(), 50), ("out-of-stock".to_owned(), 150)]));
    system.stock_reaches("rare", 0, 0).await;
    system.finish().await;
}

#[tokio::test]
async fn orders_for_the_same_things_in_opposite_order_do_not_stop_each_other() {
    let system = System::start().await;
    for sku in ["a", "b", "c"] {
        system.sell(sku, 100, 30).await;
    }
    let customer = system.customer().await;
    let ways: [&[(&str, i64)]; 3] =
        [&[("a", 1), ("b", 1), ("c", 1)], &[("c", 1), ("b", 1), ("a", 1)], &[("b", 1), ("a", 1)]];
    let bodies: Vec<_> = (0..90).map(|index| order_of(&customer.id, ways[index % 3], "sandbox:ok")).collect();
    let answers = join_all(bodies.iter().map(|body| system.try_place(body))).await;
    for answer in answers {
        system.settled(text(&answer.expect(201), "id")).await;
    }
    system.assert_no_deadlock().await;
    // At most thirty of each can be gone; which orders got them is chance, and the audit counts them.
    system.finish().await;
}
