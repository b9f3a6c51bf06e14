//! What fails for a while climbs the ladder and succeeds, with nobody's help.

use end_to_end::shop::text;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};

/// A fault in a database that is neither an outage nor a collision: publishing one type of event fails.
const BREAK: &str = "
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused by the test'; end $$;
    create trigger refuse before insert on event for each row when (new.type = 'inventory.reserved') execute function refuse();
";
const REPAIR: &str = "drop trigger refuse on event; drop function refuse();";

#[tokio::test]
async fn a_fault_that_passes_leaves_nothing_behind() {
    let system = System::setup().env("RETRY_DELAYS", "100ms,300ms,500ms,1s,2s,4s").start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    system.database("inventory").execute(BREAK).await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    let id = text(&order, "id");
    eventually("inventory has tried twice", PATIENCE, async || {
        let retries = system.inventory.metric("warren_retries_total", &[("queue", "inventory")]).await?;
        check(retries >= Some(2.0), || format!("{retries:?}"))
    })
    .await;
    assert_eq!(text(&system.show(id).await, "status"), "pending");
    system.stock_reaches("tea", 10, 0).await;
    // Neighbours are not held up by it.
    system.sell("cup", 100, 10).await;
    system.database("inventory").execute(REPAIR).await;
    assert_eq!(text(&system.settled(id).await, "status"), "confirmed");
    system.finish().await;
}

#[tokio::test]
async fn a_fault_that_stays_is_a_dead_letter_after_the_last_attempt() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    system.database("inventory").execute(BREAK).await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    let id = text(&order, "id");
    eventually("there is a dead letter", PATIENCE, async || {
        let waiting = system.broker.waiting("inventory.dead").await;
        check(waiting == Some(1), || format!("{waiting:?}"))
    })
    .await;
    eventually("inventory tells of it", PATIENCE, async || {
        let dead = system.inventory.metric("warren_dead_letters_published_total", &[]).await?;
        let waiting = system.inventory.metric("warren_dead_letters", &[("queue", "inventory")]).await?;
        check((dead, waiting) == (Some(1.0), Some(1.0)), || format!("{dead:?}, {waiting:?} waiting"))
    })
    .await;
    system.database("inventory").execute(REPAIR).await;
    let letter = system.take_dead("inventory").await.remove(0);
    assert_eq!((letter.header("error-kind"), letter.header("attempt")), ("transient-exhausted", "4"));
    assert_eq!(letter.header("original-routing-key"), "order.created");
    assert!(!letter.header("error").contains("refused by the test"), "{:?}", letter.headers);
    assert_eq!(letter.message_id(), text(&system.history(id).await[0], "id"));

    // What an operator's replay does: the same message, once more. A second copy has no second effect.
    let again = end_to_end::broker::Message {
        body: letter.body,
        properties: letter.properties.with_headers(Default::default()),
    };
    system.broker.put("inventory", &[again.clone(), again]).await;
    assert_eq!(text(&system.settled(id).await, "status"), "confirmed");
    system.finish().await;
}
