//! Keeps the services running: starts one again that ended unasked, and stops all of them at the end.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::services::{OVERRULED, Program, Settings};
use crate::state::{ServiceState, State};
use crate::{files, process};

/// How long services may take to drain and end. Their own limit (`SHUTDOWN_TIMEOUT`) is 30 s unless it is set.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// A service that ran this long was well: the next wait before a start is short again.
const WELL_AFTER: Duration = Duration::from_secs(30);

/// The services of a run, as children of this process. Dropping it stops them.
pub(crate) struct Supervisor {
    dir: PathBuf,
    bin_dir: PathBuf,
    state: State,
    services: Vec<Supervised>,
}

struct Supervised {
    program: Program,
    settings: Settings,
    child: Option<Child>,
    /// Of the last start.
    started: Instant,
    /// Ends in a row, each soon after its start.
    failures: u32,
}

impl Supervisor {
    /// Starts all services, each with its settings. `state` tells of the servers.
    ///
    /// # Errors
    /// When a binary cannot be started.
    pub(crate) fn start(
        dir: &Path,
        bin_dir: &Path,
        state: State,
        services: Vec<(Program, String, Settings)>,
    ) -> Result<Supervisor> {
        files::make_dir(&dir.join("logs"))?;
        let mut supervisor =
            Supervisor { dir: dir.to_path_buf(), bin_dir: bin_dir.to_path_buf(), state, services: Vec::new() };
        for (program, address, settings) in services {
            files::remove(&log(dir, program))?;
            let child = Some(supervisor.spawn(program, &settings)?);
            let pid = child.as_ref().map(Child::id);
            supervisor.state.services.push(ServiceState { name: program.name().to_owned(), address, pid, restarts: 0 });
            let started = Instant::now();
            supervisor.services.push(Supervised { program, settings, child, started, failures: 0 });
        }
        supervisor.state.save(dir)?;
        Ok(supervisor)
    }

    fn spawn(&self, program: Program, settings: &Settings) -> Result<Child> {
        spawn(&self.dir, &self.bin_dir, program, settings)
    }

    /// Looks after the services once: notes which have ended, starts those that are due.
    ///
    /// # Errors
    /// When a service cannot be started.
    pub(crate) fn tick(&mut self) -> Result<()> {
        for at in 0..self.services.len() {
            let Supervised { program, started, failures, .. } = self.services[at];
            if self.services[at].child.is_some() {
                if let Some(status) = self.ended(at)? {
                    let failures = if started.elapsed() < WELL_AFTER { failures + 1 } else { 1 };
                    self.services[at].failures = failures;
                    process::say(&format!("{} ended ({status}), starting it again", program.name()));
                    self.state.services[at].pid = None;
                    self.state.services[at].restarts += 1;
                    self.state.save(&self.dir)?;
                    // From here on the wait before the next start is counted.
                    self.services[at].started = Instant::now();
                }
            } else if started.elapsed() >= wait_before_start(failures) {
                let child = self.spawn(program, &self.services[at].settings)?;
                self.state.services[at].pid = Some(child.id());
                self.services[at].child = Some(child);
                self.services[at].started = Instant::now();
                self.state.save(&self.dir)?;
            }
        }
        Ok(())
    }

    fn ended(&mut self, at: usize) -> Result<Option<std::process::ExitStatus>> {
        let Some(child) = &mut self.services[at].child else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.services[at].child = None;
        }
        Ok(status)
    }

    /// Fails if a service has ended, with its last words: at the first start that is a mistake in its settings, not
    /// a crash to recover from.
    ///
    /// # Errors
    /// When one has.
    pub(crate) fn all_run(&mut self) -> Result<()> {
        for at in 0..self.services.len() {
            if let Some(status) = self.ended(at)? {
                let program = self.services[at].program;
                let words = std::fs::read_to_string(log(&self.dir, program)).unwrap_or_default();
                bail!("{} ended at its start ({status}):\n{}", program.name(), process::last_lines(&words, 5));
            }
        }
        Ok(())
    }

    /// Tells everybody that the system is ready.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn set_ready(&mut self) -> Result<()> {
        self.state.ready = true;
        self.state.save(&self.dir)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let mut children: Vec<Child> = self.services.iter_mut().filter_map(|service| service.child.take()).collect();
        if !children.is_empty() {
            process::say("stopping the services");
        }
        process::end(&children.iter().map(Child::id).collect::<Vec<_>>(), STOP_LIMIT);
        for child in &mut children {
            // It has ended; this only takes note of it.
            let _ = child.wait();
        }
    }
}

/// Starts a program for a run, in a process group of its own; what it says goes to the end of its log.
///
/// # Errors
/// When it cannot be started, or its log not be written.
pub(crate) fn spawn(dir: &Path, bin_dir: &Path, program: Program, settings: &Settings) -> Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let output = files::open_log(&log(dir, program))?;
    let (binary, arguments) = program.command();
    let mut command = Command::new(bin_dir.join(binary));
    command.args(arguments);
    for name in OVERRULED {
        command.env_remove(name);
    }
    command
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .env(process::RUN_MARK, dir)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        // A Ctrl-C at the terminal is for us, who stop things in order.
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", program.name()))
}

/// The log of a service, or of the console.
pub(crate) fn log(dir: &Path, program: Program) -> PathBuf {
    dir.join("logs").join(format!("{}.log", program.name()))
}

/// How long to wait before a start, after so many ends in a row: 0.2 s, doubling to 10 s.
fn wait_before_start(failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(10);
    FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_before_starts_grow_to_a_limit() {
        let waits: Vec<u128> = (1..=8).map(|failures| wait_before_start(failures).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(wait_before_start(u32::MAX), Duration::from_secs(10));
    }
}
