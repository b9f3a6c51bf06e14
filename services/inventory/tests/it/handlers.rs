//! What events do, one after the other.

use contracts::values::OrderId;
use messaging::handler::HandlerError;
use serde_json::json;

use crate::support::{Batch, Shop};

#[tokio::test]
async fn an_order_is_held_and_committed() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    shop.stock("cup", 3, None).await;
    let order = OrderId::new();

    shop.created(order, &[("tea", 4), ("cup", 3)]).await;
    assert_eq!((shop.stock_of("tea").await, shop.stock_of("cup").await), ((10, 4), (3, 3)));
    assert_eq!(shop.events_of(order).await, [("inventory.reserved".to_owned(), json!({"order_id": order}))]);

    shop.confirmed(order).await;
    assert_eq!((shop.stock_of("tea").await, shop.stock_of("cup").await), ((6, 0), (0, 0)));
    assert_eq!(shop.state_of(order).await.as_deref(), Some("committed"));
    assert_eq!(shop.events_of(order).await.len(), 1, "nobody waits for an answer to that");
    shop.close().await;
}

#[tokio::test]
async fn what_an_order_sets_off_names_its_cause() {
    let shop = Shop::open().await;
    let batch = Batch::default().created(OrderId::new(), &[("tea", 1)]).created(OrderId::new(), &[("tea", 1)]);
    shop.handle(&batch).await.unwrap();
    for event in &batch.created {
        let query = "select correlation_id, causation_id from event where subject = $1";
        let (correlation, causation): (String, String) =
            sqlx::query_as(query).bind(event.order_id.to_string()).fetch_one(shop.pool()).await.unwrap();
        assert_eq!((correlation, causation), (event.context.correlation_id.clone(), event.id.to_string()));
    }
    shop.close().await;
}

#[tokio::test]
async fn an_order_that_does_not_fit_is_rejected_whole() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    shop.stock("cup", 3, None).await;
    let order = OrderId::new();
    shop.created(order, &[("tea", 4), ("cup", 4), ("pot", 1)]).await;
    let short = json!({"order_id": order, "short": [
        {"sku": "cup", "requested": 4, "available": 3},
        {"sku": "pot", "requested": 1, "available": 0},
    ]});
    assert_eq!(shop.events_of(order).await, [("inventory.rejected".to_owned(), short)]);
    assert_eq!((shop.stock_of("tea").await, shop.stock_of("cup").await), ((10, 0), (3, 0)));

    // The order service cancels it then.
    shop.cancelled(order).await;
    assert_eq!(shop.state_of(order).await.as_deref(), Some("rejected"));
    assert_eq!(shop.stock_of("tea").await, (10, 0));
    shop.close().await;
}

#[tokio::test]
async fn a_cancellation_gives_back_what_was_taken() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    let (held, committed) = (OrderId::new(), OrderId::new());
    shop.created(held, &[("tea", 2)]).await;
    shop.created(committed, &[("tea", 3)]).await;
    shop.confirmed(committed).await;
    assert_eq!(shop.stock_of("tea").await, (7, 2));

    shop.handle(&Batch::default().cancelled(held).cancelled(committed)).await.unwrap();
    assert_eq!(shop.stock_of("tea").await, (10, 0));
    assert_eq!(shop.state_of(held).await.as_deref(), Some("released"));
    assert_eq!(shop.state_of(committed).await.as_deref(), Some("returned"));
    shop.close().await;
}

#[tokio::test]
async fn events_that_come_again_under_another_id_change_nothing() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    let order = OrderId::new();
    let twice = async |batch: Batch| {
        shop.handle(&batch).await.unwrap();
        let first = shop.stock_of("tea").await;
        shop.handle(&batch).await.unwrap();
        assert_eq!(shop.stock_of("tea").await, first);
        first
    };
    // Also within one batch.
    let created = Batch::default().created(order, &[("tea", 2)]).created(order, &[("tea", 2)]);
    assert_eq!(twice(created).await, (10, 2));
    assert_eq!(twice(Batch::default().confirmed(order).confirmed(order)).await, (8, 0));
    assert_eq!(twice(Batch::default().cancelled(order).cancelled(order)).await, (10, 0));
    assert_eq!(shop.types_of(order).await, ["inventory.reserved"]);
    shop.close().await;
}

#[tokio::test]
async fn a_cancellation_that_overtakes_its_order_stops_it() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    let order = OrderId::new();
    shop.cancelled(order).await;
    assert_eq!(shop.state_of(order).await.as_deref(), Some("released"));
    shop.created(order, &[("tea", 2)]).await;
    shop.cancelled(order).await;
    assert_eq!(shop.stock_of("tea").await, (10, 0));
    assert!(shop.types_of(order).await.is_empty(), "the order has ended already");
    shop.close().await;
}

