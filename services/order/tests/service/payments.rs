//! The payment worker when things go wrong: a provider that is away, a worker that died, an order that ended meanwhile.

use std::sync::Arc;
use std::time::Duration;

use contracts::values::OrderId;
use order::order::{PaymentStatus, Status};
use order::payment::{Intent, Job, PaymentProvider};
use order::store::payment::{self, Settled};
use order::workers::deadlines;
use order::{store, stuck};
use tokio_util::sync::CancellationToken;

use crate::provider::Way;
use crate::shop::{PAYMENT_TIMEOUT, Shop, eventually};

const LEASE: Duration = Duration::from_mins(1);
const MINUTES: fn(u64) -> Duration = Duration::from_mins;

/// How often a payment was asked for, and whether money moved: the provider's own books.
async fn books(shop: &Shop) -> Vec<(i32, bool, bool)> {
    let books = "select calls, charged_at is not null, refunded_at is not null from sandbox_ledger order by payment_id";
    sqlx::query_as(books).fetch_all(shop.pool()).await.unwrap()
}

#[tokio::test]
async fn a_claim_that_was_left_behind_is_taken_over_and_charged_once() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:ok").await;
    let mut conn = shop.pool().acquire().await.unwrap();
    let jobs = store::payment::claim(&mut conn, LEASE, &[]).await.unwrap();
    drop(conn);
    shop.provider.charge(&[jobs[0].intent.clone()]).await.unwrap();
    assert_eq!(shop.payments.step().await.unwrap(), 0, "it is somebody's, who dies now");
    shop.execute("update payment set next_at = now()").await;
    assert_eq!(shop.payments.step().await.unwrap(), 1);
    assert_eq!(shop.order(id).await.status, Status::Confirmed);
    assert_eq!(books(&shop).await, [(2, true, false)], "asked twice, charged once");
    assert_eq!(shop.payment_states(id).await, ["completed"]);
}

#[tokio::test]
async fn of_two_workers_with_one_claim_only_one_has_an_effect() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:ok").await;
    shop.provider.held.send_replace("sandbox:ok");
    let mut workers = Vec::new();
    for _ in 0..2 {
        let payments = Arc::clone(&shop.payments);
        workers.push(tokio::spawn(async move { payments.step().await.unwrap() }));
        shop.provider.called.notified().await;
        // so that the other one takes it over while this one is at the provider's
        shop.execute("update payment set next_at = now()").await;
    }
    shop.provider.held.send_replace("");
    for worker in workers {
        assert_eq!(worker.await.unwrap(), 1);
    }
    shop.execute("update payment set next_at = now()").await;
    assert_eq!(shop.payments.step().await.unwrap(), 0);
    assert_eq!(shop.history(id).await.len(), 4);
    assert_eq!(books(&shop).await, [(2, true, false)], "asked twice, charged once");
}

#[tokio::test]
async fn a_claim_that_is_given_back_is_withdrawn_with_its_order() {
    let mut shop = Shop::open().await;
    let (waits, cancelled) = (shop.reserved_order("sandbox:ok").await, shop.reserved_order("sandbox:ok").await);
    let mut conn = shop.pool().acquire().await.unwrap();
    let jobs = store::payment::claim(&mut conn, LEASE, &[]).await.unwrap();
    let (status, problem) = shop.call("POST", &format!("/v1/orders/{cancelled}/cancel"), &[], None).await;
    assert_eq!(status.as_u16(), 202, "{problem}");
    assert_eq!(shop.payment_states(cancelled).await, ["claimed"], "it may be under way");
    store::payment::give_back(&mut conn, &jobs).await.unwrap();
    assert_eq!(shop.payment_states(cancelled).await, ["withdrawn"]);
    assert_eq!(shop.payment_states(waits).await, ["due"]);
}

