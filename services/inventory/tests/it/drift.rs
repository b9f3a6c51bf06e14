//! The look at a part of the ledger, once a minute.

use contracts::values::OrderId;
use inventory::drift::Books;
use service_kit::drift::{Drift, Look};

use crate::support::Shop;

async fn look(shop: &Shop, books: &mut Books) -> i64 {
    books.look(&mut shop.pool().acquire().await.unwrap()).await.unwrap();
    books.wrong()
}

#[tokio::test]
async fn a_ledger_that_does_not_add_up_shows_until_it_does_again() {
    let shop = Shop::open().await;
    let mut books = Books::new(&Drift::register(&mut Default::default()));
    assert_eq!(look(&shop, &mut books).await, 0, "no products");
    for sku in ["cup", "ink", "tea"] {
        shop.stock(sku, 10, None).await;
    }
    shop.created(OrderId::new(), &[("tea", 2), ("ink", 1)]).await;
    assert_eq!(look(&shop, &mut books).await, 0);
    let execute = async |sql: &'static str| {
        sqlx::query(sql).execute(shop.pool()).await.unwrap();
    };
    execute("update product set on_hand = on_hand + 1 where sku in ('cup', 'tea')").await;
    assert_eq!(look(&shop, &mut books).await, 2);
    execute("update product set on_hand = on_hand - 1 where sku in ('cup', 'tea')").await;
    assert_eq!(look(&shop, &mut books).await, 0);
    shop.close().await;
}

#[tokio::test]
async fn a_long_ledger_is_added_up_over_several_looks_while_it_grows() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    let long = "insert into movement (sku, id, at, kind, on_hand_delta, reserved_delta, reason)
                select 'tea', gen_random_uuid(), now(), 'adjusted', 1, 0, 'found' from generate_series(1, 24990)";
    sqlx::query(long).execute(shop.pool()).await.unwrap();
    sqlx::query("update product set on_hand = on_hand + 24990 where sku = 'tea'").execute(shop.pool()).await.unwrap();
    let mut books = Books::new(&Drift::register(&mut Default::default()));
    for _ in 0..2 {
        assert_eq!(look(&shop, &mut books).await, 0);
        shop.created(OrderId::new(), &[("tea", 1)]).await;
    }
    assert_eq!(look(&shop, &mut books).await, 0, "to its end");
    sqlx::query("update product set on_hand = on_hand + 1 where sku = 'tea'").execute(shop.pool()).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(look(&shop, &mut books).await);
    }
    assert_eq!(seen.last(), Some(&1), "{seen:?}");
    sqlx::query("update product set on_hand = on_hand - 1 where sku = 'tea'").execute(shop.pool()).await.unwrap();
    shop.close().await;
}
