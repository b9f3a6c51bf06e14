//! Chaos: a load of orders of all kinds while a seeded schedule of faults goes on; then every promise is checked against a
//! ledger kept outside the system.
//!
//! The seed gives the schedule and the orders; it is the same again with the same seed. What the machine makes of it is not,
//! since nobody schedules its threads. Read it in this order: [`schedule`] (what will go wrong, and when), [`faults`] (how it
//! is done), [`customers`] (who orders, and how each is paid), [`ledger`] (what they were told), [`verdict`] (whether that
//! was true), [`stories`] (whether operators are told what is in the tables).

pub mod customers;
pub mod faults;
pub mod ledger;
pub mod schedule;
pub mod stories;
pub mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::infrastructure::alone;
use crate::service::{SERVICES, Service};
use crate::system::System;
use customers::Crowd;
use faults::Saboteur;
use ledger::Ledger;
use schedule::Schedule;

/// The ladder under chaos: long enough that what fails in the turmoil gets another chance.
const LADDER: &str = "200ms,500ms,1s,2s,5s,10s";

/// How long an order waits for its payment: so short that some wait too long.
const PAYMENT_TIMEOUT: &str = "6s";

/// Stock of `scarce`, of which there is too little for all who want it.
const SCARCE: i64 = 40;

/// Runs one seed: `duration` of faults, and as long as it takes to heal and to check.
///
/// # Panics
/// When a promise is broken, after the history of the order concerned.
pub async fn run(seed: u64, duration: Duration) {
    let _alone = alone().await;
    let schedule = Schedule::of(seed, duration);
    eprintln!("chaos: seed {seed}, {} s\n{schedule}", duration.as_secs());
    let mut setup =
        System::setup().proxies(true).env("RETRY_DELAYS", LADDER).env_of("order", "PAYMENT_TIMEOUT", PAYMENT_TIMEOUT);
    // Something that the services do wrong on purpose, to see that it is found: `inbox`, `ack-before-commit`,
    // `unsorted-locks`.
    if let Ok(wrong) = std::env::var("CHAOS_BREAK") {
        setup = setup.env("WARREN_BREAK", &wrong);
    }
    let system = setup.start().await;
    system.sell("tea", 250, 1_000_000).await;
    system.sell("cup", 700, 1_000_000).await;
    system.sell("scarce", 9900, SCARCE).await;
    let customer = system.customer().await;
    let mut copies: Vec<Arc<Service>> = Vec::new();
    for name in SERVICES {
        copies.push(system.add_copy(name).await);
    }
    let ledger = Ledger::create(&system.folder().join("ledger.jsonl"));
    let crowd = Crowd::new(&system, &copies[0], &customer, &ledger, seed);
    let saboteur = Saboteur::new(&system, &copies);
    let end = Instant::now() + duration;
    tokio::join!(crowd.order_until(end), saboteur.perform(&schedule));
    saboteur.heal().await;
    eprintln!("chaos: healed; {} orders were placed", crowd.placed());
    verdict::check(&system, &ledger).await;
    stories::check(&system).await;
    eprintln!("chaos: seed {seed} kept every promise");
    system.finish().await;
}
