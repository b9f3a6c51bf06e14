//! What events leave behind.

use contracts::event::Service;
use contracts::inventory::InventoryLow;
use contracts::order::CancelReason;
use contracts::values::CustomerId;
use email::handlers::{ConfirmOrder, ExplainCancellation, NoteChange, WarnOfLowStock, WelcomeCustomer, subscriptions};
use messaging::harness::Harness;

use crate::world::{World, cancelled, changed, confirmed, received, registered};

fn low() -> InventoryLow {
    InventoryLow { sku: "TEA-500".parse().unwrap(), name: "Tea".to_owned(), available: 2, threshold: 5 }
}

#[tokio::test]
async fn each_event_has_its_mail() {
    let world = World::new().await;
    let customer = CustomerId::new();
    let mut harness =
        Harness::new().with("email", subscriptions(&world.outgoing, true), world.db.database(Service::Email));
    harness.publish(Service::Order, &registered(customer, "ada@example.com"));
    harness.publish(Service::Order, &changed(customer, "ada@example.net"));
    harness.publish(Service::Order, &confirmed(customer));
    harness.publish(Service::Order, &cancelled(Some(customer), CancelReason::PaymentFailed));
    harness.publish(Service::Order, &cancelled(None, CancelReason::UnknownOrder));
    harness.publish(Service::Inventory, &low());
    harness.settle().await;
    assert!(harness.handled().iter().all(|handled| handled.outcome == "done" && handled.attempts == 1));
    assert!(harness.published().is_empty());
    let templates: Vec<String> = world.log().await.into_iter().rev().map(|mail| mail.template).collect();
    assert_eq!(templates, ["welcome", "order-confirmed", "order-cancelled", "low-stock"]);
}

#[tokio::test]
async fn an_event_that_comes_again_makes_no_second_mail() {
    let world = World::new().await;
    let event = received(1, registered(CustomerId::new(), "ada@example.com"));
    let handler = WelcomeCustomer::new(world.outgoing.clone());
    // As if the inbox had forgotten it.
    for _ in 0..2 {
        world.handle(&handler, std::slice::from_ref(&event)).await;
    }
    let mail = world.mail().await;
    assert_eq!(mail.message_id, format!("<{}.welcome@example.com>", event.id));
    assert_eq!((mail.status.as_str(), mail.attempts, mail.error), ("queued", 0, None));
}

#[tokio::test]
async fn a_recipient_is_as_the_latest_event_says() {
    let world = World::new().await;
    let customer = CustomerId::new();
    let (change, welcome) = (NoteChange::new(world.outgoing.clone()), WelcomeCustomer::new(world.outgoing.clone()));
    let address = async || {
        let rows = sqlx::query_scalar("select email from recipient").fetch_all(world.db.pool()).await.unwrap();
        let [address]: [String; 1] = rows.try_into().unwrap();
        address
    };
    world.handle(&change, &[received(3, changed(customer, "third@example.com"))]).await;
    world.handle(&welcome, &[received(1, registered(customer, "first@example.com"))]).await;
    assert_eq!(address().await, "third@example.com", "what came late is older");
    let unordered = [4, 6, 5].map(|sequence| received(sequence, changed(customer, &format!("{sequence}@example.com"))));
    world.handle(&change, &unordered).await;
    assert_eq!(address().await, "6@example.com", "in one batch, too");
}

#[tokio::test]
async fn a_mail_waits_for_its_recipient_and_goes_to_the_latest_address() {
    let world = World::new().await;
    let customer = CustomerId::new();
    world.handle(&ConfirmOrder::new(world.outgoing.clone()), &[received(5, confirmed(customer))]).await;
    let waiting = async || {
        let waiting = sqlx::query_scalar("select count(*) from delivery where waits_for is not null");
        waiting.fetch_one(world.db.pool()).await.unwrap()
    };
    assert_eq!((waiting().await, world.mail().await.recipient), (1_i64, None));
    let another = received(1, registered(CustomerId::new(), "eve@example.com"));
    world.handle(&WelcomeCustomer::new(world.outgoing.clone()), &[another]).await;
    assert_eq!(waiting().await, 1, "it waits for somebody else");
    world.handle(&NoteChange::new(world.outgoing.clone()), &[received(2, changed(customer, "ada@example.net"))]).await;
    assert_eq!(waiting().await, 0);
    let mail = world.log().await.into_iter().find(|mail| mail.template == "order-confirmed").unwrap();
    assert_eq!(mail.recipient.as_deref(), Some("ada@example.net"));
}

#[tokio::test]
async fn nobody_is_mailed_about_an_order_that_nobody_has() {
    let world = World::new().await;
    let explain = ExplainCancellation::new(world.outgoing.clone());
    let customer = world.customer("ada@example.com").await;
    let nobodys = [
        (None, CancelReason::UnknownOrder),
        (Some(customer), CancelReason::UnknownOrder),
        (None, CancelReason::Requested),
    ]
    .map(|(customer, reason)| received(1, cancelled(customer, reason)));
    world.handle(&explain, &nobodys).await;
    assert!(world.log().await.is_empty());
}

#[tokio::test]
async fn low_stock_is_told_where_there_is_somebody_to_tell() {
    let world = World::new().await;
    world.handle(&WarnOfLowStock::new(world.outgoing.clone(), false), &[received(1, low())]).await;
    assert!(world.log().await.is_empty());
    world.handle(&WarnOfLowStock::new(world.outgoing.clone(), true), &[received(1, low()), received(2, low())]).await;
    assert_eq!(world.log().await.len(), 2, "one for each fall");
}
