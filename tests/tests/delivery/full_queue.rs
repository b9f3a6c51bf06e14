//! A mailbox that is full rejects; nothing is lost, and what waits goes out in order once there is room.

use end_to_end::load::Load;
use end_to_end::shop::order_of;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};

#[tokio::test]
async fn orders_go_on_while_a_consumer_is_away_and_its_queue_is_full() {
    let system = System::start().await;
    system.sell("tea", 100, 1000).await;
    let customer = system.customer().await;
    system.inventory.stop().await;
    system.broker.limit("inventory", 5).await;
    let load = Load::default();
    // those that go out together are all taken: it is full for the next
    eventually("events wait in the log", PATIENCE, async || {
        load.run(&[system.order.api()], 30, |_| order_of(&customer.id, &[("tea", 1)], "sandbox:ok")).await;
        let pending = system.order.metric("warren_outbox_pending", &[]).await?;
        check(pending.is_some_and(|pending| pending >= 10.0), || format!("{pending:?}"))
    })
    .await;
    // It waits behind the others in the log, since the log goes out in order.
    let late = system.customer().await;
    system.inventory.start_and_wait().await;
    system.broker.unlimit("inventory").await;
    for id in load.order_ids() {
        system.settled(&id).await;
    }
    system.mail_to(&late.email, "of welcome", |_| true).await;
    system.finish().await;
}
