//! What works by the clock: a payment whose worker is killed, a mail server that takes its time, a retry that finds no room.

use std::time::{Duration, Instant};

use end_to_end::broker::Message;
use end_to_end::infrastructure::beside_others;
use end_to_end::load::Load;
use end_to_end::shop::{QUIET, order_of, text};
use end_to_end::smtp::SmtpServer;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually, stays};
use serde_json::json;

#[tokio::test]
async fn a_payment_whose_worker_was_killed_is_taken_over_and_charged_once() {
    let _beside = beside_others().await;
    let system = System::start().await;
    system.sell("tea", 100, 100).await;
    let customer = system.customer().await;
    let order = system.place_paid_by(&customer, &[("tea", 1)], "sandbox:slow").await;
    let id = text(&order, "id");
    eventually("the provider is asked", PATIENCE, async || {
        let claimed = system.database("order").rows("select 1 from payment where state = 'claimed'").await.len();
        check(claimed == 1, || format!("{claimed} payments are claimed"))
    })
    .await;
    let killed = Instant::now();
    system.order.kill().await;
    system.order.start_and_wait().await;
    let paid = system.settled(id).await;
    assert_eq!((text(&paid, "status"), text(&paid["payment"], "status")), ("confirmed", "completed"));
    // The claim of the dead is good for 15 s, and the provider takes 10 s each time.
    let taken = killed.elapsed();
    assert!(taken < Duration::from_secs(60), "it took {taken:?}");
    let charges = system.database("order").rows("select 1 from sandbox_ledger").await.len();
    assert_eq!(charges, 1, "the provider's own books");
    system.finish().await;
}

#[tokio::test]
async fn a_mail_server_that_takes_its_time_does_not_slow_orders_down() {
    let _beside = beside_others().await;
    let server = SmtpServer::start([]).await;
    let system = System::setup().mail_server(&server).start().await;
    system.sell("tea", 100, 1000).await;
    let customer = system.customer().await;
    server.dawdle();
    let load = Load::default();
    load.run(&[system.order.api()], 60, |_| order_of(&customer.id, &[("tea", 1)], "sandbox:ok")).await;
    // All of them come to their ends before the first of their mails does.
    for id in load.order_ids() {
        assert_eq!(text(&system.settled(&id).await, "status"), "confirmed");
    }
    let sent = system.email.api().list("/v1/emails?status=sent").await;
    assert_eq!(sent.iter().filter(|mail| text(mail, "template") == "order-confirmed").count(), 0, "{sent:?}");
    server.go_on();
    system.finish().await;
}

#[tokio::test]
async fn a_retry_that_finds_its_queue_full_arrives_as_soon_as_there_is_room() {
    let _beside = beside_others().await;
    let system = System::start().await;
    system.sell("tea", 100, 1000).await;
    let customer = system.customer().await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    system.settled(text(&order, "id")).await;
    let created = system.history(text(&order, "id")).await.remove(0);
    system.inventory.stop().await;
    system.broker.limit("inventory", 3).await;
    // A full queue takes a little more than its limit.
    let load = Load::default();
    // those that go out together are all taken: it is full for the next
    eventually("events wait in the log", PATIENCE, async || {
        load.run(&[system.order.api()], 30, |_| order_of(&customer.id, &[("tea", 1)], "sandbox:ok")).await;
        let pending = system.order.metric("warren_outbox_pending", &[]).await?;
        check(pending.is_some_and(|pending| pending >= 3.0), || format!("{pending:?}"))
    })
    .await;
    let mut late = created.clone();
    late["id"] = json!(uuid::Uuid::now_v7().to_string());
    system.broker.put("inventory.retry.100ms", &[Message::event(&late)]).await;
    // Its time comes, and it cannot go anywhere; nor is it lost or given up.
    stays("no dead letter", QUIET, async || {
        let dead = system.broker.waiting("inventory.dead").await;
        check(dead == Some(0), || format!("{dead:?}"))
    })
    .await;
    system.broker.unlimit("inventory").await;
    let room = Instant::now();
    system.inventory.start_and_wait().await;
    let path = format!("/v1/ops/inbox/{}", text(&late, "id"));
    eventually("it has arrived", Duration::from_secs(30), async || {
        let inbox = system.inventory.api().get(&path).await.expect(200);
        check(inbox["state"] == "done", || inbox.to_string())
    })
    .await;
    let taken = room.elapsed();
    assert!(taken < Duration::from_secs(20), "the broker was asked to try every 5 s, and it took {taken:?}");
    system.finish().await;
}
