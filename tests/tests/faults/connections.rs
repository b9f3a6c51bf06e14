//! Connections to the broker and the database that end, fall silent, or are forgotten by the other end.

use std::time::{Duration, Instant};

use end_to_end::broker_user::User;
use end_to_end::infrastructure::beside_others;
use end_to_end::load::Load;
use end_to_end::service::SERVICES;
use end_to_end::shop::text;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually, until};

use crate::crashes::{LADDER, all_settled, mixture};

/// Longer than anything that a client of the broker waits for: twice its heartbeat of 10 s, its timeouts for confirms and
/// connects of 10 s, its longest pause of 5 s.
const BEYOND_PATIENCE: Duration = Duration::from_secs(32);

/// A shop with `count` orders under way, and `faults` in the middle.
async fn under_load(count: usize, faults: impl AsyncFnOnce(&System, &Load)) {
    let _beside = beside_others().await;
    let system = System::setup().proxies(true).env("RETRY_DELAYS", LADDER).start().await;
    system.sell("tea", 100, 10_000).await;
    system.sell("cup", 100, 10_000).await;
    let customer = system.customer().await;
    let load = Load::default();
    let targets = [system.order.api()];
    tokio::join!(load.run(&targets, count, mixture(&customer)), faults(&system, &load));
    all_settled(&system, &load).await;
    for name in SERVICES {
        let retries = system.service(name).metric("warren_retries_total", &[]).await.expect("metrics");
        assert_eq!(retries.unwrap_or(0.0), 0.0, "{name} charged a message");
    }
    system.finish().await;
}

/// Waits until each service says that this is away.
async fn all_miss(system: &System, what: &str) {
    for name in SERVICES {
        eventually(&format!("{name} misses its {what}"), PATIENCE, async || {
            let (status, checks) = system.service(name).checks().await?;
            check(status == 503 && checks[what] != "ok", || format!("{status} {checks}"))
        })
        .await;
    }
}

#[tokio::test]
async fn connections_that_the_broker_closes_are_made_anew() {
    under_load(150, async |system, load| {
        for turn in 1..=4 {
            load.reached(30 * turn).await;
            let lost = |name| system.service(name).log().matches("broker connection lost").count();
            let before = SERVICES.map(lost);
            // The broker lists a new connection after some seconds.
            eventually("each has lost a connection", PATIENCE, async || {
                system.broker.close_connections().await;
                let now = SERVICES.map(lost);
                check(now.iter().zip(before).all(|(now, before)| *now > before), || format!("{now:?}"))
            })
            .await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_is_away_for_longer_than_anybody_waits() {
    under_load(60, async |system, load| {
        load.reached(20).await;
        system.proxies().broker.cut();
        until(Instant::now() + BEYOND_PATIENCE).await;
        all_miss(system, "broker").await;
        system.proxies().broker.mend();
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_says_nothing_is_given_up() {
    under_load(60, async |system, load| {
        load.reached(20).await;
        system.proxies().broker.silence();
        // Nobody is told: only the heartbeat shows it.
        all_miss(system, "broker").await;
        system.proxies().broker.mend();
    })
    .await;
}

#[tokio::test]
async fn connections_that_the_broker_has_forgotten_are_given_up() {
    under_load(60, async |system, load| {
        load.reached(20).await;
        system.proxies().broker.forget();
        // New ones go through, but who has an old one must find out that nobody is there.
        eventually("each has found out", PATIENCE, async || {
            let lost = SERVICES.map(|name| system.service(name).log().contains("broker connection lost"));
            check(lost == [true; 3], || format!("{lost:?}"))
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_database_that_says_nothing_is_missed() {
    under_load(60, async |system, load| {
        load.reached(20).await;
        // A sender cannot record what it has handed over.
        system.allow_repeated_mails();
        system.proxies().database.silence();
        all_miss(system, "database").await;
        system.proxies().database.mend();
    })
    .await;
}

#[tokio::test]
async fn connections_that_the_database_has_forgotten_are_given_up() {
    under_load(60, async |system, load| {
        load.reached(20).await;
        system.allow_repeated_mails();
        system.proxies().database.forget();
    })
    .await;
}

#[tokio::test]
async fn one_service_without_its_rights_on_the_broker_waits_for_them() {
    let _beside = beside_others().await;
    let system = System::setup().env("RETRY_DELAYS", LADDER).start().await;
    system.sell("tea", 100, 1000).await;
    let customer = system.customer().await;
    let user = User::create(&system.broker, "order").await;
    system.order.stop().await;
    system.order.set("AMQP_URL", Some(&user.url()));
    // The rights that `deploy/rabbitmq` gives it.
    system.order.set("TOPOLOGY", Some("check"));
    let rights = ("^$", r"^(events|order\.(retry|dlx))$", "^order$");
    user.permit(rights).await;
    system.order.start_and_wait().await;
    let first = system.place(&customer, &[("tea", 1)]).await;
    assert_eq!(text(&system.settled(text(&first, "id")).await, "status"), "confirmed");
    for (missing, left) in [("publish", ("^$", "^$", "^order$")), ("consume", ("^$", rights.1, "^$"))] {
        user.permit(left).await;
        // The broker remembers what a channel may do, and lists a new connection after some seconds.
        let lost = || system.order.log().matches("broker connection lost").count();
        let before = lost();
        eventually("order has lost both of its connections", PATIENCE, async || {
            system.broker.close_connections().await;
            check(lost() >= before + 2, || format!("{} of {before}", lost()))
        })
        .await;
        let order = system.place(&customer, &[("tea", 1)]).await;
        eventually(&format!("order says that it may not {missing}"), PATIENCE, async || {
            let (status, checks) = system.order.checks().await?;
            let told = &checks[if missing == "publish" { "relay" } else { "consumer" }];
            check(status == 503 && told.as_str().is_some_and(|told| told.contains("REFUSED")), || checks.to_string())
        })
        .await;
        user.permit(rights).await;
        assert_eq!(text(&system.settled(text(&order, "id")).await, "status"), "confirmed");
    }
    // Until then order may have something to publish.
    system.finish().await;
    user.delete().await;
}

#[tokio::test]
async fn what_was_deleted_on_the_broker_is_declared_again() {
    let _beside = beside_others().await;
    let system = System::setup().env("RETRY_DELAYS", LADDER).start().await;
    system.sell("tea", 100, 1000).await;
    let customer = system.customer().await;
    let first = system.place(&customer, &[("tea", 1)]).await;
    system.settled(text(&first, "id")).await;
    system.mails_told(&format!("customer_id={}", customer.id), 2).await;
    // Nothing is in them; what is in a queue that is deleted is lost there, and `warren event resend` brings it again.
    for path in
        ["queues/{}/inventory", "exchanges/{}/events", "queues/{}/order.retry.200ms", "exchanges/{}/order.retry"]
    {
        system.broker.remove(path).await;
        let order = system.place(&customer, &[("tea", 1)]).await;
        assert_eq!(text(&system.settled(text(&order, "id")).await, "status"), "confirmed", "after {path}");
    }
    system.finish().await;
}
