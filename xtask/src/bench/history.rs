//! A long history against none: what it does to POST, to the relay, to reading one order and to lists.

mod generate;

use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::figures::{Figures, Goal};
use super::load::{Load, Moment};
use super::reads::Reader;
use super::sizes::Sizes;
use super::world::World;
use crate::infra::private::Action;
use crate::infra::{Infra, Server};
use crate::process;
use crate::services::Service;

const OTHERS: [Service; 2] = [Service::Inventory, Service::Email];

/// At least this share of the empty database's speed.
const GOAL: Goal = Goal::AtLeast(0.8);

/// What is measured twice; more is better.
struct Speeds(Vec<(&'static str, Option<f64>, &'static str)>);

/// Measures.
///
/// # Errors
/// When something does not start, or a load finds a broken promise.
pub(super) fn measure(sizes: &Sizes, figures: &mut Figures) -> Result<()> {
    let mut world = World::new(sizes, Vec::new())?;
    if matches!(world.ground.infra, Infra::External(_)) {
        bail!("a history is made in databases of our own only");
    }
    world.load(&Load::closed("warming up", sizes.warm_up, sizes.concurrency))?;
    let empty = speeds(&mut world, sizes, "without a history")?;
    world.stop(&Service::ALL);
    let orders = generate::generate(&world, sizes.history)?;
    world.start(&Service::ALL)?;
    world.load(&Load::closed("warming up", sizes.warm_up, sizes.concurrency))?;
    let full = speeds(&mut world, sizes, "with a history")?;

    // what is kept of it is not small: the number stands among the figures
    figures.note("orders of the history", orders as f64, "");
    for ((name, before, unit), (_, after, _)) in empty.0.into_iter().zip(full.0) {
        figures.note(&format!("{name}, without a history"), before, unit);
        figures.note(&format!("{name}, with it"), after, unit);
        let ratio = before.zip(after).map(|(before, after)| after / before);
        figures.judge(&format!("{name}, with a history against without"), ratio, "×", GOAL);
    }
    Ok(())
}

/// Orders are accepted while everybody else is away, then the relay publishes them, then they go their way, then it is read.
fn speeds(world: &mut World, sizes: &Sizes, name: &str) -> Result<Speeds> {
    let mut relayed = None;
    let load = Load::closed(name, sizes.orders, sizes.concurrency);
    let report = world.load_with_stops(&load, |world, moment| {
        match moment {
            Moment::Ready => {
                world.stop(&OTHERS);
                broker(world, Action::Stop)?;
            }
            Moment::Placed => {
                broker(world, Action::Start)?;
                relayed = relay(world)?;
                world.start(&OTHERS)?;
            }
            Moment::Settled => {}
        }
        Ok(())
    })?;
    let mut speeds = vec![("POST", report.accepted(), "/s"), ("relay", relayed, "events/s")];
    for (name, paths) in paths(world, sizes)? {
        let address = world.ground.addresses.to_call(Service::Order);
        let mut reader = Reader::connect(&address, world.token.as_deref().unwrap_or_default())?;
        process::say(&format!("reading: {name}"));
        speeds.push((name, Some(1000.0 / reader.median(&paths)?), "/s"));
    }
    Ok(Speeds(speeds))
}

/// Does something to the broker, if it is ours.
fn broker(world: &World, action: Action) -> Result<()> {
    match &world.ground.infra {
        Infra::Private(private) => private.act(Server::Broker, action),
        Infra::External(_) => Ok(()),
    }
}

/// Events per second that the relay publishes of those that wait; counted from when it has begun, since it first has to find
/// the broker again. None where there was nothing to see.
fn relay(world: &World) -> Result<Option<f64>> {
    const WAITING: &str = "select count(*) from event e, follower f where f.name = 'relay'
        and e.xid >= pg_snapshot_xmin(f.prev) and not pg_visible_in_snapshot(e.xid, f.prev) and e.position > f.position";
    let waiting = || world.number(Service::Order, WAITING);
    let all = waiting()?;
    let (mut begun, mut left) = (None, all);
    process::wait_until("the relay", std::time::Duration::from_secs(600), || {
        left = waiting()?;
        if begun.is_none() && left < all {
            begun = Some((Instant::now(), left));
        }
        Ok(left == 0)
    })?;
    Ok(begun.filter(|(_, left)| *left > 0).map(|(since, left)| left as f64 / since.elapsed().as_secs_f64()))
}

/// What is read: orders from all over the history, and the lists that people look at.
fn paths(world: &World, sizes: &Sizes) -> Result<Vec<(&'static str, Vec<String>)>> {
    let rows = |sql: &str| -> Result<Vec<String>> {
        let rows = world.ground.infra.sql(Service::Order.name(), sql)?;
        Ok(rows.lines().map(str::to_owned).collect())
    };
    let any = rows(&format!("select '/v1/orders/' || id from orders order by md5(id::text) limit {}", sizes.reads))?;
    // those of the load that was last, so that the pages are full in both cases
    let customers = rows(
        "select '/v1/orders?customer_id=' || customer_id from (select id, customer_id from orders order by id desc limit 1000)
         as newest group by customer_id order by max(id::text) desc limit 100",
    )?;
    let again = |path: &str| vec![path.to_owned(); customers.len()];
    customers.first().context("there are no orders")?;
    Ok(vec![
        ("GET of one order", any),
        ("list of the newest orders", again("/v1/orders")),
        ("list of the confirmed orders", again("/v1/orders?status=confirmed")),
        ("list of a customer's orders", customers),
    ])
}
