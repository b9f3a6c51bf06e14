//! A thousand senders that stop in the worst moment: the mail server has the mail, and nothing is recorded yet.
//!
//! What is real: the dialogue with the mail server, the database, the claims and their taking over. What is simulated: a
//! sender is dropped in the middle instead of its process being killed. Its connections close in the same way, and nothing
//! that it knew is left. A process that really ends there is in the end-to-end tests (`after-data`).

use std::collections::HashMap;
use std::time::Duration;

use email::mail::Template;
use email::workers::sender::Sender;
use mail_parser::MessageParser;

use crate::smtp_server::{Act, At, SmtpServer};
use crate::world::World;

const KILLS: usize = 1000;

/// How long the server may take to have the next mail.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_senders_stop_after_data_and_every_copy_is_counted() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    server.always(Act::Hang(At::Message));
    for kill in 1..=KILLS {
        world.confirmations(1).await;
        let mut sender = world.sender(&server.url());
        let has_it = async {
            let mut look = tokio::time::interval(Duration::from_millis(1));
            while server.delivered_count() < kill {
                look.tick().await;
            }
        };
        let killed = async {
            tokio::select! {
                () = has_it => {}
                error = first_error(&mut sender) => panic!("kill {kill}: the database is away: {error}"),
            }
        };
        tokio::time::timeout(PATIENCE, killed).await.expect("the server has the mail soon");
        drop(sender);
    }
    assert_eq!(world.statuses().await, [("queued".to_owned(), KILLS)].into());

    server.always(Act::Accept);
    let mut heir = world.sender(&server.url());
    world.until_all(&mut heir, "sent").await;
    let mut copies = HashMap::<String, usize>::new();
    for mail in server.delivered() {
        let id = MessageParser::default().parse(&mail.message).unwrap().message_id().unwrap().to_owned();
        *copies.entry(id).or_default() += 1;
    }
    assert_eq!(copies.len(), KILLS, "each mail has one Message-ID");
    assert!(copies.values().all(|times| *times == 2), "each was handed over before the stop and after it");
    assert_eq!(world.mails.get(Template::OrderConfirmed, "in-doubt"), KILLS as u64, "and every copy is counted");
    assert!(world.log().await.iter().all(|mail| mail.attempts == 2));
}

async fn first_error(sender: &mut Sender) -> sqlx::Error {
    loop {
        if let Err(error) = sender.step().await {
            return error;
        }
    }
}
