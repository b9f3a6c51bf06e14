//! What the saga costs without its database: deciding, applying, and folding a history.
#![allow(missing_docs, reason = "the macros of criterion document nothing")]

use std::hint::black_box;

use chrono::Utc;
use contracts::money::{Currency, Money};
use contracts::values::{CustomerId, EventId, OrderId};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use messaging::event_log::LoggedEvent;
use order::history::{Point, fold};
use order::order::command::{Command, PaymentResult, decide};
use order::order::{Line, Order, OrderEvent};

fn euros(amount: i64) -> Money {
    Money::new(amount, Currency::EUR).expect("a price is not negative")
}

/// An order of two lines, as it has just been placed.
fn placed() -> Order {
    let line = |sku: &str| Line {
        sku: sku.parse().expect("a sku"),
        name: sku.to_owned(),
        quantity: 1.try_into().expect("a quantity"),
        unit_price: euros(250),
    };
    let lines = vec![line("load-0001"), line("load-0002")];
    Order::place(CustomerId::new(), lines, euros(500), "sandbox:ok".to_owned(), OrderId::new(), Utc::now())
}

fn pay() -> Command {
    Command::Pay(PaymentResult { payment_id: "0198c0de-0000-7000-8000-000000000001".to_owned(), amount: euros(500) })
}

/// Obeys a command, and returns what happened.
fn obey(order: &mut Order, command: &Command) -> Vec<OrderEvent> {
    let events = decide(order, command).expect("the command fits");
    for event in &events {
        order.apply(event, order.head().next(Utc::now()), None);
    }
    events
}

fn data(event: &OrderEvent) -> String {
    let json = match event {
        OrderEvent::Created(event) => serde_json::to_string(event),
        OrderEvent::Reserved(event) => serde_json::to_string(event),
        OrderEvent::PaymentCompleted(event) => serde_json::to_string(event),
        OrderEvent::PaymentFailed(event) => serde_json::to_string(event),
        OrderEvent::PaymentRefunded(event) => serde_json::to_string(event),
        OrderEvent::Confirmed(event) => serde_json::to_string(event),
        OrderEvent::Cancelled(event) => serde_json::to_string(event),
    };
    json.expect("an event can be written")
}

/// A confirmed order, and its log.
fn history() -> (Order, Vec<LoggedEvent>) {
    let mut order = placed();
    let mut events = vec![OrderEvent::Created(order.created())];
    events.extend(obey(&mut order, &Command::Reserve));
    events.extend(obey(&mut order, &pay()));
    let logged = |(sequence, event): (i64, &OrderEvent)| LoggedEvent {
        position: sequence,
        id: EventId::new(),
        subject: order.id.to_string(),
        sequence,
        event_type: event.name().to_owned(),
        // of each type, the newest version
        version: if matches!(event, OrderEvent::Created(_)) { 2 } else { 1 },
        time: if sequence == 1 { order.created_at } else { order.updated_at },
        correlation_id: "0198c0de".to_owned(),
        causation_id: None,
        traceparent: None,
        data: data(event),
    };
    let log = (1..).zip(&events).map(logged).collect();
    (order, log)
}

fn saga(criterion: &mut Criterion) {
    let order = placed();
    criterion.bench_function("decide: stock is held", |bencher| {
        bencher.iter(|| decide(black_box(&order), &Command::Reserve));
    });
    let (mut reserved, pay) = (placed(), pay());
    obey(&mut reserved, &Command::Reserve);
    criterion.bench_function("decide: the payment came", |bencher| {
        bencher.iter(|| decide(black_box(&reserved), &pay));
    });
    criterion.bench_function("decide and apply: from placed to confirmed", |bencher| {
        let run = |mut order: Order| (obey(&mut order, &Command::Reserve), obey(&mut order, &pay), order);
        bencher.iter_batched(|| order.clone(), run, BatchSize::SmallInput);
    });
}

fn replay(criterion: &mut Criterion) {
    let (order, log) = history();
    let last = Point::Version(order.version);
    assert_eq!(fold(&log, &order, last).expect("a history").as_ref(), Some(&order));
    criterion.bench_function("fold: the four events of a confirmed order", |bencher| {
        bencher.iter(|| fold(black_box(&log), &order, last));
    });
}

criterion_group!(benches, saga, replay);
criterion_main!(benches);
