//! Names and addresses are where they belong, and nowhere else: whatever goes wrong with them.
//!
//! Every test's audit looks for them in logs, metrics and headers of dead letters; this one gives them every occasion.

use end_to_end::broker::Message;
use end_to_end::collector::Collector;
use end_to_end::service::SERVICES;
use end_to_end::smtp::{SmtpServer, Verdict};
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn nothing_personal_is_told_whatever_goes_wrong() {
    let server = SmtpServer::start([Verdict::Never, Verdict::NotNow]).await;
    // What a developer would turn on to find out more.
    let collector = Collector::start().await;
    let system = System::setup()
        .mail_server(&server)
        .env("RUST_LOG", "debug")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
        .start()
        .await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let note = "tell-Canary-Smith-I-am-sorry";
    system.remember_personal(note);

    let api = system.order.api();
    api.post("/v1/customers", &json!({"name": customer.name, "email": customer.email}))
        .await
        .problem(409, "email-taken");
    api.post("/v1/customers", &json!({"name": customer.name, "email": 7})).await.problem(422, "invalid-body");
    api.post("/v1/customers", &json!({"name": customer.name, (&customer.email): 7})).await.problem(422, "invalid-body");
    api.get(&format!("/v1/orders?customer_id={}", customer.email)).await.problem(400, "invalid-query");
    api.get(&format!("/v1/customers/{}", customer.email)).await.problem(400, "invalid-path");
    let order = system.place(&customer, &[("tea", 1)]).await;
    let id = order["id"].as_str().expect("an id");
    system.settled(id).await;
    api.post(&format!("/v1/orders/{id}/cancel"), &json!({"reason": note})).await.expect(202);
    broken_events(&system, &[&customer.name, &customer.email]).await;

    eventually("the mails are settled", PATIENCE, async || {
        let mails = system.email.api().list(&format!("/v1/emails?customer_id={}", customer.id)).await;
        let settled = mails.iter().filter(|mail| mail["status"] == "sent" || mail["status"] == "failed").count();
        check(settled == 3, || format!("{mails:?}"))?;
        check(!Value::from(mails.clone()).to_string().contains(&customer.email), || {
            "an address is not masked".to_owned()
        })
    })
    .await;
    for name in SERVICES {
        let trace = system.service(name).api().get(&format!("/v1/ops/trace/{id}")).await;
        system.assert_impersonal(&format!("the trace of {name}"), &trace.body);
        // With it go the spans that it has not delivered yet.
        system.service(name).restart().await;
    }
    let spans = collector.spans();
    assert!(spans.iter().any(|span| span.attribute("error.type") == "malformed"), "{spans:#?}");
    for span in spans {
        system.assert_impersonal("a span", &format!("{span:?}"));
    }
    system.finish().await;
}

/// Events about a customer that are broken in ways that make a parser quote them.
async fn broken_events(system: &System, personal: &[&str]) {
    let customer_id = Uuid::now_v7().to_string();
    let mut event = json!({"specversion": "1.0", "id": Uuid::now_v7(), "source": "/warren/order", "type": "customer.registered",
        "dataschema": "urn:warren:customer.registered:1", "subject": customer_id, "sequence": "1", "time": "2026-01-15T10:30:00Z",
        "correlationid": "c", "data": {"customer_id": customer_id, "name": personal[0], "email": personal[1]}});
    let mut messages = vec![format!("{{{}", personal.join(" ")).into_bytes()];
    for (pointer, value) in [
        ("/data/customer_id", json!(personal[1])),
        ("/data/email", json!({personal[0]: personal[1]})),
        ("/subject", json!(personal[1])),
        ("/time", json!(personal[0])),
        ("/data", json!(personal)),
    ] {
        let right = std::mem::replace(event.pointer_mut(pointer).expect("it is there"), value);
        messages.push(event.to_string().into_bytes());
        *event.pointer_mut(pointer).expect("it is there") = right;
    }
    let count = messages.len();
    let messages: Vec<Message> = messages.into_iter().map(|body| Message { body, ..Message::default() }).collect();
    system.broker.publish("customer.registered", &messages).await;
    eventually("they are dead letters", PATIENCE, async || {
        let waiting = system.broker.waiting("email.dead").await;
        check(waiting == u32::try_from(count).ok(), || format!("{waiting:?} of {count}"))
    })
    .await;
    // Looks at their headers.
    system.take_dead("email").await;
}
