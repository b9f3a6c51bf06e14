//! Several copies of every service share the work, and nothing is done twice.

use end_to_end::load::Load;
use end_to_end::shop::order_of;
use end_to_end::system::System;

#[tokio::test]
async fn two_copies_of_each_service_do_nothing_twice() {
    let system = System::start().await;
    system.sell("tea", 100, 60).await;
    system.sell("cup", 200, 1000).await;
    let customer = system.customer().await;
    let (order, _inventory, _email) =
        tokio::join!(system.add_copy("order"), system.add_copy("inventory"), system.add_copy("email"));
    let load = Load::default();
    let body = |index: usize| match index % 3 {
        0 => order_of(&customer.id, &[("tea", 2)], "sandbox:ok"),
        1 => order_of(&customer.id, &[("cup", 1), ("tea", 1)], "sandbox:ok"),
        _ => order_of(&customer.id, &[("cup", 1)], "sandbox:declined"),
    };
    load.run(&[system.order.api(), order.api()], 120, body).await;
    for id in load.order_ids() {
        system.settled(&id).await;
    }
    assert_eq!(system.order.api().list("/v1/orders").await.len(), 120);
    // The audit counts reservations, payments and mails.
    system.finish().await;
}
