//! The broker's patience with whoever does not acknowledge (`consumer_timeout`): half an hour by default, here ten seconds.
//! It closes the channel of one who takes longer, and gives what was delivered there to the next.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use end_to_end::infrastructure::{Server, alone};
use end_to_end::shop::text;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually, until};
use futures_util::FutureExt as _;

/// When the broker has certainly lost its patience: it waits for ten seconds, and looks every two.
const BROKER_HAS_HAD_ENOUGH: Duration = Duration::from_secs(15);

/// What inventory says when it gives deliveries back by itself.
const GIVEN_BACK: &str = "giving the deliveries back once";

/// Orders come to inventory while its database is away for longer than the broker waits, and inventory holds what it was
/// delivered for `hold_limit`. `look` sees what came of it.
async fn held(hold_limit: &str, look: impl AsyncFnOnce(&System)) {
    let _alone = alone().await;
    Server::Broker.impatient().await;
    let tested = AssertUnwindSafe(async {
        let system = System::setup().env_of("inventory", "HOLD_LIMIT", hold_limit).start().await;
        system.sell("tea", 100, 100).await;
        let customer = system.customer().await;
        system.database("inventory").take_away().await;
        let mut orders = Vec::new();
        for _ in 0..3 {
            orders.push(system.place(&customer, &[("tea", 1)]).await);
        }
        eventually("inventory holds", PATIENCE, async || {
            let (_, checks) = system.inventory.checks().await?;
            check(text(&checks, "consumer").starts_with("holding"), || checks.to_string())
        })
        .await;
        until(Instant::now() + BROKER_HAS_HAD_ENOUGH).await;
        system.database("inventory").bring_back().await;
        for order in &orders {
            assert_eq!(text(&system.settled(text(order, "id")).await, "status"), "confirmed");
        }
        system.stock_reaches("tea", 97, 0).await;
        let retries = system.inventory.metric("warren_retries_total", &[]).await.expect("metrics");
        assert_eq!(retries.unwrap_or(0.0), 0.0, "a message was charged");
        look(&system).await;
        system.finish().await;
    });
    let tested = tested.catch_unwind().await;
    Server::Broker.patient().await;
    tested.unwrap_or_else(|failure| std::panic::resume_unwind(failure));
}

#[tokio::test]
async fn what_is_held_is_given_back_before_the_broker_loses_its_patience() {
    held("4s", async |system| {
        let log = system.inventory.log();
        assert_eq!(log.matches(GIVEN_BACK).count(), 1, "once, and then it waits with empty hands");
        assert!(!log.contains("PRECONDITION_FAILED"), "the broker has lost its patience");
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_loses_its_patience_costs_no_message_an_attempt() {
    held("20m", async |system| {
        assert!(!system.inventory.log().contains(GIVEN_BACK));
        // What the broker took back came again after it had been handled.
        let labels = [("event", "order.created"), ("outcome", "duplicate")];
        eventually("repeats are recognised", PATIENCE, async || {
            let repeats = system.inventory.metric("warren_messages_processed_total", &labels).await?;
            check(repeats.unwrap_or(0.0) >= 1.0, || format!("{repeats:?}"))
        })
        .await;
    })
    .await;
}
