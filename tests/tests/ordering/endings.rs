//! How orders end otherwise: nothing left, no money, or never begun.

use end_to_end::shop::{QUIET, order_of, text};
use end_to_end::system::System;
use end_to_end::waiting::{check, stays};
use serde_json::json;

#[tokio::test]
async fn what_cannot_be_delivered_is_cancelled_with_one_mail() {
    let system = System::start().await;
    system.sell("rare", 100, 1).await;
    system.sell("plenty", 100, 100).await;
    let customer = system.customer().await;

    // All or nothing: what there is of the other line is not held.
    let out_of_stock = system.place(&customer, &[("plenty", 5), ("rare", 2)]).await;
    let order = system.settled(text(&out_of_stock, "id")).await;
    assert_eq!((text(&order, "status"), text(&order, "cancel_reason")), ("cancelled", "out-of-stock"));
    assert_eq!(order["payment"]["status"], "none");
    assert_eq!(order.get("cancel_note"), None);
    system.stock_reaches("plenty", 100, 0).await;
    assert_eq!(system.inventory.api().list("/v1/products/plenty/movements").await.len(), 1);

    let declined = system.place_paid_by(&customer, &[("rare", 1)], "sandbox:declined").await;
    let order = system.settled(text(&declined, "id")).await;
    assert_eq!((text(&order, "status"), text(&order, "cancel_reason")), ("cancelled", "payment-failed"));
    assert_eq!(order["payment"]["status"], "failed");
    system.stock_reaches("rare", 1, 0).await;
    let types: Vec<String> =
        system.history(text(&declined, "id")).await.iter().map(|event| text(event, "type").to_owned()).collect();
    assert_eq!(types, ["order.created", "order.reserved", "payment.failed", "order.cancelled"]);

    for order in [&out_of_stock, &declined] {
        let mails = system.mails_told(&format!("order_id={}", text(order, "id")), 1).await;
        assert_eq!(text(&mails[0], "template"), "order-cancelled");
    }
    stays("one mail of welcome and one for each order", QUIET, async || {
        let count = system.mailbox.to(&customer.email).len();
        check(count == 3, || format!("{count} mails"))
    })
    .await;
    system.finish().await;
}

#[tokio::test]
async fn what_cannot_be_ordered_is_refused() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    system.sell("old", 100, 10).await;
    let inactive = json!({"name": "Old", "unit_price": {"amount": 100, "currency": "EUR"}, "active": false});
    system.define("old", &inactive).await;
    let dollars = json!({"name": "Gum", "unit_price": {"amount": 100, "currency": "USD"}, "active": true});
    system.define("gum", &dollars).await;
    let dear = json!({"name": "Island", "unit_price": {"amount": i64::MAX / 2, "currency": "EUR"}, "active": true});
    system.define("island", &dear).await;
    let customer = system.customer().await;
    let nobody = "0198c0de-0000-7000-8000-0000000000c1";

    let events = system.database("order").event_count().await;
    for (customer, lines, kind) in [
        (customer.id.as_str(), &[("tea", 1), ("unheard-of", 1)][..], "unknown-sku"),
        (&customer.id, &[("old", 1)], "unknown-sku"),
        (nobody, &[("tea", 1)], "unknown-customer"),
        (&customer.id, &[("tea", 1), ("gum", 1)], "mixed-currencies"),
    ] {
        system.try_place(&order_of(customer, lines, "sandbox:ok")).await.problem(422, kind);
    }
    let overflow = system.try_place(&order_of(&customer.id, &[("island", 3)], "sandbox:ok")).await;
    assert_eq!(overflow.status, 422, "a total that overflows is refused: {overflow}");
    assert_eq!(system.database("order").event_count().await, events, "what was refused left no trace");
    assert!(system.order.api().list("/v1/orders").await.is_empty());
    system.finish().await;
}

#[tokio::test]
async fn a_cancellation_in_the_middle_gives_everything_back() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place_paid_by(&customer, &[("tea", 4)], "sandbox:manual").await;
    let id = text(&order, "id");
    system.reaches(id, &["reserved"]).await;
    system.stock_reaches("tea", 10, 4).await;
    let reservation = system.inventory.api().get(&format!("/v1/reservations/{id}")).await.expect(200);
    assert_eq!(text(&reservation, "state"), "held");
    assert_eq!(text(&system.cancel(id).await, "status"), "cancelled");
    system.stock_reaches("tea", 10, 0).await;
    let reservation = system.inventory.api().get(&format!("/v1/reservations/{id}")).await.expect(200);
    assert_eq!(text(&reservation, "state"), "released");

    // At once, so that the cancellation may overtake its order on the way to inventory.
    for _ in 0..20 {
        let order = system.place(&customer, &[("tea", 1)]).await;
        system.order.api().post(&format!("/v1/orders/{}/cancel", text(&order, "id")), &json!({})).await.expect(202);
    }
    system.stock_reaches("tea", 10, 0).await;
    system.finish().await;
}
