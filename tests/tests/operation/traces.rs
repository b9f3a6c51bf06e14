//! Traces as a collector gets them: one order is one tree of spans over all services.

use std::collections::BTreeMap;

use end_to_end::collector::{Collector, Span};
use end_to_end::shop::{order_of, text};
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use reqwest::Method;

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// What one order that goes well looks like; who comes first of those that are at the same place is of no account.
const TREE: &str = "\
order Server POST /v1/orders
  order Producer create order.created
    inventory Consumer process order.created
      inventory Producer create inventory.reserved
        inventory Client publish inventory.reserved
        order Consumer process inventory.reserved
          order Client charge
            order Producer create order.confirmed
              email Consumer process order.confirmed
                email Client hand over mail
              inventory Consumer process order.confirmed
              order Client publish order.confirmed
            order Producer create payment.completed
              order Client publish payment.completed
          order Producer create order.reserved
            order Client publish order.reserved
    order Client publish order.created
";

/// The spans beneath `parent`, as an indented text.
fn tree(spans: &[Span], parent: &str, depth: usize) -> String {
    let mut children: Vec<(String, &str)> = spans
        .iter()
        .filter(|span| span.parent_id == parent)
        .map(|span| (format!("{} {:?} {}", span.service, span.kind, span.name), span.span_id.as_str()))
        .collect();
    children.sort_unstable();
    let lines = children
        .into_iter()
        .map(|(line, id)| format!("{:indent$}{line}\n{}", "", tree(spans, id, depth + 1), indent = depth * 2));
    lines.collect()
}

#[tokio::test]
async fn one_order_is_one_tree_of_spans() {
    let collector = Collector::start().await;
    let system = System::setup().env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()).start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system
        .order
        .api()
        .call(Method::POST, "/v1/orders")
        .header("traceparent", &format!("00-{TRACE_ID}-{CALLER}-01"))
        .json(&order_of(&customer.id, &[("tea", 1)], "sandbox:ok"))
        .send()
        .await
        .expect(201);
    let id = text(&order, "id");
    system.settled(id).await;
    system.mails_told(&format!("order_id={id}"), 1).await;
    let spans = eventually("the collector has the whole tree", PATIENCE, async || {
        let spans = collector.trace(TRACE_ID);
        let tree = tree(&spans, CALLER, 0);
        check(tree == TREE, || format!("\n{tree}of {} spans", spans.len())).map(|()| spans)
    })
    .await;
    assert_eq!(spans.len(), TREE.lines().count(), "all spans of the trace are in the tree: {spans:#?}");
    assert!(spans.iter().all(|span| span.error.is_none()), "{spans:#?}");

    // The tree is what the events say: each names its creation.
    let history = system.history(id).await;
    for event in &history {
        let name = format!("create {}", text(event, "type"));
        let created = spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(text(event, "traceparent"), format!("00-{TRACE_ID}-{}-01", created.span_id));
        assert_eq!(created.attribute("messaging.message.id"), text(event, "id"));
        assert_eq!(created.attribute("cloudevents.event_subject"), id);
    }
    let named = |service: &str, name: &str| {
        let found = spans.iter().find(|span| span.service == service && span.name == name);
        found.unwrap_or_else(|| panic!("no {name} of {service}"))
    };
    let request = named("order", "POST /v1/orders");
    for (attribute, value) in
        [("http.request.method", "POST"), ("http.route", "/v1/orders"), ("http.response.status_code", "201")]
    {
        assert_eq!(request.attribute(attribute), value);
    }
    let processed = named("inventory", "process order.created");
    for (attribute, value) in [
        ("messaging.system", "rabbitmq"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "events:order.created:inventory"),
        ("messaging.message.id", text(&history[0], "id")),
        ("warren.outcome", "done"),
    ] {
        assert_eq!(processed.attribute(attribute), value);
    }
    system.finish().await;
}

/// A fault in a database that makes its service refuse an event.
const BREAK: &str = "
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused by the test'; end $$;
    create trigger refuse before insert on event for each row when (new.type = 'inventory.reserved') execute function refuse();
