//! The subscriber with messages good and bad.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use contracts::event::MAX_EVENT_BYTES;
use contracts::order::CustomerRegistered;
use contracts::values::{CustomerId, EventId};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString};
use messaging::harness::TestDatabase;

use crate::support::broker::Broker;
use crate::support::events::{changed, count, message, properties, registered};
use crate::support::node::{Node, Options, topology};
use crate::support::tap::{Letter, Tap};
use crate::support::work::{Plan, effects, has_processed, takes_effect, with_effects};
use crate::support::{MIGRATOR, SOON, eventually, is, logs};

/// Values that must appear in no log line and no header.
const PERSONAL: [&str; 2] = ["Ada Geheim", "ada.geheim@example.com"];

type Message = (&'static str, Vec<u8>, BasicProperties);

struct World {
    broker: Broker,
    database: TestDatabase,
    plan: Arc<Plan>,
}

impl World {
    async fn new() -> Self {
        let world = Self {
            broker: Broker::with(&topology()).await,
            database: TestDatabase::create(&MIGRATOR).await,
            plan: Plan::new(),
        };
        with_effects(world.database.pool()).await;
        world
    }

    async fn email(&self) -> Node {
        let node = self.broker.urls();
        let node = Node::start(node, self.database.pool(), self.plan.subscriptions(), Options::default()).await;
        node.is_well("consumer").await;
        node
    }
}

/// A registration that the handler deals with by plan.
fn planned(name: &str) -> (EventId, Message) {
    let event = CustomerRegistered { email: PERSONAL[1].to_owned(), ..registered(CustomerId::new(), name) };
    message(&event)
}

fn with_body((id, (key, _, properties)): (EventId, Message), body: Vec<u8>) -> (EventId, Message) {
    (id, (key, body, properties))
}

fn edited((id, (key, body, properties)): (EventId, Message), from: &str, to: &str) -> (EventId, Message) {
    let body = String::from_utf8(body).expect("JSON is UTF-8");
    assert!(body.contains(from));
    (id, (key, body.replace(from, to).into_bytes(), properties))
}

/// One message for each way to fail for good: what it is, its error kind, its handler, and after how many attempts.
fn poison() -> Vec<(EventId, Message, &'static str, &'static str, u32)> {
    let unnamed = edited(planned("good"), r#""name":"good""#, &format!(r#""nam":"{}""#, PERSONAL[0]));
    let strange = edited(planned("good"), "customer.registered", "customer.vanished");
    let (other_id, other) = message(&changed(CustomerId::new(), PERSONAL[0]));
    let newer = edited(planned("good"), "customer.registered:1", "customer.registered:99");
    let large = with_body(planned("good"), vec![b'x'; MAX_EVENT_BYTES + 1]);
    let kinds = [
        (planned("reject"), "rejected", "Work", 1),
        (with_body(planned("good"), b"Ada Geheim".to_vec()), "malformed", "decode", 1),
        (unnamed, "malformed", "Work", 1),
        (large, "too-large", "decode", 1),
        (planned("again"), "transient-exhausted", "Work", 3),
        (planned("sqlstate"), "transient-exhausted", "Work", 3),
        (planned("panic"), "crashed-consumer", "Work", 3),
        (strange, "unknown-type", "decode", 3),
        ((other_id, other), "unknown-type", "decode", 3),
        (newer, "unsupported-version", "Work", 3),
    ];
    kinds.into_iter().map(|((id, message), kind, handler, attempts)| (id, message, kind, handler, attempts)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_message_harms_no_neighbour_and_becomes_a_dead_letter_that_says_why() {
    logs::keep();
    let world = World::new().await;
    let tap = Tap::on(&world.broker, "email.dead").await;
    let poison = poison();
    let (mut good, mut messages) = (Vec::new(), Vec::new());
    for (_, message, ..) in &poison {
        for (id, neighbour) in (0..6).map(|_| planned("good")) {
            good.push(id);
            messages.push(neighbour);
        }
        messages.push(message.clone());
    }
    world.broker.publish(&messages).await;
    let node = world.email().await;
    for id in &good {
        takes_effect(world.database.pool(), *id).await;
        assert_eq!(node.processed("customer.registered", "duplicate"), 0);
    }
    let letters = tap.until(poison.len()).await;
    assert_eq!(letters.len(), poison.len());
    let letters: BTreeMap<String, Letter> = letters.into_iter().map(|letter| (letter.id(), letter)).collect();
    for (id, (key, body, _), kind, handler, attempts) in &poison {
        let letter = &letters[&id.to_string()];
        assert_says_why(letter, kind, handler, *attempts);
        assert_eq!((letter.header("original-routing-key").as_deref(), &letter.body), (Some(*key), body), "{kind}");
        assert_eq!(effects(world.database.pool(), *id).await, 0, "{kind}");
    }
    // each good one was counted once, and nobody but the culprits was charged an attempt
    eventually(SOON, async || is(node.processed("customer.registered", "done"), good.len() as u64)).await;
    assert_eq!(node.retries(), 2 * poison.iter().filter(|(.., attempts)| *attempts == 3).count() as u64);
    // each delivery of what the service does not know is counted
    let unknown =
        poison.iter().filter(|(_, _, kind, ..)| *kind == "unknown-type").map(|(.., attempts)| u64::from(*attempts));
    eventually(SOON, async || is(node.metrics.unknown_events.get(), unknown.clone().sum())).await;
    assert_eq!(world.broker.waiting_in("email").await, 0);
    node.stop().await;
    assert!(!logs::with("message failed").is_empty());
    for value in PERSONAL {
        assert_eq!(logs::with(value), [""; 0], "personal values are in the log");
    }
}

fn assert_says_why(letter: &Letter, kind: &str, handler: &str, attempts: u32) {
    let header = |name: &str| letter.header(name).unwrap_or_else(|| panic!("no {name}: {letter:?}"));
    assert_eq!((header("error-kind").as_str(), header("handler").as_str()), (kind, handler));
    assert_eq!(header("attempt"), attempts.to_string(), "{kind}");
    assert!(header("first-failed-at") <= header("failed-at"), "{kind}");
    assert_eq!(header("first-failed-at") == header("failed-at"), attempts == 1, "{kind}");
    assert!(header("failed-host").ends_with(&format!(":{}", std::process::id())), "{kind}");
    assert!(!header("error").is_empty(), "{kind}");
    let p = &letter.properties;
    assert_eq!(p.app_id().as_ref().map(|id| id.as_str()), Some("order"), "{kind}");
    assert_eq!(p.correlation_id().as_ref().map(|id| id.as_str()), Some("a-request"), "{kind}");
    assert_eq!((p.kind().is_some(), p.content_type().is_some(), *p.delivery_mode()), (true, true, Some(2)), "{kind}");
    for (name, value) in p.headers().as_ref().expect("headers").inner() {
        let text = format!("{name}={value:?}");
        assert!(!name.as_str().starts_with("x-"), "{text}");
        assert!(PERSONAL.iter().all(|value| !text.contains(value)), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transient_failure_climbs_the_ladder_and_succeeds() {
    let world = World::new().await;
    let node = world.email().await;
    let (id, message) = planned("again 2");
    world.broker.publish(&[message]).await;
    takes_effect(world.database.pool(), id).await;
    has_processed(&node, "customer.registered", "done", 1).await;
    assert_eq!((node.retries(), node.processed("customer.registered", "retry")), (2, 2));
    let pauses = world.plan.pauses(id);
    let least = [100, 200].map(Duration::from_millis);
    assert!(pauses.len() == 2 && pauses.iter().zip(least).all(|(pause, least)| *pause >= least), "{pauses:?}");
    assert_eq!(world.broker.waiting_in("email.dead").await, 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_takes_effect_once_however_often_it_comes() {
    let world = World::new().await;
    let (first, second) = (planned("good"), planned("good"));
    let (_, message) = &first;
    // in one batch, and in several
    world.broker.publish(&[message.clone(), message.clone(), second.1.clone(), message.clone()]).await;
    let node = world.email().await;
    has_processed(&node, "customer.registered", "done", 2).await;
    world.broker.publish(&[message.clone(), second.1.clone()]).await;
    has_processed(&node, "customer.registered", "duplicate", 4).await;
    for (id, _) in [first, second] {
        assert_eq!(effects(world.database.pool(), id).await, 1);
    }
    assert_eq!((node.retries(), node.processed("customer.registered", "done")), (0, 2));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_copies_that_get_the_same_messages_do_not_repeat_the_effect() {
    let world = World::new().await;
    let nodes = [world.email().await, world.email().await];
    let messages: Vec<_> = (0..100).map(|_| planned("good")).collect();
    let twice = messages.iter().flat_map(|(_, message)| [message.clone(), message.clone()]);
    world.broker.publish(&twice.collect::<Vec<_>>()).await;
    eventually(SOON, async || {
        let all: u64 = nodes
            .iter()
            .flat_map(|node| ["done", "duplicate"].map(|outcome| node.processed("customer.registered", outcome)))
            .sum();
        is(all, 200)
    })
    .await;
    assert_eq!(count(world.database.pool(), "select count(*) from effect").await, 100);
    assert_eq!(count(world.database.pool(), "select count(distinct event) from effect").await, 100);
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_age_is_measured_from_the_event_and_not_from_the_second_it_fell_in() {
    let world = World::new().await;
    let node = world.email().await;
    let (id, message) = planned("good");
    let unreadable = with_body(planned("good"), b"{}".to_vec());
    world.broker.publish(&[message, unreadable.1]).await;
    takes_effect(world.database.pool(), id).await;
    has_processed(&node, "customer.registered", "dead", 1).await;
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register("age", "of messages", node.metrics.age_seconds.clone());
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
    let number = |line: &str| -> f64 {
        let line = text.lines().find(|found| found.starts_with(line)).unwrap_or_else(|| panic!("no {line}: {text}"));
        line.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number")
    };
    assert_eq!(number("age_count"), 1.0, "the unreadable one has no age");
    assert!(number("age_sum") > 0.0 && number("age_sum") < SOON.as_secs_f64());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_would_not_fit_a_frame_again_hold_nothing_up() {
    let world = World::new().await;
    let tap = Tap::on(&world.broker, "email.dead").await;
    let node = world.email().await;
    let mut headers = FieldTable::default();
    for number in 0..110 {
        headers.insert(format!("filler-{number:03}").into(), AMQPValue::LongString("x".repeat(1000).into()));
    }
    let mut nested = FieldTable::default();
    nested.insert("tenant".into(), AMQPValue::LongString("a".into()));
    headers.insert("baggage".into(), AMQPValue::FieldTable(nested.clone()));
    headers.insert("bytes".into(), AMQPValue::ByteArray(b"\xff\x00".to_vec().into()));
    headers.insert("x-death".into(), AMQPValue::LongString(LongString::from("forged")));
    headers.insert("attempt".into(), AMQPValue::LongLongInt(-7));
    let id = EventId::new();
    let of = |id| {
        properties(id, "customer.registered")
            .with_headers(headers.clone())
            .with_priority(3)
            .with_expiration("60000".into())
    };
    let again = planned("again");
    let messages = [("customer.registered", b"{}".to_vec(), of(id)), ("customer.registered", again.1.1, of(again.0))];
    world.broker.publish(&messages).await;
    for letter in tap.until(2).await {
        let kept = letter.properties.headers().clone().expect("headers");
        let fillers = kept.inner().keys().filter(|name| name.as_str().starts_with("filler-")).count();
        assert!((50..70).contains(&fillers), "{fillers} of 110");
        assert_eq!(kept.inner().get("baggage"), Some(&AMQPValue::FieldTable(nested.clone())));
        assert!(kept.inner().contains_key("bytes") && !kept.inner().contains_key("x-death"));
        assert_eq!(letter.header("attempt"), Some(if letter.id() == id.to_string() { "1" } else { "3" }.to_owned()));
        assert_eq!((*letter.properties.priority(), letter.properties.expiration()), (Some(3), &None));
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_without_properties_is_a_dead_letter_too() {
    let world = World::new().await;
    let tap = Tap::on(&world.broker, "email.dead").await;
    let node = world.email().await;
    let bare = BasicProperties::default();
    world
        .broker
        .publish(&[("customer.registered", Vec::new(), bare.clone()), ("customer.registered", b"[]".to_vec(), bare)])
        .await;
    let letters = eventually(SOON, async || {
        let letters = tap.letters();
        if letters.len() >= 2 { Ok(letters) } else { Err(format!("{} of 2", letters.len())) }
    })
    .await;
    assert_eq!(
        letters.iter().map(|letter| letter.header("error-kind")).collect::<Vec<_>>(),
        vec![Some("malformed".to_owned()); 2]
    );
    node.stop().await;
}
