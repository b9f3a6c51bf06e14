//! Ten thousand orders on random ways, and one order with a history of ten thousand events.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use contracts::money::{Currency, Money};
use contracts::values::{CustomerId, OrderId};
use futures_util::future::join_all;
use messaging::context::Context;
use messaging::event_log;
use messaging::tx::Database;
use order::desk::{Desk, Wish};
use order::history::verify::verify;
use order::history::{Point, fold};
use order::metrics::Metrics;
use order::order::Order;
use order::order::command::{Command, PaymentResult};
use order::saga::{Step, advance};
use order::store;
use order::workers::projections::{all, rebuild, step};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::shop::Shop;

/// How many orders are driven.
const ORDERS: usize = 10_000;

/// Orders that move in one transaction.
const TOGETHER: usize = 250;

/// How often each order is asked for something, on average.
const COMMANDS: usize = 7;

fn context() -> Context {
    Context { correlation_id: "test".into(), causation_id: None, traceparent: None }
}

/// Random numbers that are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }

    /// Anything that may be asked of an order or told it, in an order that makes no sense as often as in one that does.
    fn command(&mut self, order_id: OrderId) -> Command {
        let amount = Money::new(1000, Currency::EUR).unwrap();
        let payment = |dice: &mut Self| PaymentResult { payment_id: format!("{order_id}-{}", dice.below(3)), amount };
        match self.below(14) {
            0..4 => Command::Reserve,
            4 => Command::RunOut,
            5..8 => Command::Pay(payment(self)),
            8 => Command::FailPayment(payment(self), "declined".into()),
            9 => Command::GiveUp,
            10..13 => Command::Refund(payment(self)),
            _ => Command::Cancel((self.below(2) == 0).then(|| format!("note {}", self.below(100)))),
        }
    }
}

async fn place(shop: &Shop, dice: &mut Dice, count: usize) -> Vec<OrderId> {
    let mut customers: Vec<CustomerId> = Vec::new();
    for index in 0..20 {
        customers.push(shop.customer(&format!("{index}@example.com")).await.parse().unwrap());
    }
    let (desk, clerks) = Desk::open(shop.database.clone());
    let clerks = tokio::spawn(clerks);
    for _ in 0..count.div_ceil(500) {
        let wishes: Vec<Wish> = (0..500.min(count))
            .map(|_| Wish {
                customer_id: customers[dice.below(customers.len())],
                lines: ["tea", "cup"]
                    .into_iter()
                    .take(1 + dice.below(2))
                    .map(|sku| (sku.parse().unwrap(), i64::try_from(1 + dice.below(9)).unwrap().try_into().unwrap()))
                    .collect(),
                payment_method: ["sandbox:ok", "sandbox:declined", "sandbox:manual"][dice.below(3)].to_owned(),
                key: None,
                context: context(),
            })
            .collect();
        let placed = join_all(wishes.into_iter().map(|wish| desk.place(wish))).await;
        assert!(placed.iter().all(Result::is_ok), "{placed:?}");
    }
    drop(desk);
    clerks.await.unwrap();
    let mut conn = shop.pool().acquire().await.unwrap();
    store::order::ids_after(&mut conn, None, i64::try_from(count).unwrap()).await.unwrap()
}

/// Drives orders on random ways, and returns each row that was seen on the way.
async fn drive(database: &Database, ids: &[OrderId], dice: &mut Dice) -> BTreeMap<(OrderId, i64), Order> {
    let mut seen = BTreeMap::new();
    let mut note = |orders: Vec<Order>| seen.extend(orders.into_iter().map(|order| ((order.id, order.version), order)));
    for chunk in ids.chunks(1000) {
        note(store::order::read(&mut database.pool().acquire().await.unwrap(), chunk).await.unwrap());
    }
    for _ in 0..COMMANDS * ids.len() / TOGETHER {
        let first = dice.below(ids.len());
        let steps: Vec<Step> = (0..TOGETHER)
            .map(|index| ids[(first + index * 37) % ids.len()])
            .map(|order_id| Step { order_id, command: dice.command(order_id), context: context() })
            .collect();
        let mut tx = database.begin(context()).await.unwrap();
        advance(&mut tx, &steps).await.unwrap();
        tx.commit().await.unwrap();
        let moved: Vec<OrderId> = steps.iter().map(|step| step.order_id).collect();
        note(store::order::read(&mut database.pool().acquire().await.unwrap(), &moved).await.unwrap());
    }
    seen
}

