//! `cargo xtask bench`: how fast the whole system is on this machine, and what it costs.
//!
//! A release build of everything, servers of its own, every guarantee on. The load generator shares the machine and is
//! counted on its own line. On a shared machine absolute figures move; compare figures of one run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::infra::Choice;
use crate::infra::private::Life;
use crate::run::Run;
use crate::services::Service;
use crate::system::{Options, System};
use crate::{interrupt, process};

/// Clock ticks per second in `/proc/PID/stat`: fixed at 100 for user space on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// The orders that warm everything up: connections, plans, caches. Not measured.
const WARM_UP: u32 = 1000;

/// Arrivals per second of the measurement of latency without load.
const QUIET_RATE: u32 = 100;

/// Options of `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Orders of the throughput measurement
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    orders: u32,
    /// Connections of the throughput measurement
    #[arg(long, value_name = "C", default_value_t = 64)]
    concurrency: u32,
    /// Seconds of the latency measurement, at 100 orders per second
    #[arg(long, value_name = "S", default_value_t = 15)]
    seconds: u32,
    /// Where RabbitMQ and PostgreSQL come from; what they cost is only seen of private ones (native)
    #[arg(long, value_enum, default_value_t = Choice::Native)]
    infra: Choice,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Show ratios to the figures of an earlier run
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

/// Measures, prints, and fails when the load found a broken promise.
///
/// # Errors
/// When something does not start, or a check of the load fails.
pub(crate) fn bench(args: &BenchArgs) -> Result<()> {
    interrupt::listen()?;
    let run = Run::temporary()?;
    let options = Options { infra: args.infra, release: true, life: Life::Throwaway, console: false };
    let system = System::start(&run, &options)?;
    let load = |what: &str, arguments: &[String]| load(&system, run.dir(), what, arguments);
    let orders = |number: u32| vec!["--orders".to_owned(), number.to_string()];

    load("warming up", &orders(WARM_UP))?;
    let before = Usage::of_run(run.dir());
    let full = load(
        "throughput",
        &[orders(args.orders), vec!["--concurrency".to_owned(), args.concurrency.to_string()]].concat(),
    )?;
    let after = Usage::of_run(run.dir());
    let rate = vec!["--rate".to_owned(), QUIET_RATE.to_string()];
    let quiet = load("latency", &[orders(QUIET_RATE * args.seconds), rate].concat())?;

    let figures = figures(&full, &quiet, &after.since(&before), args.orders);
    let earlier = args.compare.as_deref().map(read).transpose()?;
    print(&figures, earlier.as_ref());
    if let Some(file) = &args.json {
        fs::write(file, serde_json::to_string_pretty(&figures)? + "\n")
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    drop(system);
    Ok(())
}

/// One run of `warren load`, whose report it returns.
fn load(system: &System, dir: &Path, what: &str, arguments: &[String]) -> Result<Value> {
    process::say(&format!("{what}: warren load {}", arguments.join(" ")));
    let mut command = Command::new(system.bin_dir.join("warren"));
    command.args(["load", "--json"]).args(arguments).env("MAIL_DIR", dir.join("mail"));
    command.env("WARREN_TOKEN", system.token.as_deref().unwrap_or_default());
    for service in Service::ALL {
        command.env(service.url_variable(), format!("http://{}", system.addresses.to_call(service)));
    }
    let report: Value = serde_json::from_str(&process::output(&mut command, None)?)?;
    if report["ok"] != true {
        bail!("the load found a broken promise: {}", report["checks"]);
    }
    Ok(report)
}

/// What the processes of a run have used, by program.
#[derive(Debug, Default)]
struct Usage(BTreeMap<String, Process>);

#[derive(Clone, Copy, Debug, Default)]
struct Process {
    cpu_seconds: f64,
    peak_megabytes: f64,
}

impl Usage {
    fn of_run(dir: &Path) -> Usage {
        let mut usage = Usage::default();
        let services = process::marked(process::RUN_MARK, dir);
        let servers = process::marked(process::SERVER_MARK, dir);
        for pid in with_descendants(services.into_iter().chain(servers)) {
            let Some((name, process)) = look(pid) else { continue };
            let sum = usage.0.entry(name).or_default();
            sum.cpu_seconds += process.cpu_seconds;
            sum.peak_megabytes += process.peak_megabytes;
        }
        usage
    }

    fn since(&self, before: &Usage) -> Usage {
        let of = |name: &String, now: &Process| {
            let then = before.0.get(name).copied().unwrap_or_default();
            (name.clone(), Process { cpu_seconds: now.cpu_seconds - then.cpu_seconds, ..*now })
        };
        Usage(self.0.iter().map(|(name, now)| of(name, now)).collect())
    }
}

/// These processes and all that they started: PostgreSQL's children write over the environment by which a run is known.
fn with_descendants(pids: impl Iterator<Item = u32>) -> BTreeSet<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids_there = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = pids_there.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut all: BTreeSet<u32> = pids.collect();
    loop {
        let known = all.len();
        all.extend(parents.iter().filter(|(_, parent)| all.contains(parent)).map(|(pid, _)| *pid).collect::<Vec<_>>());
        if all.len() == known {
            return all;
        }
    }
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// A process's program, its processor time with that of children that have ended, and the most memory it had.
fn look(pid: u32) -> Option<(String, Process)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the name is in parentheses and may hold anything; what follows it is numbers (proc(5))
    let (start, rest) = stat.rsplit_once(')')?;
    let name = start.split_once('(')?.1;
    let ticks: f64 = rest.split_whitespace().skip(11).take(4).filter_map(|number| number.parse::<f64>().ok()).sum();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0);
    let name = match name {
        "beam.smp" | "erl_child_setup" | "inet_gethost" | "epmd" => "RabbitMQ",
        "postgres" => "PostgreSQL",
        "sh" | "rabbitmq-server" => return None,
        other => other,
    };
    Some((name.to_owned(), Process { cpu_seconds: ticks / TICKS_PER_SECOND, peak_megabytes: peak / 1024.0 }))
}

