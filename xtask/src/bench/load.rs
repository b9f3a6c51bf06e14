//! `warren load` against the system that is measured: with all of its checks, and stops at which a measurement looks or acts.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::exposition::Exposition;
use super::world::World;
use crate::services::Service;
use crate::{interrupt, process};

/// Where a load stops until the measurement has done what it wants to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// All is prepared; next the orders are placed.
    Ready,
    /// The orders are accepted.
    Placed,
    /// The orders are confirmed, mailed, and their stock is committed; next they are checked, which costs the services
    /// something, too.
    Settled,
}

/// What to place.
#[derive(Clone, Debug)]
pub(super) struct Load<'a> {
    /// What it is for.
    pub(super) name: &'a str,
    /// How many orders.
    pub(super) orders: u32,
    /// Further options of `warren load`.
    pub(super) options: Vec<String>,
}

impl<'a> Load<'a> {
    /// As many orders as the connections take.
    pub(super) fn closed(name: &'a str, orders: u32, connections: u32) -> Load<'a> {
        Load { name, orders, options: vec!["--concurrency".to_owned(), connections.to_string()] }
    }

    /// The same with one more option.
    pub(super) fn with(mut self, option: &str, value: impl ToString) -> Load<'a> {
        self.options.extend([option.to_owned(), value.to_string()]);
        self
    }
}

/// How long nothing may happen to orders before they are looked at as they are.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is asked how far the orders are: what is measured of the time until then is not more exact.
const POLL: Duration = Duration::from_millis(50);

/// How often it is told how far they are.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What `warren load` found.
pub(super) struct Report(Value);

impl Report {
    /// The number at that place, if there is one.
    pub(super) fn number(&self, pointer: &str) -> Option<f64> {
        self.0.pointer(pointer)?.as_f64()
    }

    /// Orders per second from the first created to the last mailed.
    pub(super) fn mailed(&self) -> Option<f64> {
        self.number("/throughput/mailed_per_second")
    }

    /// Orders per second from the first POST to the last answer.
    pub(super) fn accepted(&self) -> Option<f64> {
        self.number("/throughput/accepted_per_second")
    }
}

/// How many orders of a confirmed order's last two effects have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Effects {
    mailed: u64,
    committed: u64,
}

impl World {
    /// A load without stops.
    ///
    /// # Errors
    /// As [`World::load_with_stops`].
    pub(super) fn load(&mut self, load: &Load<'_>) -> Result<Report> {
        self.load_with_stops(load, |_, _| Ok(()))
    }

    /// Places orders, waits until all are final, checks them; `at` is called at each stop.
    ///
    /// # Errors
    /// When the load cannot be carried out, or found a broken promise; and the errors of `at`.
    pub(super) fn load_with_stops(
        &mut self,
        load: &Load<'_>,
        mut at: impl FnMut(&mut World, Moment) -> Result<()>,
    ) -> Result<Report> {
        let mut generator = Generator::start(self, load)?;
        generator.await_stop(load.name, "placing")?;
        at(self, Moment::Ready)?;
        let before = self.effects();
        generator.go_on()?;
        generator.await_stop(load.name, "checking")?;
        at(self, Moment::Placed)?;
        self.await_effects(before, load.orders.into())?;
        at(self, Moment::Settled)?;
        generator.go_on()?;
        generator.report(load.name)
    }

    /// Waits until so many more orders are mailed and committed, as long as there are more and more of them. What is missing
    /// then is for the load's checks to tell.
    fn await_effects(&self, before: Effects, orders: u64) -> Result<()> {
        let (mut seen, mut since, mut told) = (before, Instant::now(), Instant::now());
        loop {
            let now = self.effects();
            if now.mailed >= before.mailed + orders && now.committed >= before.committed + orders {
                return Ok(());
            }
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
            if told.elapsed() > TELL_EVERY {
                process::say(&format!("{} of {orders} are confirmed and mailed", now.mailed - before.mailed));
                told = Instant::now();
            }
            if since.elapsed() > PATIENCE {
                process::say("not every order was confirmed and mailed");
                return Ok(());
            }
            interrupt::pause(POLL)?;
        }
    }

    /// Counted since the start of each copy of the services; by those that run.
    fn effects(&self) -> Effects {
        let sum = |service, name, labels: &[&str]| {
            let expositions = self.addresses(service).filter_map(|address| Exposition::of(address).ok());
            expositions.map(|exposition| exposition.sum(name, labels)).sum()
        };
        let mail = ["template=\"order-confirmed\"", "outcome=\"sent\""];
        let commit = ["queue=\"inventory\"", "event=\"order.confirmed\"", "outcome=\"done\""];
        Effects {
            mailed: sum(Service::Email, "warren_mails_total", &mail),
            committed: sum(Service::Inventory, "warren_messages_processed_total", &commit),
        }
    }
}

/// `warren load` at work. It ends when it is dropped.
struct Generator {
    child: Child,
    progress: BufReader<std::process::ChildStderr>,
}

impl Generator {
    fn start(world: &World, load: &Load<'_>) -> Result<Generator> {
        process::say(&format!("{}: {} orders {}", load.name, load.orders, load.options.join(" ")));
        let mut command = Command::new(world.ground.bin_dir.join("warren"));
        command.args(["load", "--json", "--step-by-step", "--deadline", "1h", "--orders"]);
        command.arg(load.orders.to_string()).args(&load.options);
        for address in world.addresses(Service::Order).skip(1) {
            command.arg("--order-copy").arg(format!("http://{address}"));
        }
        command.env("WARREN_TOKEN", world.token.as_deref().unwrap_or_default());
        for service in Service::ALL {
            command.env(service.url_variable(), format!("http://{}", world.ground.addresses.to_call(service)));
        }
        command.env(process::RUN_MARK, world.dir());
        // A Ctrl-C at the terminal is for us, who stop things in order.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start warren")?;
        let progress = BufReader::new(child.stderr.take().context("warren has no standard error")?);
        Ok(Generator { child, progress })
    }

    /// Passes on how far it is, until it waits for us before `next`.
    fn await_stop(&mut self, name: &str, next: &str) -> Result<()> {
        let mut said = String::new();
        while let Some(line) = self.line()? {
            if line.starts_with(&format!("next: {next}")) {
                return Ok(());
            }
            process::say(&format!("{name}: {line}"));
            said = line;
        }
        bail!("warren load ended before {next}: {said}");
    }

    fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        let read = self.progress.read_line(&mut line)?;
        if interrupt::requested() {
            return Err(interrupt::Interrupted.into());
        }
        Ok((read > 0).then(|| line.trim_end().to_owned()))
    }

    fn go_on(&mut self) -> Result<()> {
        let stdin = self.child.stdin.as_mut().context("warren has no standard input")?;
        stdin.write_all(b"\n").context("warren load has ended")
    }

    fn report(mut self, name: &str) -> Result<Report> {
        while let Some(line) = self.line()? {
            process::say(&format!("{name}: {line}"));
        }
        let mut json = String::new();
        if let Some(stdout) = self.child.stdout.as_mut() {
            stdout.read_to_string(&mut json)?;
        }
        self.child.wait()?;
        let report: Value = serde_json::from_str(&json).context("warren load made no report")?;
        if report["ok"] != true {
            bail!("{name}: the load found a broken promise: {}", report["checks"]);
        }
        Ok(Report(report))
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
