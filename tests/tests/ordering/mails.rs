//! The mail server has its moods; each mail is handed over once all the same, or recognisably again.

use std::time::Duration;

use end_to_end::shop::{number, text};
use end_to_end::smtp::{SmtpServer, Verdict};
use end_to_end::system::System;
use end_to_end::waiting::{check, eventually};
use serde_json::Value;

/// How long `email` may take to come back to a mail that was not taken.
const NEXT_TRY: Duration = Duration::from_secs(90);

/// The one mail to a customer, once it is in this status.
async fn only_mail(system: &System, customer_id: &str, status: &str) -> Value {
    eventually(&format!("the mail is {status}"), NEXT_TRY, async || {
        let mails = system.email.api().list(&format!("/v1/emails?customer_id={customer_id}")).await;
        match mails.as_slice() {
            [mail] if mail["status"] == status => Ok(mail.clone()),
            _ => Err(format!("{mails:?}")),
        }
    })
    .await
}

#[tokio::test]
async fn an_answer_that_is_lost_costs_a_copy_with_the_same_id() {
    let server = SmtpServer::start([Verdict::TakeSilently]).await;
    let system = System::setup().mail_server(&server).start().await;
    let customer = system.customer().await;
    system.allow_repeated_mails();
    let mail = only_mail(&system, &customer.id, "sent").await;
    let copies: Vec<String> = system.mailbox.to(&customer.email).into_iter().map(|mail| mail.message_id).collect();
    assert_eq!(copies, [text(&mail, "message_id").trim_matches(['<', '>']); 2]);
    assert_eq!(number(&mail, "attempts"), 2);
    let doubtful = system.email.metric("warren_mails_total", &[("template", "welcome"), ("outcome", "in-doubt")]).await;
    assert_eq!(doubtful, Ok(Some(1.0)), "what may have been sent twice is counted");
    system.finish().await;
}

#[tokio::test]
async fn a_mail_that_is_not_taken_now_is_taken_later() {
    let server = SmtpServer::start([Verdict::NotNow]).await;
    let system = System::setup().mail_server(&server).start().await;
    let customer = system.customer().await;
    let mail = only_mail(&system, &customer.id, "sent").await;
    assert_eq!((server.refused(), number(&mail, "attempts")), (1, 2));
    assert_eq!(system.mailbox.to(&customer.email).len(), 1);
    system.finish().await;
}

#[tokio::test]
async fn a_mail_that_is_never_taken_has_failed_and_holds_nobody_up() {
    let server = SmtpServer::start([Verdict::Never]).await;
    let system = System::setup().mail_server(&server).start().await;
    let customer = system.customer().await;
    let failed = only_mail(&system, &customer.id, "failed").await;
    let error = text(&failed, "error");
    assert!(!error.is_empty());
    system.assert_impersonal("the error of a mail", error);
    let other = system.customer().await;
    only_mail(&system, &other.id, "sent").await;
    assert!(system.mailbox.to(&customer.email).is_empty());
    system.finish().await;
}

#[tokio::test]
async fn mails_wait_for_a_server_that_is_away() {
    let server = SmtpServer::start([]).await;
    let away = end_to_end::proxy::Proxy::to(server.address(), false).await;
    let url = format!("smtp://{}", away.address());
    let system = System::setup().mail_server(&server).env_of("email", "SMTP_URL", &url).start().await;
    let customers = [system.customer().await, system.customer().await];
    for customer in &customers {
        only_mail(&system, &customer.id, "queued").await;
    }
    let (_, checks) = system.email.checks().await.expect("email answers");
    assert_eq!(checks["consumer"], "ok", "only the sender waits: {checks}");
    away.mend();
    for customer in &customers {
        only_mail(&system, &customer.id, "sent").await;
    }
    eventually("each customer has one mail", NEXT_TRY, async || {
        let count = server.received().len();
        check(count == 2, || format!("{count} mails"))
    })
    .await;
    system.finish().await;
}