/// Name, value, unit: everything that was measured.
fn figures(full: &Value, quiet: &Value, usage: &Usage, orders: u32) -> Value {
    let mut figures = vec![
        ("completed orders".to_owned(), full["throughput"]["completed_per_second"].clone(), "/s"),
        ("mailed orders".to_owned(), full["throughput"]["mailed_per_second"].clone(), "/s"),
        ("accepted orders".to_owned(), full["throughput"]["accepted_per_second"].clone(), "/s"),
        ("POST at 100/s, p50".to_owned(), quiet["latency_ms"]["post"]["p50"].clone(), "ms"),
        ("POST at 100/s, p99".to_owned(), quiet["latency_ms"]["post"]["p99"].clone(), "ms"),
        ("POST to mail at 100/s, p50".to_owned(), quiet["latency_ms"]["to_mail"]["p50"].clone(), "ms"),
        ("POST to mail at 100/s, p99".to_owned(), quiet["latency_ms"]["to_mail"]["p99"].clone(), "ms"),
    ];
    let rounded = |value: f64| json!((value * 1000.0).round() / 1000.0);
    for (name, process) in &usage.0 {
        let per_thousand = process.cpu_seconds / f64::from(orders) * 1000.0;
        figures.push((format!("{name}, processor per 1,000 orders"), rounded(per_thousand), "s"));
    }
    // Memory that PostgreSQL's processes share would count once for each of them.
    for (name, process) in usage.0.iter().filter(|(name, _)| *name != "PostgreSQL") {
        figures.push((format!("{name}, peak memory"), rounded(process.peak_megabytes), "MB"));
    }
    let figure = |(name, value, unit)| json!({"figure": name, "value": value, "unit": unit});
    Value::Array(figures.into_iter().map(figure).collect())
}

fn print(figures: &Value, earlier: Option<&Value>) {
    println!();
    for figure in figures.as_array().into_iter().flatten() {
        let name = figure["figure"].as_str().unwrap_or_default();
        let (value, unit) = (figure["value"].as_f64(), figure["unit"].as_str().unwrap_or_default());
        let shown = value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.2} {unit}"));
        let then = earlier
            .and_then(|earlier| earlier.as_array()?.iter().find(|one| one["figure"] == name)?["value"].as_f64())
            .filter(|then| *then != 0.0);
        let ratio = value.zip(then).map(|(now, then)| format!("  × {:.2}", now / then)).unwrap_or_default();
        println!("{name:44} {shown:>16}{ratio}");
    }
}

fn read(file: &Path) -> Result<Value> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} holds no figures", file.display()))
}
