//! The sender over a real database: what is handed over, how often, and what is recorded.

use std::time::Duration;

use email::handlers::{NoteChange, WarnOfLowStock};
use email::mail::Template;
use email::store::log;
use email::workers::sender::Progress;
use mail_parser::MessageParser;
use tokio_util::sync::CancellationToken;

use crate::smtp_server::{Act, At, SmtpServer};
use crate::world::{World, changed, eventually, received};

const ID: Template = Template::OrderConfirmed;

#[tokio::test]
async fn a_mail_goes_out_once_and_is_on_record() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    let customer = world.confirmations(1).await;
    let mut sender = world.sender(&server.url());
    assert_eq!(sender.step().await.unwrap(), Progress::Busy);
    eventually("nothing is left to do", async || matches!(sender.step().await.unwrap(), Progress::Idle(_))).await;
    let mail = world.mail().await;
    assert_eq!((mail.status.as_str(), mail.attempts), ("sent", 1));
    assert_eq!(mail.recipient.as_deref(), Some("ada@example.com"));
    assert!(mail.answered_at.is_some() && mail.error.is_none());
    assert_eq!(world.mails.get(ID, "sent"), 1);

    let [delivered] = &server.delivered()[..] else { panic!("one copy") };
    let message = MessageParser::default().parse(&delivered.message).unwrap();
    assert_eq!(format!("<{}>", message.message_id().unwrap()), mail.message_id);
    assert_eq!(message.to().unwrap().first().unwrap().name(), Some("Ada King"));
    assert!(message.body_text(0).unwrap().contains("Total: 39.98 EUR"));
    // The page on record is the one that was sent, whatever is known later.
    world.handle(&NoteChange::new(world.outgoing.clone()), &[received(9, changed(customer, "new@example.com"))]).await;
    let page = log::page(&mut world.db.pool().acquire().await.unwrap(), mail.id).await.unwrap().unwrap();
    assert_eq!(page.html.unwrap().replace('\n', "\r\n"), message.body_html(0).unwrap());
    assert_eq!(world.mail().await.recipient.as_deref(), Some("ada@example.com"));
}

#[tokio::test]
async fn the_operators_get_their_mails() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    let low = contracts::inventory::InventoryLow {
        sku: "TEA-500".parse().unwrap(),
        name: "Tea".to_owned(),
        available: 1,
        threshold: 5,
    };
    world.handle(&WarnOfLowStock::new(world.outgoing.clone(), true), &[received(1, low)]).await;
    world.until_all(&mut world.sender(&server.url()), "sent").await;
    assert_eq!(server.delivered()[0].to, "<ops@example.com>");
}

#[tokio::test]
async fn two_senders_never_send_one_mail_twice() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    world.confirmations(450).await;
    let (mut one, mut other) = (world.sender(&server.url()), world.sender(&server.url()));
    tokio::join!(world.until_all(&mut one, "sent"), world.until_all(&mut other, "sent"));
    let mut ids: Vec<_> = server
        .delivered()
        .iter()
        .map(|mail| MessageParser::default().parse(&mail.message).unwrap().message_id().unwrap().to_owned())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), server.delivered().len()), (450, 450));
}

#[tokio::test]
async fn a_mail_that_was_put_off_goes_again_later() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    world.confirmations(1).await;
    server.then(Act::Reply(At::Rcpt, "451 4.7.1 ada@example.com: greylisted"));
    let mut sender = world.sender(&server.url());
    eventually("it is put off", async || {
        sender.step().await.unwrap();
        world.mail().await.attempts == 1
    })
    .await;
    let mail = world.mail().await;
    assert_eq!((mail.status.as_str(), mail.attempts), ("queued", 1));
    assert!(mail.error.is_some_and(|error| error.starts_with("451 4.7.1 to RCPT TO") && !error.contains('@')));
    sender.step().await.unwrap();
    assert_eq!(world.mail().await.attempts, 1, "it is not due yet");
    world.hurry().await;
    world.until_all(&mut sender, "sent").await;
    let mail = world.mail().await;
    assert_eq!((mail.attempts, mail.error), (2, None));
    assert_eq!((world.mails.get(ID, "sent"), world.mails.get(ID, "failed")), (1, 0));
}

#[tokio::test]
async fn a_mail_that_was_refused_is_failed() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    world.confirmations(2).await;
    server.then(Act::Reply(At::Rcpt, "550 5.1.1 no ada@example.com here"));
    let mut sender = world.sender(&server.url());
    eventually("one is refused, one is sent", async || {
        sender.step().await.unwrap();
        world.statuses().await == [("failed".to_owned(), 1), ("sent".to_owned(), 1)].into()
    })
    .await;
    let failed = world.log().await.into_iter().find(|mail| mail.status == "failed").unwrap();
    assert_eq!(failed.error.as_deref(), Some("550 5.1.1 to RCPT TO: no such mailbox"));
    assert_eq!((failed.attempts, world.mails.get(ID, "failed")), (1, 1));
}

