//! What the process itself uses, by the names that all Prometheus clients have for it. Read from `/proc` at each scrape; elsewhere than on Linux there is nothing.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// The unit of times in `/proc`: `USER_HZ`, which is 100 on every architecture that Linux still runs on.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauge = |name, help, value: Option<f64>| match value {
            Some(value) => write(&mut encoder, name, help, &ConstGauge::new(value)),
            None => Ok(()),
        };
        let stat = Stat::read();
        gauge("process_resident_memory_bytes", "Memory that the process holds", resident_bytes())?;
        gauge(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            stat.as_ref().and_then(Stat::started),
        )?;
        gauge("process_open_fds", "Open file descriptors", open_fds())?;
        match stat {
            Some(stat) => write(
                &mut encoder,
                "process_cpu_seconds",
                "Processor time used",
                &ConstCounter::new(stat.cpu_ticks / TICKS_PER_SECOND),
            ),
            None => Ok(()),
        }
    }
}

fn write(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, metric: &impl EncodeMetric) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// Of `/proc/self/stat` (proc(5)), in ticks.
struct Stat {
    cpu_ticks: f64,
    start_ticks: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The second field, the program's name in parentheses, may itself contain blanks and parentheses.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Stat { cpu_ticks: field(14)? + field(15)?, start_ticks: field(22)? })
    }

    fn started(&self) -> Option<f64> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let booted: f64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
        Some(booted + self.start_ticks / TICKS_PER_SECOND)
    }
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?;
    kib.parse::<f64>().ok().map(|kib| kib * 1024.0)
}

fn open_fds() -> Option<f64> {
    // The directory that is being read is open itself.
    let count = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    u32::try_from(count).ok().map(f64::from)
}
