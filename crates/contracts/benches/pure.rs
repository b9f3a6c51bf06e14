//! What a message costs before its handler sees it: reading the envelope, decoding the event, upcasting an old one.
#![allow(missing_docs, reason = "the macros of criterion document nothing")]

use std::hint::black_box;

use contracts::envelope::Envelope;
use contracts::event::Event;
use contracts::inventory::InventoryReserved;
use contracts::order::{OrderConfirmed, OrderCreated};
use criterion::{Criterion, criterion_group, criterion_main};

const CREATED: &str = include_str!("../fixtures/order.created.v2.json");
const CREATED_V1: &str = include_str!("../fixtures/order.created.v1.json");
const CONFIRMED: &str = include_str!("../fixtures/order.confirmed.v1.json");
const RESERVED: &str = include_str!("../fixtures/inventory.reserved.v1.json");

/// An envelope as it travels: without the fixtures' white space.
fn wire(fixture: &str) -> Vec<u8> {
    let value: serde_json::Value = serde_json::from_str(fixture).expect("a fixture is JSON");
    serde_json::to_vec(&value).expect("JSON can be written")
}

fn decode<E: Event>(bytes: &[u8]) -> E {
    Envelope::from_json(bytes).and_then(|envelope| envelope.event()).expect("a fixture is an event")
}

fn reading(criterion: &mut Criterion) {
    let created = wire(CREATED);
    criterion.bench_function("envelope: order.created, its data untouched", |bencher| {
        bencher.iter(|| Envelope::from_json(black_box(&created)));
    });
    criterion.bench_function("decode: order.created", |bencher| {
        bencher.iter(|| decode::<OrderCreated>(black_box(&created)));
    });
    let confirmed = wire(CONFIRMED);
    criterion.bench_function("decode: order.confirmed", |bencher| {
        bencher.iter(|| decode::<OrderConfirmed>(black_box(&confirmed)));
    });
    let reserved = wire(RESERVED);
    criterion.bench_function("decode: inventory.reserved", |bencher| {
        bencher.iter(|| decode::<InventoryReserved>(black_box(&reserved)));
    });
    let old = wire(CREATED_V1);
    criterion.bench_function("upcast: order.created of version 1", |bencher| {
        bencher.iter(|| decode::<OrderCreated>(black_box(&old)));
    });
}

fn writing(criterion: &mut Criterion) {
    let created = wire(CREATED);
    let envelope = Envelope::from_json(&created).expect("a fixture is an envelope");
    let event: OrderCreated = decode(&created);
    criterion.bench_function("encode: the data of order.created", |bencher| {
        bencher.iter(|| serde_json::to_string(black_box(&event)));
    });
    criterion.bench_function("encode: the envelope around it", |bencher| {
        bencher.iter(|| serde_json::to_vec(black_box(&envelope)));
    });
}

criterion_group!(benches, reading, writing);
criterion_main!(benches);
