//! Services that start before what they need: they wait, say so, and go on by themselves.

use end_to_end::service::{SERVICES, Service};
use end_to_end::shop::text;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use futures_util::future::join_all;
use serde_json::json;

/// Waits until `/readyz` is 503 and says that `what` is not well, as does the log, and the process lives.
async fn waits_for(service: &Service, what: &str) {
    eventually(&format!("{} says that it waits for its {what}", service.name), PATIENCE, async || {
        assert_eq!(service.ended(), None, "{} gave up: {}", service.name, service.log());
        let (status, checks) = service.checks().await?;
        check(status == 503 && checks[what].as_str().is_some_and(|state| state != "ok"), || {
            format!("{status} {checks}")
        })
    })
    .await;
    let word = what.trim_end_matches("ions");
    eventually(&format!("the log of {} tells of the {what}", service.name), PATIENCE, async || {
        check(service.log().to_lowercase().contains(word), || service.log())
    })
    .await;
    let alive = service.api().get("/livez").await;
    assert_eq!(alive.status, 200, "it is alive all the same: {alive}");
}

#[tokio::test]
async fn a_broker_that_comes_late_is_waited_for() {
    let system = System::setup().proxies(true).prepare().await;
    system.migrate().await;
    system.proxies().broker.cut();
    for name in SERVICES {
        system.service(name).start();
    }
    for name in SERVICES {
        let service = system.service(name);
        waits_for(service, "broker").await;
        let expected = json!({"status": "ok", "checks": {"database": "ok", "migrations": "ok"}});
        eventually(&format!("{name} can do what needs no broker"), PATIENCE, async || {
            let http = service.api().get("/readyz?role=http").await;
            check(http.status == 200 && http.json() == expected, || http.to_string())
        })
        .await;
    }
    // Orders are taken while the broker is away.
    let customer = system.customer().await;
    system.inventory.api().put("/v1/products/tea", &end_to_end::shop::product("Tea", 100)).await.expect(201);
    system.proxies().broker.mend();
    join_all(SERVICES.map(|name| system.service(name).ready())).await;
    system.sell("tea", 100, 10).await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    assert_eq!(text(&system.settled(text(&order, "id")).await, "status"), "confirmed");
    system.finish().await;
}

#[tokio::test]
async fn a_database_that_comes_late_is_waited_for() {
    let system = System::setup().proxies(true).prepare().await;
    system.migrate().await;
    system.proxies().database.cut();
    for name in SERVICES {
        system.service(name).start();
    }
    for name in SERVICES {
        waits_for(system.service(name), "database").await;
    }
    system.proxies().database.mend();
    join_all(SERVICES.map(|name| system.service(name).ready())).await;
    system.finish().await;
}

#[tokio::test]
async fn a_database_that_is_not_migrated_is_waited_for() {
    let system = System::setup().prepare().await;
    for name in SERVICES {
        system.service(name).start();
    }
    for name in SERVICES {
        waits_for(system.service(name), "migrations").await;
    }
    system.migrate().await;
    join_all(SERVICES.map(|name| system.service(name).ready())).await;
    system.migrate().await;
    system.finish().await;
}

#[tokio::test]
async fn the_order_of_starts_does_not_matter() {
    let system = System::setup().prepare().await;
    system.migrate().await;
    // What each publishes before the others exist, reaches them.
    system.order.start_and_wait().await;
    let customer = system.customer().await;
    system.order.stop().await;
    system.inventory.start_and_wait().await;
    system.inventory.api().put("/v1/products/tea", &end_to_end::shop::product("Tea", 100)).await.expect(201);
    system.inventory.stop().await;
    system.email.start_and_wait().await;
    system.order.start_and_wait().await;
    system.mail_to(&customer.email, "of welcome", |_| true).await;
    system.inventory.start_and_wait().await;
    system.sell("tea", 100, 10).await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    assert_eq!(text(&system.settled(text(&order, "id")).await, "status"), "confirmed");
    system.finish().await;
}

#[tokio::test]
async fn a_log_that_is_where_it_was_written_needs_no_rebase() {
    let system = System::setup().start().await;
    for name in SERVICES {
        let service = system.service(name);
        let run = service.run(&["events", "rebase"]).await;
        assert!(run.status.success(), "{name}: {}", run.stderr);
        assert_eq!(run.stdout, "nothing to do: the checkpoints are this server's\n", "{name}");
        let away = "--database-url=postgres://nobody:hunter2@127.0.0.1:1/nothing";
        let run = service.run(&["events", "rebase", away]).await;
        assert_eq!(run.status.code(), Some(2), "{name}: {}", run.stderr);
        assert!(run.stderr.contains("DATABASE_URL") && !run.stderr.contains("hunter2"), "{name}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{name}: {}", run.stderr);
    }
    system.finish().await;
}