/// Keeps the read models and builds them anew, again and again, until told to stop; returns how often.
async fn keep_and_rebuild(shop: &Shop, stop: &CancellationToken) -> usize {
    let projections = all(&Metrics::register(&mut Registry::default()));
    let follow = async {
        while !stop.is_cancelled() {
            for projection in &projections {
                step(projection.as_ref(), shop.pool()).await.unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    let again = async {
        let mut conn = shop.pool().acquire().await.unwrap();
        let mut times = 0;
        while !stop.is_cancelled() {
            for projection in &projections {
                rebuild::rebuild(projection.as_ref(), &mut conn, &mut |_| {}).await.unwrap();
            }
            times += 1;
        }
        times
    };
    tokio::join!(follow, again).1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_orders_on_random_ways_are_their_histories_at_every_version() {
    let shop = Shop::open().await;
    let mut dice = Dice(2026);
    let ids = place(&shop, &mut dice, ORDERS).await;
    assert_eq!(ids.len(), ORDERS);
    let stop = CancellationToken::new();
    let driving = async {
        let seen = drive(&shop.database, &ids, &mut dice).await;
        stop.cancel();
        seen
    };
    let (seen, rebuilt) = tokio::join!(driving, keep_and_rebuild(&shop, &stop));
    assert!(rebuilt > 0, "nothing was built anew under load");

    let mut conn = shop.pool().acquire().await.unwrap();
    let mut versions = 0;
    let mut reached = BTreeMap::<String, usize>::new();
    for chunk in ids.chunks(500) {
        let subjects: Vec<String> = chunk.iter().map(ToString::to_string).collect();
        let histories = event_log::histories(&mut conn, &subjects).await.unwrap();
        for current in store::order::read(&mut conn, chunk).await.unwrap() {
            let history = &histories[&current.id.to_string()];
            for version in 1..=current.version {
                let then = fold(history, &current, Point::Version(version)).unwrap().unwrap();
                assert_eq!(then.version, version);
                if let Some(row) = seen.get(&(current.id, version)) {
                    assert_eq!(&then, row, "{} as it was in version {version}", current.id);
                    versions += 1;
                }
                let at = history[usize::try_from(version - 1).unwrap()].time;
                let last = history.iter().rposition(|event| event.time <= at).unwrap() + 1;
                let by_time = fold(history, &current, Point::Time(at)).unwrap().unwrap();
                assert_eq!(by_time.version, i64::try_from(last).unwrap());
            }
            *reached.entry(format!("{:?} {:?}", current.status, current.cancel_reason)).or_default() += 1;
        }
    }
    assert!(versions > 2 * ORDERS, "only {versions} rows were seen on the way");
    assert!(reached.len() >= 6 && reached.values().all(|count| *count > 10), "not every way was taken: {reached:?}");

    let found = verify(&mut conn, &mut |_| {}).await.unwrap();
    assert_eq!((found.orders, found.drifted), (ORDERS as u64, vec![]));
    for projection in all(&Metrics::register(&mut Registry::default())) {
        let found = rebuild::verify(projection.as_ref(), &mut conn, &mut |_| {}).await.unwrap();
        assert_eq!((found.rows, found.examples), (0, vec![]), "{}", projection.name());
    }
}

/// A history of that length is a hundred times what any order has: it grows by payments that the order does not want, and
/// that go back. What it costs to read is what snapshots would save.
#[tokio::test]
async fn a_history_of_ten_thousand_events_is_read_without_snapshots() {
    let mut shop = Shop::open().await;
    let id = shop.reserved_order("sandbox:manual").await;
    shop.cancel(id).await;
    let amount = Money::new(1000, Currency::EUR).unwrap();
    for batch in 0..20 {
        let steps = (0..250).flat_map(|index| {
            let result = PaymentResult { payment_id: format!("pay-{batch}-{index}"), amount };
            [Command::Pay(result.clone()), Command::Refund(result)].map(|command| Step {
                order_id: id,
                command,
                context: context(),
            })
        });
        let mut tx = shop.database.begin(context()).await.unwrap();
        advance(&mut tx, &steps.collect::<Vec<_>>()).await.unwrap();
        tx.commit().await.unwrap();
    }
    let order = shop.order(id).await;
    assert_eq!(order.version, 10_003);

    let mut conn = shop.pool().acquire().await.unwrap();
    let (mut reading, mut folding) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        let start = Instant::now();
        let events = event_log::history(&mut conn, &id.to_string()).await.unwrap();
        reading = reading.min(start.elapsed());
        let start = Instant::now();
        let folded = fold(&events, &order, Point::Version(10_003)).unwrap();
        folding = folding.min(start.elapsed());
        assert_eq!(folded.as_ref(), Some(&order));
    }
    drop(conn);
    let start = Instant::now();
    let shown = shop.get(&format!("/v1/orders/{id}?version=5000")).await;
    let answered = start.elapsed();
    assert_eq!(shown["version"], 5000);
    // with --nocapture: the figures of docs/adr/0010-no-snapshots.md
    eprintln!("10,003 events: read in {reading:?}, folded in {folding:?}; an old version is answered in {answered:?}");
    assert!(reading + folding < Duration::from_secs(5), "{reading:?} {folding:?}");
}
