//! Orderly stops in the middle of work.

use end_to_end::load::Load;
use end_to_end::service::SERVICES;
use end_to_end::shop::order_of;
use end_to_end::system::System;

#[tokio::test]
async fn services_stop_and_start_under_load_and_lose_nothing() {
    let system = System::start().await;
    system.sell("tea", 100, 10_000).await;
    let customer = system.customer().await;
    let load = Load::default();
    let targets = [system.order.api()];
    let orders = load.run(&targets, 240, |_| order_of(&customer.id, &[("tea", 1)], "sandbox:ok"));
    // `restart` asserts that each ended with status 0.
    let restarts = async {
        for (turn, name) in SERVICES.into_iter().cycle().take(6).enumerate() {
            load.reached(30 * (turn + 1)).await;
            system.service(name).restart().await;
        }
    };
    tokio::join!(orders, restarts);
    for id in load.order_ids() {
        assert_eq!(system.settled(&id).await["status"], "confirmed");
    }
    system.finish().await;
}
