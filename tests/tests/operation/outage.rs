//! A service that is away for a while, and servers that are away for one system alone.

use end_to_end::load::Load;
use end_to_end::service::SERVICES;
use end_to_end::shop::{Customer, order_of, text};
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};

async fn load_of(system: &System, customer: &Customer, count: usize) -> Vec<String> {
    let load = Load::default();
    load.run(&[system.order.api()], count, |_| order_of(&customer.id, &[("tea", 1)], "sandbox:ok")).await;
    load.order_ids()
}

async fn all_confirmed(system: &System, order_ids: &[String]) {
    for id in order_ids {
        assert_eq!(text(&system.settled(id).await, "status"), "confirmed");
    }
}

#[tokio::test]
async fn orders_come_in_while_the_other_services_are_away() {
    let system = System::start().await;
    system.sell("tea", 100, 1000).await;
    let customer = system.customer().await;
    for away in ["inventory", "email"] {
        system.service(away).stop().await;
        let order_ids = load_of(&system, &customer, 30).await;
        if away == "email" {
            all_confirmed(&system, &order_ids).await;
        } else {
            assert_eq!(
                text(&system.show(&order_ids[0]).await, "status"),
                "pending",
                "it waits as long as inventory needs"
            );
        }
        system.service(away).start_and_wait().await;
        all_confirmed(&system, &order_ids).await;
    }
    // What the others answer while `order` is away waits for it.
    let order_ids = load_of(&system, &customer, 10).await;
    system.order.stop().await;
    system.order.start_and_wait().await;
    all_confirmed(&system, &order_ids).await;
    system.finish().await;
}

#[tokio::test]
async fn orders_come_in_while_the_broker_is_away() {
    let system = System::setup().proxies(true).start().await;
    system.sell("tea", 100, 1000).await;
    let customer = system.customer().await;
    counts_consumers(&system, true).await;
    system.proxies().broker.cut();
    let order_ids = load_of(&system, &customer, 40).await;
    for name in SERVICES {
        eventually(&format!("{name} says that the broker is away"), PATIENCE, async || {
            let (status, checks) = system.service(name).checks().await?;
            check(status == 503 && checks["broker"] != "ok" && checks["database"] == "ok", || {
                format!("{status} {checks}")
            })
        })
        .await;
    }
    let http = system.order.api().get("/readyz?role=http").await;
    assert_eq!(http.status, 200, "{http}");
    counts_consumers(&system, false).await;
    system.proxies().broker.mend();
    all_confirmed(&system, &order_ids).await;
    counts_consumers(&system, true).await;
    system.finish().await;
}

/// Waits until each service tells, or does not tell any more, who consumes its queue: an old count would hide an outage.
async fn counts_consumers(system: &System, tell: bool) {
    for name in SERVICES {
        eventually(&format!("{name} counts consumers: {tell}"), PATIENCE, async || {
            let told = system.service(name).metric("warren_queue_consumers", &[("queue", name)]).await?;
            check(told.is_some() == tell, || format!("{told:?}"))
        })
        .await;
    }
}

#[tokio::test]
async fn a_database_that_goes_away_costs_no_message_an_attempt() {
    let system = System::setup().proxies(true).start().await;
    system.sell("tea", 100, 1000).await;
    let customer = system.customer().await;
    let load = Load::default();
    let targets = [system.order.api()];
    let orders = load.run(&targets, 150, |_| order_of(&customer.id, &[("tea", 1)], "sandbox:ok"));
    let outages = async {
        for turn in 1..=3 {
            load.reached(40 * turn).await;
            system.proxies().database.cut();
            for name in SERVICES {
                eventually(&format!("{name} says that its database is away"), PATIENCE, async || {
                    let (status, checks) = system.service(name).checks().await?;
                    check(status == 503 && checks["database"] != "ok", || format!("{status} {checks}"))
                })
                .await;
            }
            let answer = system.order.api().get("/v1/orders").await;
            answer.problem(503, "unavailable");
            assert!(answer.header("retry-after").is_some(), "{answer}");
            system.proxies().database.mend();
        }
    };
    tokio::join!(orders, outages);
    all_confirmed(&system, &load.order_ids()).await;
    for name in SERVICES {
        let retries = system.service(name).metric("warren_retries_total", &[]).await.expect("metrics");
        assert_eq!(retries.unwrap_or(0.0), 0.0, "{name} charged a message for the outage");
    }
    system.finish().await;
}

#[tokio::test]
async fn a_broker_that_comes_and_goes_under_load_loses_nothing() {
    let system = System::setup().proxies(true).start().await;
    system.sell("tea", 100, 1000).await;
    let customer = system.customer().await;
    let load = Load::default();
    let targets = [system.order.api()];
    let orders = load.run(&targets, 200, |_| order_of(&customer.id, &[("tea", 1)], "sandbox:ok"));
    let cuts = async {
        for turn in 1..=4 {
            load.reached(40 * turn).await;
            system.proxies().broker.cut();
            load.reached(40 * turn + 10).await;
            system.proxies().broker.mend();
        }
    };
    tokio::join!(orders, cuts);
    all_confirmed(&system, &load.order_ids()).await;
    system.finish().await;
}