#[tokio::test]
async fn a_mail_to_nowhere_is_failed_without_an_attempt() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    let customer = world.confirmations(1).await;
    world.handle(&NoteChange::new(world.outgoing.clone()), &[received(2, changed(customer, "not an address"))]).await;
    world.until_all(&mut world.sender(&server.url()), "failed").await;
    assert_eq!(world.mail().await.attempts, 0);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_lost_answer_is_in_doubt_until_the_second_sending() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    world.confirmations(1).await;
    server.then(Act::Drop(At::Message));
    let mut sender = world.sender(&server.url());
    eventually("it is in doubt", async || {
        sender.step().await.unwrap();
        world.mail().await.status == "in-doubt"
    })
    .await;
    assert_eq!(world.mails.get(ID, "in-doubt"), 1);
    world.hurry().await;
    world.until_all(&mut sender, "sent").await;
    let ids: Vec<_> = server
        .delivered()
        .iter()
        .map(|mail| MessageParser::default().parse(&mail.message).unwrap().message_id().unwrap().to_owned())
        .collect();
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
    assert_eq!((world.mail().await.attempts, world.mails.get(ID, "in-doubt"), world.mails.get(ID, "sent")), (2, 1, 1));
}

#[tokio::test]
async fn a_server_that_is_away_costs_no_attempt_and_is_probed() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    let (address, url) = (server.address(), server.url());
    drop(server);
    tokio::task::yield_now().await;
    world.confirmations(30).await;
    let mut sender = world.sender(&url);
    for _ in 0..5 {
        sender.step().await.unwrap();
    }
    assert!(world.log().await.iter().all(|mail| mail.status == "queued" && mail.attempts == 0));
    let server = SmtpServer::start_at(address).await;
    world.until_all(&mut sender, "sent").await;
    assert!(world.log().await.iter().all(|mail| mail.attempts == 1));
    assert_eq!(server.delivered().len(), 30);
}

#[tokio::test]
async fn a_server_that_loses_every_answer_gets_few_mails() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    world.confirmations(100).await;
    server.always(Act::Drop(At::Message));
    let mut sender = world.sender(&server.url());
    for _ in 0..3 {
        sender.step().await.unwrap();
    }
    eventually("all that it got are in doubt", async || {
        sender.step().await.unwrap();
        world.statuses().await.get("in-doubt") == Some(&server.delivered().len())
    })
    .await;
    // One for each connection, and a probe or two.
    let statuses = world.statuses().await;
    assert!((1..=12).contains(&statuses["in-doubt"]), "{statuses:?}");
}

#[tokio::test]
async fn a_slow_mail_holds_nobody_up() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    world.confirmations(60).await;
    server.then(Act::Wait);
    let mut sender = world.sender(&server.url());
    eventually("all others are sent", async || {
        sender.step().await.unwrap();
        world.statuses().await.get("sent") == Some(&59)
    })
    .await;
    world.confirmations(5).await;
    eventually("later ones are sent, too", async || {
        sender.step().await.unwrap();
        world.statuses().await["sent"] == 64
    })
    .await;
    server.let_go(1);
    world.until_all(&mut sender, "sent").await;
}

#[tokio::test]
async fn a_stop_lets_mails_that_are_under_way_end_and_gives_the_others_back() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    world.confirmations(40).await;
    server.always(Act::Wait);
    let stop = CancellationToken::new();
    let running = tokio::spawn(world.sender(&server.url()).run(stop.clone()));
    eventually("all connections are taken", async || server.delivered().len() == 8).await;
    stop.cancel();
    server.let_go(100);
    tokio::time::timeout(Duration::from_secs(30), running).await.expect("it stops").unwrap();
    let statuses = world.statuses().await;
    assert!(statuses["sent"] >= 8 && statuses["sent"] + statuses.get("queued").unwrap_or(&0) == 40, "{statuses:?}");
    assert_eq!(server.delivered().len(), statuses["sent"]);
    let claimed = sqlx::query_scalar("select count(*) from delivery where sender is not null");
    let claimed: i64 = claimed.fetch_one(world.db.pool()).await.unwrap();
    assert_eq!(claimed, 0);
    world.until_all(&mut world.sender(&server.url()), "sent").await;
    assert_eq!((server.delivered().len(), world.mails.get(ID, "in-doubt")), (40, 0));
}

#[tokio::test]
async fn a_running_sender_is_woken_by_a_commit() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    let stop = CancellationToken::new();
    let running = tokio::spawn(world.sender(&server.url()).run(stop.clone()));
    for count in 1..=5 {
        world.confirmations(1).await;
        eventually("it arrives", async || server.delivered().len() == count).await;
    }
    stop.cancel();
    running.await.unwrap();
    assert_eq!(world.statuses().await["sent"], 5);
}

#[tokio::test]
async fn mails_can_be_files() {
    let world = World::new().await;
    world.confirmations(20).await;
    let directory = std::env::temp_dir().join(format!("warren-mail-{}", uuid::Uuid::now_v7()));
    let mut sender = world.sender(&format!("file://{}", directory.display()));
    world.until_all(&mut sender, "sent").await;
    let files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 20);
    assert!(files.iter().all(|file| file.extension().is_some_and(|ending| ending == "eml")));
    std::fs::remove_dir_all(directory).unwrap();
}
