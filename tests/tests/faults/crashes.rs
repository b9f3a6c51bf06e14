//! SIGKILL at any moment.

use end_to_end::infrastructure::alone;
use end_to_end::load::Load;
use end_to_end::service::SERVICES;
use end_to_end::shop::{Customer, FINAL, order_of, text};
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use serde_json::Value;

/// The ladder of these tests: what fails once in the turmoil gets another chance, and nobody waits long.
pub(crate) const LADDER: &str = "200ms,500ms,1s,2s,5s";

/// Orders of all sorts: most go well, some find no money, or a provider that has to be asked again.
pub(crate) fn mixture(customer: &Customer) -> impl Fn(usize) -> Value {
    let id = customer.id.clone();
    move |index| match index % 10 {
        3 => order_of(&id, &[("tea", 1), ("cup", 1)], "sandbox:declined"),
        6 => order_of(&id, &[("cup", 2), ("tea", 1)], "sandbox:flaky"),
        _ => order_of(&id, &[("tea", 1)], "sandbox:ok"),
    }
}

/// Waits until all orders of a load are final.
pub(crate) async fn all_settled(system: &System, load: &Load) {
    for id in load.order_ids() {
        system.settled(&id).await;
    }
}

#[tokio::test]
async fn services_that_are_killed_under_load_lose_nothing() {
    let _alone = alone().await;
    let system = System::setup().env("RETRY_DELAYS", LADDER).start().await;
    // Not enough for all, so that some are cancelled.
    system.sell("tea", 100, 250).await;
    system.sell("cup", 100, 10_000).await;
    let customer = system.customer().await;
    let load = Load::default();
    let targets = [system.order.api()];
    let orders = load.run(&targets, 300, mixture(&customer));
    let kills = async {
        for (turn, name) in SERVICES.into_iter().cycle().take(9).enumerate() {
            let placed = 30 * (turn + 1);
            load.reached(placed).await;
            let service = system.service(name);
            service.kill().await;
            if name == "email" {
                system.allow_repeated_mails();
            }
            if name != "order" {
                // The others go on alone for a while.
                load.reached(placed + 15).await;
            }
            service.start_and_wait().await;
        }
    };
    tokio::join!(orders, kills);
    all_settled(&system, &load).await;
    system.finish().await;
}

#[tokio::test]
async fn one_of_two_copies_is_killed_and_the_other_goes_on() {
    let _alone = alone().await;
    let system = System::setup().env("RETRY_DELAYS", LADDER).start().await;
    system.sell("tea", 100, 10_000).await;
    system.sell("cup", 100, 10_000).await;
    let customer = system.customer().await;
    let (order, inventory, email) =
        tokio::join!(system.add_copy("order"), system.add_copy("inventory"), system.add_copy("email"));
    let load = Load::default();
    let targets = [order.api()];
    let orders = load.run(&targets, 150, mixture(&customer));
    let kills = async {
        for (turn, name) in SERVICES.into_iter().enumerate() {
            load.reached(40 * (turn + 1)).await;
            system.service(name).kill().await;
        }
        system.allow_repeated_mails();
    };
    tokio::join!(orders, kills);
    eventually("the copies have done all of it", PATIENCE, async || {
        let placed = order.api().list("/v1/orders").await;
        let open = placed.iter().find(|order| !FINAL.contains(&text(order, "status")));
        check(open.is_none(), || format!("{open:?}"))
    })
    .await;
    for service in [&order, &inventory, &email] {
        assert_eq!(service.ended(), None, "{} did not survive its sibling", service.name);
    }
    for name in SERVICES {
        system.service(name).start_and_wait().await;
    }
    system.finish().await;
}
