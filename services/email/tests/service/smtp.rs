//! The transport alone: how handing over ends, depending on what the server does and when.

use std::time::Duration;

use email::transport::smtp::{Smtp, Timeouts};
use email::transport::target::Target;
use email::transport::{Answer, Letter};
use futures_util::future::join_all;

use crate::smtp_server::{Act, At, SmtpServer};

/// For a server that does not answer.
const SOON: Duration = Duration::from_millis(300);

/// For one that does.
const PATIENCE: Duration = Duration::from_secs(30);

fn smtp(url: &str) -> Smtp {
    within(url, PATIENCE, PATIENCE)
}

/// With so much time for each answer, and for the one after the message.
fn within(url: &str, command: Duration, end_of_message: Duration) -> Smtp {
    let Ok(Target::Server(server)) = url.parse() else { panic!("{url}") };
    Smtp::new(server, Timeouts { connect: command, command, end_of_message }).unwrap()
}

fn letter() -> Letter {
    let message = "Subject: dots\r\n\r\n.\r\n..two\r\nend\r\n";
    Letter {
        from: "shop@example.com".parse().unwrap(),
        to: "ada@example.com".parse().unwrap(),
        message: message.to_owned(),
    }
}

#[tokio::test]
async fn an_accepted_mail_arrives_as_it_was_and_the_connection_is_kept() {
    let server = SmtpServer::start().await;
    let smtp = smtp(&server.url());
    for _ in 0..3 {
        assert_eq!(smtp.hand_over(&letter()).await, Answer::Accepted);
    }
    assert_eq!(server.connections(), 1);
    for delivered in server.delivered() {
        assert_eq!((delivered.to.as_str(), delivered.message), ("<ada@example.com>", letter().message));
    }
}

#[tokio::test]
async fn mails_at_the_same_time_have_a_connection_each() {
    let server = SmtpServer::start().await;
    let smtp = smtp(&server.url());
    let letter = letter();
    for _ in 0..2 {
        let answers = join_all((0..5).map(|_| smtp.hand_over(&letter))).await;
        assert!(answers.iter().all(|answer| *answer == Answer::Accepted));
    }
    assert_eq!(server.connections(), 5);
}

#[tokio::test]
async fn the_server_says_no_at_any_point() {
    let server = SmtpServer::start().await;
    let smtp = smtp(&server.url());
    for (at, command) in
        [(At::Mail, "MAIL FROM"), (At::Rcpt, "RCPT TO"), (At::Data, "DATA"), (At::Message, "the message")]
    {
        server.then(Act::Reply(at, "450 4.2.1 <ada@example.com> is busy"));
        let later = Answer::Deferred(format!("450 4.2.1 to {command}: the mailbox is disabled"));
        assert_eq!(smtp.hand_over(&letter()).await, later);
        server.then(Act::Reply(at, "550-5.1.1 no ada@example.com\r\n550 5.1.1 here"));
        let never = Answer::Refused(format!("550 5.1.1 to {command}: no such mailbox"));
        assert_eq!(smtp.hand_over(&letter()).await, never);
    }
    assert_eq!(smtp.hand_over(&letter()).await, Answer::Accepted);
    assert_eq!((server.connections(), server.delivered().len()), (1, 1), "one connection, put right after each no");
}

#[tokio::test]
async fn what_breaks_before_the_end_of_the_message_was_not_handed_over() {
    for at in [At::Greeting, At::Hello, At::Mail, At::Rcpt, At::Data] {
        for act in [Act::Drop(at), Act::Hang(at), Act::Reply(at, "nonsense")] {
            let server = SmtpServer::start().await;
            server.always(act);
            let answer = within(&server.url(), SOON, PATIENCE).hand_over(&letter()).await;
            assert!(matches!(answer, Answer::Unavailable(_)), "{act:?}: {answer:?}");
            assert!(server.delivered().is_empty());
        }
    }
}

#[tokio::test]
async fn what_breaks_after_the_end_of_the_message_is_in_doubt() {
    for act in [
        Act::Drop(At::Message),
        Act::Hang(At::Message),
        Act::Reply(At::Message, "nonsense"),
        Act::Reply(At::Message, "354 more?"),
    ] {
        let server = SmtpServer::start().await;
        server.then(act);
        let answer = within(&server.url(), PATIENCE, SOON).hand_over(&letter()).await;
        assert!(matches!(answer, Answer::Lost(_)), "{act:?}: {answer:?}");
        assert!(server.delivered().len() <= 1, "it is not repeated");
    }
}

