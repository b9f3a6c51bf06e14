//! Makes a history of orders straight in the tables of the three databases, all at once and so that `warren audit` finds
//! nothing wrong: confirmed orders of two lines each, over the last twenty days.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow, bail};

use crate::bench::world::World;
use crate::process;
use crate::services::Service;

const COMMON: &str = include_str!("common.sql");
const END: &str = include_str!("end.sql");

/// How far it reaches back: not as far as anything is pruned, so that the measurement has the tables for itself.
const SPAN: Duration = Duration::from_secs(20 * 24 * 60 * 60);

/// When it ended: on a day before the first order of the load, since it brings rows per day.
const AGO: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// Orders of one customer.
const PER_CUSTOMER: u64 = 20;

/// What an order takes in the three databases, indexes and the log of their changes included.
const BYTES_OF_AN_ORDER: u64 = 12_000;

/// Up to so many orders the history is audited before it is used: that reads all of it several times.
const AUDITED: u64 = 200_000;

/// Makes so many orders, or as many as half of the free disk has room for, and returns how many. No service may run.
///
/// # Errors
/// When a database refuses, or the audit finds something.
pub(super) fn generate(world: &World, wanted: u64) -> Result<u64> {
    let room = free_bytes(world)?.map_or(u64::MAX, |bytes| bytes / 2 / BYTES_OF_AN_ORDER);
    let orders = wanted.min(room);
    if orders < wanted {
        process::say(&format!("the disk has room for a history of {orders} orders, not of {wanted}"));
    }
    if orders == 0 {
        bail!("the disk has no room for a history");
    }
    process::say(&format!("making a history of {orders} orders"));
    let begun = Instant::now();
    let (infra, numbers) = (&world.ground.infra, &numbers(orders));
    std::thread::scope(|scope| {
        let threads = Service::ALL.map(|service| {
            scope.spawn(move || {
                let sql = [COMMON, script(service), END].concat();
                let sql = numbers.iter().fold(sql, |sql, (name, number)| sql.replace(name, number));
                infra.sql(service.name(), &sql).map(drop)
            })
        });
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread has panicked"))?)
    })?;
    process::say(&format!("made it in {} s", begun.elapsed().as_secs()));
    if orders <= AUDITED {
        audit(world)?;
    }
    Ok(orders)
}

fn script(service: Service) -> &'static str {
    match service {
        Service::Order => include_str!("order.sql"),
        Service::Inventory => include_str!("inventory.sql"),
        Service::Email => include_str!("email.sql"),
    }
}

/// What stands in the scripts for numbers, and the numbers.
fn numbers(orders: u64) -> [(&'static str, String); 4] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let start = now.saturating_sub(AGO).saturating_sub(SPAN).as_secs();
    let step = SPAN.as_micros() / u128::from(orders.max(1));
    let customers = (orders / PER_CUSTOMER).max(1);
    [
        (":orders", orders.to_string()),
        (":customers", customers.to_string()),
        (":start", start.to_string()),
        (":step", step.to_string()),
    ]
}

/// What is free where the database has its files; none where that is not on this machine.
fn free_bytes(world: &World) -> Result<Option<u64>> {
    let dir = PathBuf::from(world.ground.infra.sql("postgres", "show data_directory")?.trim());
    let said = process::output(Command::new("df").args(["--output=avail", "--block-size=1"]).arg(&dir), None);
    Ok(said.ok().and_then(|said| said.lines().nth(1)?.trim().parse().ok()))
}

/// Lets the system's own checks look whether the history keeps the promises, and whether it is what its events say.
fn audit(world: &World) -> Result<()> {
    process::say("auditing it");
    let (infra, bin_dir) = (&world.ground.infra, &world.ground.bin_dir);
    let mut command = Command::new(bin_dir.join("warren"));
    command.args(["audit", "--grace", "1m", "--show", "3"]).env("AMQP_URL", infra.amqp_url());
    for service in Service::ALL {
        command.env(service.database_url_variable(), infra.database_url(service.name()));
    }
    process::output(&mut command, None)?;
    for read_back in ["history", "projections"] {
        let mut command = Command::new(bin_dir.join(Service::Order.name()));
        command.args([read_back, "verify"]).env("DATABASE_URL", infra.database_url(Service::Order.name()));
        process::output(&mut command, None)?;
    }
    Ok(())
}