#[tokio::test]
async fn a_cancellation_wins_over_a_later_confirmation() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    let (held, overtaken, rejected) = (OrderId::new(), OrderId::new(), OrderId::new());
    shop.created(held, &[("tea", 2)]).await;
    shop.created(rejected, &[("tea", 20)]).await;
    shop.cancelled(held).await;
    shop.cancelled(overtaken).await;
    shop.handle(&Batch::default().confirmed(held).confirmed(overtaken).confirmed(rejected)).await.unwrap();
    assert_eq!(shop.stock_of("tea").await, (10, 0));
    shop.close().await;
}

#[tokio::test]
async fn a_confirmation_of_an_order_never_seen_comes_again() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    let order = OrderId::new();
    let early = shop.handle(&Batch::default().confirmed(order)).await;
    assert!(matches!(early, Err(HandlerError::Again(_))), "{early:?}");
    assert_eq!(shop.state_of(order).await, None);
    shop.created(order, &[("tea", 2)]).await;
    shop.confirmed(order).await;
    assert_eq!(shop.stock_of("tea").await, (8, 0));
    shop.close().await;
}

#[tokio::test]
async fn a_mixed_batch_is_handled_in_the_order_of_an_orders_life() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    shop.stock("cup", 10, None).await;
    let [a, b, c, d] = [(); 4].map(|()| OrderId::new());
    let batch = Batch::default()
        .cancelled(b)
        .cancelled(c)
        .confirmed(a)
        .confirmed(b)
        .created(a, &[("cup", 1), ("tea", 2)])
        .created(b, &[("tea", 3)])
        .created(c, &[("tea", 4), ("cup", 5)])
        .created(d, &[("tea", 2)]);
    shop.handle(&batch).await.unwrap();
    // a is gone, b came back, c was let go; d came while they were all held.
    assert_eq!((shop.stock_of("tea").await, shop.stock_of("cup").await), ((8, 0), (9, 0)));
    for (order, state) in [(a, "committed"), (b, "returned"), (c, "released"), (d, "rejected")] {
        assert_eq!(shop.state_of(order).await.as_deref(), Some(state));
    }
    shop.close().await;
}

#[tokio::test]
async fn lines_that_break_the_contract_are_never_tried_again() {
    let shop = Shop::open().await;
    shop.stock("tea", 10_000, None).await;
    let too_many = [("tea", 9_000), ("tea", 9_000)];
    for lines in [&[][..], &too_many] {
        let result = shop.handle(&Batch::default().created(OrderId::new(), lines)).await;
        assert!(matches!(result, Err(HandlerError::Reject(_))), "{result:?}");
    }
    // The same sku twice is forgiven where the sum could have been ordered.
    let order = OrderId::new();
    shop.created(order, &[("tea", 1), ("tea", 2)]).await;
    assert_eq!(shop.stock_of("tea").await, (10_000, 3));
    shop.close().await;
}

#[tokio::test]
async fn stock_that_does_not_cover_a_reservation_is_not_made_worse() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, None).await;
    let order = OrderId::new();
    shop.created(order, &[("tea", 2)]).await;
    sqlx::query("update product set reserved = 1").execute(shop.pool()).await.unwrap();
    let result = shop.handle(&Batch::default().confirmed(order)).await;
    assert!(matches!(result, Err(HandlerError::Again(_))), "{result:?}");
    sqlx::query("update product set reserved = 2").execute(shop.pool()).await.unwrap();
    shop.confirmed(order).await;
    shop.close().await;
}

#[tokio::test]
async fn low_stock_is_told_once_per_fall() {
    let shop = Shop::open().await;
    shop.stock("tea", 10, Some(5)).await;
    let (first, second, third) = (OrderId::new(), OrderId::new(), OrderId::new());
    assert!(shop.types_of("tea/low").await.is_empty(), "having none yet is no fall");
    shop.created(first, &[("tea", 6)]).await;
    shop.created(second, &[("tea", 1)]).await;
    shop.confirmed(second).await;
    let low = json!({"sku": "tea", "name": "Tea", "available": 4, "threshold": 5});
    assert_eq!(shop.events_of("tea/low").await, [("inventory.low".to_owned(), low)]);

    shop.cancelled(first).await;
    shop.created(third, &[("tea", 5)]).await;
    assert_eq!(shop.types_of("tea/low").await.len(), 2, "it was up again in between");
    shop.close().await;
}
