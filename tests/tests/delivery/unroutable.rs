//! An event that reaches no queue is set aside with those of its subject, and goes out once there is a queue again.

use end_to_end::shop::{product, text};
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};

#[tokio::test]
async fn a_lost_binding_holds_up_its_own_events_alone() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    system.broker.unbind("order", "product.changed").await;
    for cents in [200, 300] {
        let changed = system.inventory.api().put("/v1/products/tea", &product("Tea", cents)).await;
        changed.expect(200);
    }
    eventually("inventory says that nobody takes its events", PATIENCE, async || {
        let log = system.inventory.log();
        check(log.lines().any(|line| line.contains("WARN") || line.contains("ERROR")), || "nothing".to_owned())
    })
    .await;

    // What goes elsewhere goes on: an order needs four other events.
    let order = system.place(&customer, &[("tea", 1)]).await;
    let order = system.settled(text(&order, "id")).await;
    assert_eq!((text(&order, "status"), &order["total"]["amount"]), ("confirmed", &100.into()), "{order}");

    // The service declares its own bindings again every minute; the test does not wait for that.
    system.broker.bind("order", "product.changed").await;
    system.prices_arrived().await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    assert_eq!(order["total"]["amount"], 300, "the newest price, in the order of its changes");
    system.finish().await;
}