#[tokio::test]
async fn a_result_from_outside_is_one_order_s() {
    let mut shop = Shop::open().await;
    let (one, other) = (shop.reserved_order("sandbox:manual").await, shop.reserved_order("sandbox:manual").await);
    let mut conn = shop.pool().acquire().await.unwrap();
    let mut intents = store::payment::claim(&mut conn, LEASE, &[]).await.unwrap();
    intents.retain(|job| job.intent.order_id == one);
    let intent = Intent { payment_id: "theirs".to_owned(), ..intents.remove(0).intent };
    assert!(store::payment::record(&mut conn, &intent, "completed").await.unwrap());
    assert!(store::payment::record(&mut conn, &intent, "completed").await.unwrap(), "it is told twice");
    let foreign = Intent { order_id: other, ..intent };
    assert!(!store::payment::record(&mut conn, &foreign, "failed").await.unwrap());
    assert_eq!(shop.count("select count(*) from payment where id = 'theirs' and state = 'completed'").await, 1);
}

#[tokio::test]
async fn while_the_provider_is_away_nothing_is_lost_and_no_time_passes() {
    let mut shop = Shop::open().await;
    let mut ids = Vec::new();
    for method in ["sandbox:ok", "sandbox:ok", "sandbox:manual"] {
        ids.push(shop.reserved_order(method).await);
    }
    shop.provider.way.send_replace(Way::Cut);
    assert_eq!(shop.payments.step().await.unwrap(), 3);
    let late = shop.reserved_order("sandbox:ok").await;
    assert_eq!(shop.payments.step().await.unwrap(), 1, "one probe, not all that is due");
    assert_eq!(shop.count("select count(*) from provider_outage where until is null").await, 1);
    assert_eq!(shop.payment_states(late).await, ["due"]);
    assert_eq!(shop.payment_states(ids[0]).await, ["claimed"], "nobody knows whether it was charged");

    // an hour ago they were reserved, and a minute later the provider went away
    shop.execute("update payment set waits_since = now() - interval '60 minutes'").await;
    shop.execute("update provider_outage set since = now() - interval '59 minutes'").await;
    assert_eq!(deadlines::step(&shop.database, MINUTES(2)).await.unwrap(), 0, "time stands still");
    let stuck = stuck::stuck(&shop.database, PAYMENT_TIMEOUT).await.unwrap();
    assert_eq!(stuck.len(), 4);
    assert!(stuck.iter().all(|stuck| stuck.waits_for == "payment" && stuck.reason.ends_with("cannot be reached")));

    shop.provider.way.send_replace(Way::Open);
    let paid = [ids[0], ids[1], late];
    shop.pay_until(async |shop| {
        let mut confirmed = 0;
        for id in paid {
            confirmed += usize::from(shop.order(id).await.status == Status::Confirmed);
        }
        confirmed == paid.len()
    })
    .await;
    assert_eq!(shop.count("select count(*) from provider_outage where until is null").await, 0);
    assert_eq!(shop.count("select count(*) from sandbox_ledger where charged_at is not null").await, 3);

    shop.pay_until(async |shop| shop.payment_states(ids[2]).await == ["waiting"]).await;
    assert_eq!(deadlines::step(&shop.database, MINUTES(2)).await.unwrap(), 0, "nor does it count afterwards");
    assert_eq!(deadlines::step(&shop.database, Duration::from_secs(30)).await.unwrap(), 1, "one minute does");
    assert_eq!(shop.order(ids[2]).await.status, Status::Cancelled);
    assert_eq!(deadlines::step(&shop.database, Duration::ZERO).await.unwrap(), 0);
}

#[tokio::test]
async fn a_charge_without_an_answer_is_asked_for_until_it_has_one() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:ok").await;
    shop.provider.way.send_replace(Way::Mute);
    assert_eq!(shop.payments.step().await.unwrap(), 1);
    shop.cancel(id).await;
    assert_eq!(shop.payment_states(id).await, ["claimed"], "it may have been charged");
    shop.provider.way.send_replace(Way::Open);
    shop.pay_until(async |shop| shop.order(id).await.payment.status == PaymentStatus::Refunded).await;
    let expected = ["order.created", "order.reserved", "order.cancelled", "payment.completed", "payment.refunded"];
    assert_eq!(shop.history(id).await, expected);
    let [(_, charged, refunded)] = books(&shop).await[..] else { panic!("one payment") };
    assert!(charged && refunded);
}

