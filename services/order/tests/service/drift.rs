//! The look at a sample of orders, once a minute.

use order::drift::Books;
use service_kit::drift::{Drift, Look};

use crate::shop::Shop;

async fn look(shop: &Shop, books: &mut Books) -> i64 {
    books.look(&mut shop.pool().acquire().await.unwrap()).await.unwrap();
    books.wrong()
}

#[tokio::test]
async fn an_order_that_is_not_what_its_history_says_shows_until_it_is_again() {
    let mut shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let mut books = Books::new(&Drift::register(&mut Default::default()));
    assert_eq!(look(&shop, &mut books).await, 0, "no orders");
    shop.reserved_order("sandbox:ok").await;
    shop.payments.step().await.unwrap();
    shop.place(&customer, "sandbox:ok").await;
    assert_eq!(look(&shop, &mut books).await, 0);

    for (wrong, right) in [
        ("update orders set total_amount = total_amount + 1", "update orders set total_amount = total_amount - 1"),
        ("update orders set version = version + 1", "update orders set version = version - 1"),
        ("update orders set payment_method = 'sandbox:slow'", "update orders set payment_method = 'sandbox:ok'"),
    ] {
        shop.execute(wrong).await;
        assert_eq!(look(&shop, &mut books).await, 2, "{wrong}");
        assert_eq!(look(&shop, &mut books).await, 2, "it is counted once");
        shop.execute(right).await;
        assert_eq!(look(&shop, &mut books).await, 0, "{right}");
    }
}

#[tokio::test]
async fn all_orders_come_in_turn() {
    let shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let oldest = shop.place(&customer, "sandbox:ok").await;
    for _ in 0..160 {
        shop.place(&customer, "sandbox:ok").await;
    }
    let mut books = Books::new(&Drift::register(&mut Default::default()));
    let middle = "update orders set version = 7 where id = (select id from orders order by id offset 105 limit 1)";
    shop.execute(middle).await;
    assert_eq!(look(&shop, &mut books).await, 0, "neither among the first hundred nor among the newest");
    assert_eq!(look(&shop, &mut books).await, 1);
    sqlx::query("update orders set version = 7 where id = $1").bind(oldest.0).execute(shop.pool()).await.unwrap();
    assert_eq!(look(&shop, &mut books).await, 1, "the end of the walk");
    assert_eq!(look(&shop, &mut books).await, 2, "from the oldest on again");
}
