//! Mails that are claimed by the handler that queues them, for the sender of its own process.

use contracts::event::Service;
use contracts::values::CustomerId;
use email::handlers::ConfirmOrder;
use email::workers::sender::{Progress, Sender};
use messaging::handler::Handler;
use messaging::tx::Tx;
use tokio_util::sync::CancellationToken;

use crate::smtp_server::SmtpServer;
use crate::world::{SESSIONS, World, confirmed, context, eventually, received};

/// A sender that has time, in the process of the handlers, and its mail server.
async fn beside(world: &World) -> (Sender, SmtpServer) {
    let server = SmtpServer::start().await;
    let mut sender = world.sender_beside(&server.url());
    assert!(matches!(sender.step().await.unwrap(), Progress::Idle(_)));
    (sender, server)
}

/// A customer. To be made before the sender that is to have time, for a sender that was not awake for a second has none.
async fn ada(world: &World) -> CustomerId {
    world.customer("ada@example.com").await
}

/// A transaction in which a confirmation is queued.
async fn queued(world: &World, customer: CustomerId) -> Tx {
    let mut tx = world.db.database(Service::Email).begin(context()).await.unwrap();
    let handler = ConfirmOrder::new(world.outgoing.clone());
    handler.handle_batch(&mut tx, &[received(1, confirmed(customer))]).await.unwrap();
    tx
}

/// How many mails are claimed by a sender.
async fn claimed(world: &World) -> i64 {
    let claimed = sqlx::query_scalar("select count(*) from delivery where sender is not null");
    claimed.fetch_one(world.db.pool()).await.unwrap()
}

#[tokio::test]
async fn a_mail_that_is_claimed_from_its_birth_goes_out_once() {
    let world = World::new().await;
    let customer = ada(&world).await;
    let (mut sender, server) = beside(&world).await;
    world.confirmations_for(customer, 3).await;
    assert_eq!(claimed(&world).await, 3, "nobody has looked for them");
    // nobody else takes them
    assert!(matches!(world.sender(&server.url()).step().await.unwrap(), Progress::Idle(_)));
    world.until_all(&mut sender, "sent").await;
    assert_eq!(server.delivered().len(), 3);
    assert!(world.log().await.iter().all(|mail| mail.attempts == 1));
}

#[tokio::test]
async fn more_than_the_sender_has_time_for_wait_in_their_rows() {
    let world = World::new().await;
    let (mut sender, server) = beside(&world).await;
    world.confirmations(300).await;
    assert_eq!(claimed(&world).await, 0);
    world.until_all(&mut sender, "sent").await;
    assert_eq!(server.delivered().len(), 300);
}

#[tokio::test]
async fn what_was_claimed_for_a_session_that_is_lost_goes_out_once() {
    let world = World::new().await;
    let customer = ada(&world).await;
    let (mut sender, server) = beside(&world).await;
    let (before, after) = (queued(&world, customer).await, queued(&world, customer).await);
    before.commit().await.unwrap();
    world.sql(&format!("select pg_terminate_backend(pid) from {SESSIONS}")).await;
    eventually("the sender is back", async || sender.step().await.is_ok()).await;
    after.commit().await.unwrap();
    world.until_all(&mut sender, "sent").await;
    assert_eq!(server.delivered().len(), 2);
    assert!(world.log().await.iter().all(|mail| mail.attempts == 1));
}

#[tokio::test]
async fn claims_of_a_commit_whose_answer_was_lost_are_found() {
    let world = World::new().await;
    let customer = ada(&world).await;
    let (mut sender, server) = beside(&world).await;
    // as if the answer to its commit had been lost: the claim is there, and its promise is not kept
    drop(queued(&world, customer).await);
    queued(&world, customer).await.commit().await.unwrap();
    world.until_all(&mut sender, "sent").await;
    world.sql("update mail set status = 'queued'").await;
    let claim = format!(
        "insert into delivery (mail_id, sender, claimed_at) select id, (select objid::integer from {SESSIONS}), now() from mail"
    );
    world.sql(&claim).await;
    world.until_all(&mut sender, "sent").await;
    assert_eq!(server.delivered().len(), 2);
}

#[tokio::test]
async fn what_was_promised_before_a_stop_is_given_back() {
    let world = World::new().await;
    let customer = ada(&world).await;
    let (sender, server) = beside(&world).await;
    let tx = queued(&world, customer).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(sender.run(stop.clone()));
    stop.cancel();
    tx.commit().await.unwrap();
    running.await.unwrap();
    assert_eq!((claimed(&world).await, server.delivered().len()), (0, 0));
    world.until_all(&mut world.sender(&server.url()), "sent").await;
    assert_eq!(world.mail().await.attempts, 1);
}