#[tokio::test]
async fn trouble_with_the_service_is_not_blamed_on_the_mail() {
    for reply in ["421 4.3.2 closing", "530 5.7.0 log in first", "454 4.7.0 no TLS now"] {
        let server = SmtpServer::start().await;
        server.always(Act::Reply(At::Mail, reply));
        let answer = smtp(&server.url()).hand_over(&letter()).await;
        assert!(matches!(answer, Answer::Unavailable(_)), "{reply}: {answer:?}");
    }
    for greeting in ["554 5.7.1 not you", "421 busy"] {
        let server = SmtpServer::start().await;
        server.always(Act::Reply(At::Greeting, greeting));
        assert!(matches!(smtp(&server.url()).hand_over(&letter()).await, Answer::Unavailable(_)));
    }
    // Once the recipient was named, it may well be about the mail.
    let server = SmtpServer::start().await;
    server.then(Act::Reply(At::Rcpt, "421 4.7.28 slow down"));
    let smtp = smtp(&server.url());
    assert!(matches!(smtp.hand_over(&letter()).await, Answer::Deferred(_)));
    assert_eq!(smtp.hand_over(&letter()).await, Answer::Accepted);
    assert_eq!(server.connections(), 2, "a server that says 421 closes");
}

#[tokio::test]
async fn a_kept_connection_that_died_is_replaced() {
    let server = SmtpServer::start().await;
    let smtp = smtp(&server.url());
    let letter = letter();
    join_all((0..3).map(|_| smtp.hand_over(&letter))).await;
    server.then(Act::Drop(At::Mail)).then(Act::Reply(At::Mail, "421 too many mails on this connection"));
    assert_eq!(smtp.hand_over(&letter).await, Answer::Accepted);
    assert_eq!((server.delivered().len(), server.connections()), (4, 3), "the third one is alive");
    server.then(Act::Drop(At::Mail));
    assert_eq!(smtp.hand_over(&letter).await, Answer::Accepted);
    assert_eq!((server.delivered().len(), server.connections()), (5, 4));
}

#[tokio::test]
async fn a_server_that_is_away() {
    let server = SmtpServer::start().await;
    let (address, smtp) = (server.address(), smtp(&server.url()));
    assert_eq!(smtp.check().await, Ok(()));
    drop(server);
    tokio::task::yield_now().await;
    assert!(smtp.check().await.is_err());
    assert!(matches!(smtp.hand_over(&letter()).await, Answer::Unavailable(_)));
    let _server = SmtpServer::start_at(address).await;
    assert_eq!(smtp.check().await, Ok(()));
    assert_eq!(smtp.hand_over(&letter()).await, Answer::Accepted);
    smtp.close().await;
}

#[tokio::test]
async fn protection_and_login_are_not_optional() {
    let server = SmtpServer::start().await;
    let answer = smtp(&format!("smtp+starttls://{}", server.address())).hand_over(&letter()).await;
    assert!(matches!(&answer, Answer::Unavailable(why) if why.contains("STARTTLS")), "{answer:?}");
    let with_login = smtp(&format!("smtp://shop:secret@{}", server.address()));
    assert!(matches!(with_login.hand_over(&letter()).await, Answer::Unavailable(_)), "no AUTH offered");
    server.offers("AUTH PLAIN");
    let answer = with_login.hand_over(&letter()).await;
    assert_eq!(
        answer,
        Answer::Unavailable("535 5.7.8 to connecting: rejected by policy".to_owned()),
        "the server's words are not passed on"
    );
    assert!(server.delivered().is_empty());
}

#[tokio::test]
async fn an_address_beyond_ascii_needs_a_server_that_takes_it() {
    let server = SmtpServer::start().await;
    let smtp = smtp(&server.url());
    let letter = Letter { to: "ädä@example.com".parse().unwrap(), ..letter() };
    assert!(matches!(smtp.hand_over(&letter).await, Answer::Refused(_)));
    server.offers("SMTPUTF8");
    let smtp = self::smtp(&server.url());
    assert_eq!(smtp.hand_over(&letter).await, Answer::Accepted);
}