#[tokio::test]
async fn a_charge_that_is_not_done_yet_is_withdrawn_when_its_order_has_ended_meanwhile() {
    let mut shop = Shop::open().await;
    for method in ["sandbox:flaky", "sandbox:manual"] {
        let id = shop.reserved_order(method).await;
        shop.provider.held.send_replace(method);
        let payments = Arc::clone(&shop.payments);
        let step = tokio::spawn(async move { payments.step().await.unwrap() });
        shop.provider.called.notified().await;
        shop.cancel(id).await;
        shop.provider.held.send_replace("");
        assert_eq!(step.await.unwrap(), 1);
        assert_eq!(shop.payment_states(id).await, ["withdrawn"], "{method}");
        assert_eq!(shop.history(id).await, ["order.created", "order.reserved", "order.cancelled"]);
    }
    assert_eq!(shop.count("select count(*) from sandbox_ledger where charged_at is not null").await, 0);
}

#[tokio::test]
async fn one_that_cannot_be_stored_does_not_hold_up_the_others() {
    let mut shop = Shop::open().await;
    let (good, bad) = (shop.reserved_order("sandbox:ok").await, shop.reserved_order("sandbox:ok").await);
    // a name so long that its event is too large
    let name = "x".repeat(300_000);
    let lines =
        format!(r#"[{{"sku":"tea","name":"{name}","quantity":1,"unit_price":{{"amount":1,"currency":"EUR"}}}}]"#);
    let changed = sqlx::query("update orders set lines = $1::json where id = $2").bind(lines).bind(bad.0);
    changed.execute(shop.pool()).await.unwrap();
    assert!(shop.payments.step().await.is_err());
    assert_eq!(shop.order(good).await.status, Status::Confirmed);
    assert_eq!(
        (shop.order(bad).await.status, shop.payment_states(bad).await),
        (Status::Reserved, vec!["claimed".into()])
    );
}

#[tokio::test]
async fn a_slow_method_does_not_hold_up_the_others() {
    let mut shop = Shop::open().await;
    shop.provider.held.send_replace("sandbox:slow");
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Arc::clone(&shop.payments).run(stop.clone(), Duration::ZERO));
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(shop.reserved_order("sandbox:slow").await);
    }
    eventually(async || shop.count("select count(*) from payment where state = 'claimed'").await >= 8).await;
    let quick = shop.reserved_order("sandbox:ok").await;
    confirmed(&shop, quick).await;
    assert_eq!(shop.order(slow[0]).await.status, Status::Reserved);
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test]
async fn the_worker_goes_on_when_the_provider_is_back() {
    let mut shop = Shop::open().await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Arc::clone(&shop.payments).run(stop.clone(), LEASE));
    shop.provider.way.send_replace(Way::Cut);
    let first = shop.reserved_order("sandbox:ok").await;
    eventually(async || shop.count("select count(*) from provider_outage where until is null").await == 1).await;
    let second = shop.reserved_order("sandbox:ok").await;
    shop.provider.way.send_replace(Way::Open);
    confirmed(&shop, first).await;
    confirmed(&shop, second).await;
    assert_eq!(shop.count("select count(*) from provider_outage where until is null").await, 0);
    stop.cancel();
    worker.await.unwrap();
}

async fn confirmed(shop: &Shop, id: OrderId) {
    eventually(async || shop.order(id).await.status == Status::Confirmed).await;
}

#[tokio::test]
async fn what_an_earlier_claim_was_told_is_not_the_last_word() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:flaky").await;
    let mut conn = shop.pool().acquire().await.unwrap();
    let slow = payment::claim(&mut conn, Duration::ZERO, &[]).await.unwrap().remove(0);
    let quick = payment::claim(&mut conn, LEASE, &[]).await.unwrap().remove(0);
    sqlx::query("update orders set status = 'cancelled', cancel_reason = 'requested' where id = $1")
        .bind(id.0)
        .execute(&mut *conn)
        .await
        .unwrap();
    let not_yet = |job: &Job| Settled {
        id: job.intent.payment_id.clone(),
        task: job.task,
        state: "due",
        wait: Duration::ZERO,
        claimed_until: job.until,
    };
    payment::settle(&mut conn, &[not_yet(&slow)]).await.unwrap();
    assert_eq!(shop.payment_states(id).await, ["claimed"], "the other may have charged by now");
    payment::settle(&mut conn, &[not_yet(&quick)]).await.unwrap();
    assert_eq!(shop.payment_states(id).await, ["withdrawn"]);
}
