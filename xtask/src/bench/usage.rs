//! What processes use, as Linux counts it: processor time by program, and the most memory that a process has had.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::process;

/// Clock ticks per second in `/proc/PID/stat`: fixed at 100 for user space on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// The name under which the load generator is counted.
pub(super) const LOAD_GENERATOR: &str = "load generator";
/// The names of the servers.
pub(super) const POSTGRESQL: &str = "PostgreSQL";
/// The same.
pub(super) const RABBITMQ: &str = "RabbitMQ";

/// Seconds of processor time since the start of each process of a run, by program.
#[derive(Debug, Default)]
pub(super) struct Usage(BTreeMap<String, f64>);

impl Usage {
    /// As it is now.
    pub(super) fn of_run(dir: &Path) -> Usage {
        let mut usage = Usage::default();
        let services = process::marked(process::RUN_MARK, dir);
        let servers = process::marked(process::SERVER_MARK, dir);
        for pid in with_descendants(services.into_iter().chain(servers)) {
            if let Some((name, seconds)) = processor_time(pid) {
                *usage.0.entry(name).or_default() += seconds;
            }
        }
        usage
    }

    /// What was used since then. No process of the run may have ended meanwhile whose parent still runs elsewhere.
    pub(super) fn since(&self, before: &Usage) -> Usage {
        Usage(self.0.iter().map(|(name, now)| (name.clone(), now - before.0.get(name).unwrap_or(&0.0))).collect())
    }

    /// Of one program; none where it was not seen, as in a container.
    pub(super) fn of(&self, program: &str) -> Option<f64> {
        self.0.get(program).copied()
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

/// A process's program, and its processor time with that of its children that have ended.
fn processor_time(pid: u32) -> Option<(String, f64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the name is in parentheses and may hold anything; what follows it is numbers (proc(5))
    let (start, rest) = stat.rsplit_once(')')?;
    let ticks: f64 = rest.split_whitespace().skip(11).take(4).filter_map(|number| number.parse::<f64>().ok()).sum();
    let name = match start.split_once('(')?.1 {
        "beam.smp" | "erl_child_setup" | "inet_gethost" | "epmd" => RABBITMQ,
        "postgres" => POSTGRESQL,
        "warren" => LOAD_GENERATOR,
        "sh" | "rabbitmq-server" => return None,
        other => other,
    };
    Some((name.to_owned(), ticks / TICKS_PER_SECOND))
}

/// The most memory that a process has had since its start, or since it was forgotten, in megabytes.
pub(super) fn peak_megabytes(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

/// Lets a process's peak be what it has now (proc(5), `clear_refs`).
pub(super) fn forget_peak(pid: u32) {
    // where that is refused, the figure that follows counts the time before, too
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_name_a_time_and_a_peak() {
        let pid = std::process::id();
        let (_, seconds) = processor_time(pid).unwrap();
        assert!(seconds >= 0.0);
        forget_peak(pid);
        assert!(peak_megabytes(pid).unwrap() > 1.0);
        assert!(with_descendants([pid].into_iter()).contains(&pid));
    }
}
