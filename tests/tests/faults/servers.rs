//! The broker and the database stop, restart and crash under load.

use std::time::{Duration, Instant};

use end_to_end::infrastructure::{Server, alone};
use end_to_end::load::Load;
use end_to_end::system::System;
use end_to_end::waiting::until;

use crate::crashes::{LADDER, all_settled, mixture};

/// How long RabbitMQ 3.10 takes to have new queues on disk, registration and all (Ra saves it every half second). A broker
/// that is killed before may not find their members again, whatever the queue's replicas have confirmed.
const QUEUES_ARE_SAFE: Duration = Duration::from_secs(3);

/// A system with enough of everything, and a load on it, during which `faults` happen.
async fn under_load(count: usize, faults: impl AsyncFnOnce(&System, &Load)) {
    let _alone = alone().await;
    let system = System::setup().env("RETRY_DELAYS", LADDER).start().await;
    system.sell("tea", 100, 10_000).await;
    system.sell("cup", 100, 10_000).await;
    let customer = system.customer().await;
    until(Instant::now() + QUEUES_ARE_SAFE).await;
    let load = Load::default();
    let targets = [system.order.api()];
    tokio::join!(load.run(&targets, count, mixture(&customer)), faults(&system, &load));
    all_settled(&system, &load).await;
    system.finish().await;
}

#[tokio::test]
async fn the_broker_stops_and_orders_go_on() {
    under_load(120, async |system, load| {
        load.reached(30).await;
        let outage = Server::Broker.stop().await;
        // Orders are taken all the while.
        load.reached(90).await;
        assert_eq!(system.order.api().get("/readyz?role=http").await.status, 200);
        outage.end().await;
    })
    .await;
}

#[tokio::test]
async fn the_broker_restarts() {
    under_load(150, async |_, load| {
        load.reached(40).await;
        Server::Broker.restart().await;
    })
    .await;
}

#[tokio::test]
async fn the_broker_crashes() {
    under_load(200, async |_, load| {
        for turn in 1..=2 {
            load.reached(60 * turn).await;
            Server::Broker.kill().await.end().await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_database_restarts_and_crashes() {
    under_load(200, async |system, load| {
        load.reached(40).await;
        // A sender cannot record what it has handed over while its database is away.
        system.allow_repeated_mails();
        Server::Database.restart().await;
        load.reached(90).await;
        system.allow_repeated_mails();
        Server::Database.kill().await.end().await;
        load.reached(140).await;
        system.allow_repeated_mails();
        let outage = Server::Database.stop().await;
        outage.end().await;
    })
    .await;
}

#[tokio::test]
async fn the_database_ends_at_once() {
    under_load(120, async |system, load| {
        load.reached(50).await;
        system.allow_repeated_mails();
        Server::Database.quit().await.end().await;
    })
    .await;
}
