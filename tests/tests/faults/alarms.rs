//! The broker's memory alarm: it stops reading from whoever publishes (`connection.blocked`), and says when it reads again.

use end_to_end::infrastructure::{Server, alone};
use end_to_end::load::Load;
use end_to_end::service::SERVICES;
use end_to_end::shop::order_of;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use crate::crashes::{LADDER, all_settled, mixture};

/// Enough for the load to go on for a while after the alarm has come.
const ORDERS: usize = 400;

/// A shop under load while the broker has its alarm; `act` happens in the middle. The alarm ends whatever happens.
async fn during_an_alarm(act: impl AsyncFnOnce(&System, &Load)) {
    let _alone = alone().await;
    let system = System::setup().env("RETRY_DELAYS", LADDER).start().await;
    system.sell("tea", 100, 10_000).await;
    system.sell("cup", 100, 10_000).await;
    let customer = system.customer().await;
    let load = Load::default();
    let targets = [system.order.api()];
    let alarm = async {
        load.reached(30).await;
        Server::Broker.alarm().await;
        let acted = std::panic::AssertUnwindSafe(act(&system, &load)).catch_unwind().await;
        Server::Broker.calm().await;
        acted.unwrap_or_else(|failure| std::panic::resume_unwind(failure));
    };
    tokio::join!(load.run(&targets, ORDERS, mixture(&customer)), alarm);
    for name in SERVICES {
        if system.service(name).checks().await.is_err() {
            system.service(name).start_and_wait().await;
        }
    }
    all_settled(&system, &load).await;
    for name in SERVICES {
        let retries = system.service(name).metric("warren_retries_total", &[]).await.expect("metrics");
        assert_eq!(retries.unwrap_or(0.0), 0.0, "{name} charged a message for the alarm");
    }
    eventually("the breaker has closed by itself", PATIENCE, async || {
        let open = system.order.metric("warren_breaker_state", &[("name", "publish")]).await?;
        check(open == Some(0.0), || format!("{open:?}"))
    })
    .await;
    system.finish().await;
}

/// Waits until `order` says that the broker does not read from it.
async fn is_told(system: &System) {
    eventually("order says that the broker blocks it", PATIENCE, async || {
        let (status, checks) = system.order.checks().await?;
        let breaker = system.order.metric("warren_breaker_state", &[("name", "publish")]).await?;
        let told = checks["broker"].as_str().is_some_and(|broker| broker.contains("alarm"));
        check(status == 503 && told && breaker.is_some_and(|state| state > 0.0), || format!("{checks} {breaker:?}"))
    })
    .await;
}

#[tokio::test]
async fn orders_go_on_while_the_broker_is_out_of_memory() {
    during_an_alarm(async |system, load| {
        load.reached(90).await;
        is_told(system).await;
        assert_eq!(system.order.api().get("/readyz?role=http").await.status, 200);
        eventually("events wait in the log", PATIENCE, async || {
            let pending = system.order.metric("warren_outbox_pending", &[]).await?;
            check(pending.is_some_and(|pending| pending > 0.0), || format!("{pending:?}"))
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn services_stop_in_time_while_the_broker_blocks_them() {
    during_an_alarm(async |system, load| {
        load.reached(60).await;
        is_told(system).await;
        // Each must end with status 0 within SHUTDOWN_TIMEOUT; `stop` asserts it. The load goes on asking meanwhile.
        join_all(SERVICES.map(|name| system.service(name).stop())).await;
        system.order.start();
        eventually("orders are taken again", PATIENCE, async || {
            let http = system.order.api().call(reqwest::Method::GET, "/readyz?role=http").try_send().await?;
            check(http.status == 200, || http.to_string())
        })
        .await;
        let customer = system.customer().await;
        system.try_place(&order_of(&customer.id, &[("tea", 1)], "sandbox:ok")).await.expect(201);
    })
    .await;
}