";
const REPAIR: &str = "drop trigger refuse on event; drop function refuse();";

#[tokio::test]
async fn a_delayed_retry_links_to_the_attempt_that_failed() {
    let collector = Collector::start().await;
    let system = System::setup()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
        .env("RETRY_DELAYS", "100ms,300ms,500ms,1s,2s,4s")
        .start()
        .await;
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
    system.database("inventory").execute(REPAIR).await;
    assert_eq!(text(&system.settled(id).await, "status"), "confirmed");

    let event = &system.history(id).await[0];
    let attempts = eventually("the collector has every attempt", PATIENCE, async || {
        let spans = collector.spans().into_iter();
        let of_event = |span: &Span| {
            span.name == "process order.created" && span.attribute("messaging.message.id") == text(event, "id")
        };
        let by_attempt = |span: Span| (span.attribute("warren.attempt").parse::<usize>().unwrap_or_default(), span);
        let attempts: BTreeMap<usize, Span> = spans.filter(of_event).map(by_attempt).collect();
        let last = attempts.values().next_back().filter(|last| last.attribute("warren.outcome") == "done");
        check(last.is_some(), || format!("{attempts:#?}")).map(|()| attempts)
    })
    .await;
    let numbers: Vec<usize> = attempts.keys().copied().collect();
    assert_eq!(numbers, Vec::from_iter(1..=attempts.len()), "each attempt is a span: {attempts:#?}");
    assert!(attempts.len() > 2, "{attempts:#?}");

    // All are children of the event's creation, none of another attempt.
    let created: Vec<&str> = text(event, "traceparent").split('-').collect();
    for (number, attempt) in &attempts {
        assert_eq!([&attempt.trace_id, &attempt.parent_id], [created[1], created[2]], "{attempt:#?}");
        let failed = attempts.get(&(number - 1)).map(|before| before.span_id.clone());
        assert_eq!(attempt.links, Vec::from_iter(failed), "{attempt:#?}");
        let is_last = *number == attempts.len();
        assert_eq!(attempt.attribute("warren.outcome"), if is_last { "done" } else { "retry" });
        assert_eq!(attempt.attribute("error.type"), if is_last { "" } else { "transient-exhausted" });
        assert_eq!(attempt.error.is_some(), !is_last);
    }
    system.finish().await;
}

#[tokio::test]
async fn what_is_recorded_is_delivered_before_a_stop_ends() {
    let collector = Collector::start().await;
    let system = System::setup()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("{}/", collector.url()))
        .env_of("inventory", "OTEL_SERVICE_NAME", "stock")
        .env_of("email", "OTEL_TRACES_SAMPLER", "always_off")
        .start()
        .await;
    for name in ["order", "inventory", "email"] {
        let service = system.service(name);
        service.api().get("/docs").await;
        service.restart().await;
    }
    let spans = collector.spans();
    let of = |service: &str| spans.iter().filter(|span| span.service == service).count();
    assert!(of("order") > 0 && of("stock") > 0, "{spans:#?}");
    assert_eq!((of("inventory"), of("email")), (0, 0), "the one has another name, the other records nothing");
    assert!(!spans.iter().any(|span| span.name.contains("/readyz")), "probes are not told of: {spans:#?}");
    system.finish().await;
}

#[tokio::test]
async fn a_collector_that_is_away_harms_nobody() {
    let system = System::setup().env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1").start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    assert_eq!(text(&system.settled(text(&order, "id")).await, "status"), "confirmed");
    eventually("order counts what it drops", PATIENCE, async || {
        let dropped = system.order.metric("warren_spans_dropped_total", &[]).await?;
        check(dropped > Some(0.0), || format!("{dropped:?}"))
    })
    .await;
    let told = |service: &str| system.service(service).log().matches("traces do not reach the collector").count();
    assert_eq!(told("order"), 1, "it is told of once");
    system.finish().await;
}
