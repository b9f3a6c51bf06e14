//! What becomes of the mails of a sender that is no more, or that lost its database for a moment.

use email::mail::Template;
use mail_parser::MessageParser;

use crate::smtp_server::{Act, SmtpServer};
use crate::world::{SESSIONS, World, eventually};

const ID: Template = Template::OrderConfirmed;

#[tokio::test]
async fn the_mails_of_a_dead_sender_are_in_doubt_and_sent_again_under_the_same_id() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    world.confirmations(3).await;
    server.always(Act::Wait);
    let mut dead = world.sender(&server.url());
    eventually("the server has them", async || {
        dead.step().await.unwrap();
        server.delivered().len() == 3
    })
    .await;
    assert_eq!(world.statuses().await["queued"], 3);
    // A killed process: its session ends, and nothing is recorded.
    drop(dead);
    server.let_go(100);
    let mut heir = world.sender(&server.url());
    world.until_all(&mut heir, "sent").await;
    assert_eq!(world.mails.get(ID, "in-doubt"), 3);
    assert!(world.log().await.iter().all(|mail| mail.attempts == 2));
    let mut ids: Vec<_> = server
        .delivered()
        .iter()
        .map(|mail| MessageParser::default().parse(&mail.message).unwrap().message_id().unwrap().to_owned())
        .collect();
    ids.sort();
    assert_eq!(ids.len(), 6);
    assert!(ids.chunks(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn the_mails_of_a_slow_sender_are_left_alone() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    world.confirmations(1).await;
    server.always(Act::Wait);
    let mut slow = world.sender(&format!("smtp://{}", server.address()));
    slow.step().await.unwrap();
    let mut other = world.sender(&server.url());
    // Longer than an absent sender would be waited for is too long for a test; nobody is absent at all.
    for _ in 0..5 {
        other.step().await.unwrap();
    }
    let absent = email::store::delivery::absent_senders(&mut world.db.pool().acquire().await.unwrap()).await.unwrap();
    assert!(absent.is_empty());
    server.let_go(1);
    world.until_all(&mut slow, "sent").await;
    assert_eq!((server.delivered().len(), world.mail().await.attempts), (1, 1));
}

#[tokio::test]
async fn a_sender_that_loses_its_session_records_what_it_did_and_sends_nothing_twice() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    world.confirmations(1).await;
    server.always(Act::Wait);
    let mut sender = world.sender(&server.url());
    sender.step().await.unwrap();
    world.sql(&format!("select pg_terminate_backend(pid) from {SESSIONS}")).await;
    // A claim that was committed, and whose answer was lost with the session.
    world.confirmations(1).await;
    world
        .sql("update delivery set sender = (select max(sender) from delivery), claimed_at = now() where sender is null")
        .await;
    assert!(sender.step().await.is_err(), "the session is gone");
    server.let_go(100);
    world.until_all(&mut sender, "sent").await;
    assert_eq!((server.delivered().len(), world.mails.get(ID, "in-doubt")), (2, 0));
    assert!(world.log().await.iter().all(|mail| mail.attempts == 1));
}

#[tokio::test]
async fn a_claim_that_is_held_for_ever_is_taken_over() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    world.confirmations(1).await;
    server.then(Act::Wait);
    let mut frozen = world.sender(&server.url());
    frozen.step().await.unwrap();
    world.sql("update delivery set claimed_at = now() - interval '11 minutes'").await;
    let mut other = world.sender(&server.url());
    other.step().await.unwrap();
    assert_eq!(world.mails.get(ID, "in-doubt"), 1);
    world.until_all(&mut other, "sent").await;
    // What the frozen one learns when it wakes up changes nothing any more.
    server.let_go(1);
    for _ in 0..3 {
        frozen.step().await.unwrap();
    }
    let mail = world.mail().await;
    assert_eq!((mail.status.as_str(), mail.attempts, server.delivered().len()), ("sent", 2, 2));
    assert_eq!(world.mails.get(ID, "sent"), 1);
}

#[tokio::test]
async fn a_mail_that_nobody_let_go_is_let_go() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    let customer = world.confirmations(1).await;
    // As if customer and order had been handled at the same moment by two copies of the service.
    sqlx::query("update delivery set waits_for = $1").bind(customer.0).execute(world.db.pool()).await.unwrap();
    let mut sender = world.sender(&server.url());
    eventually("it is sent", async || {
        sender.step().await.unwrap();
        world.mail().await.status == "sent"
    })
    .await;
}
