//! Other programs: run them, wait for them, find those that belong to a run, and end them.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};

use crate::interrupt;

/// Whatever is started for a run (services, tests) carries this variable in its environment, with the run's folder as
/// its value. Children inherit it, so a run finds all of its processes again, even after a crash of xtask.
pub(crate) const RUN_MARK: &str = "WARREN_RUN";

/// The same for its broker and database, which outlive what uses them.
pub(crate) const SERVER_MARK: &str = "WARREN_RUN_SERVER";

const POLL: Duration = Duration::from_millis(50);

/// Says in one plain line what is being done, since it may take a while.
pub(crate) fn say(what: &str) {
    eprintln!("xtask: {what}");
}

/// Runs a program in the foreground, its output going where ours goes. A signal to us ends it too.
///
/// # Errors
/// When it cannot be started, fails, or the wait is interrupted.
pub(crate) fn run(command: &mut Command, what: &str) -> Result<()> {
    let mut child = command.spawn().with_context(|| format!("cannot start {}", program(command)))?;
    loop {
        if let Some(status) = child.try_wait()? {
            if interrupt::requested() {
                return Err(interrupt::Interrupted.into());
            }
            if !status.success() {
                bail!("{what} failed ({status})");
            }
            return Ok(());
        }
        if let Err(interrupted) = interrupt::pause(POLL) {
            end(&[child.id()], Duration::from_secs(10));
            child.wait()?;
            return Err(interrupted);
        }
    }
}

/// Runs a short program to its end and returns what it printed. It has a process group of its own, so a Ctrl-C at
/// the terminal does not reach it half way.
///
/// # Errors
/// When it cannot be started or fails; the message carries the last lines of what it printed.
pub(crate) fn output(command: &mut Command, input: Option<&str>) -> Result<String> {
    let name = program(command);
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child = command
        .process_group(0)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        // A program that ends before it has read everything says why on its own stderr.
        let _ = stdin.write_all(text.as_bytes());
    }
    let result = child.wait_with_output()?;
    if !result.status.success() {
        let all = [result.stdout, result.stderr].concat();
        bail!("{name} failed ({}): {}", result.status, last_lines(&String::from_utf8_lossy(&all), 5));
    }
    Ok(String::from_utf8_lossy(&result.stdout).into_owned())
}

/// The same, for what may fail without harm, such as removing what is not there.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    output(command, None).is_ok()
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The last `count` lines of a text, for error messages.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Waits until `ready` says yes. An error of `ready` ends the wait at once.
///
/// # Errors
/// After the time limit, when interrupted, and with the error of `ready`.
pub(crate) fn wait_until(what: &str, limit: Duration, mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !ready()? {
        if start.elapsed() > limit {
            bail!("{what} is not ready after {} s", limit.as_secs());
        }
        interrupt::pause(POLL)?;
    }
    Ok(())
}

/// Whether a process runs. A zombie, which has ended and only waits to be reaped, does not.
pub(crate) fn alive(pid: u32) -> bool {
    let Some(process) = to_pid(pid) else { return false };
    if rustix::process::test_kill_process(process) == Err(rustix::io::Errno::SRCH) {
        return false;
    }
    // The state follows the name, which stands in parentheses and may hold anything.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']))
}

/// The process that a server's pid file names, when it runs and its command line holds `needle`: the number may
/// since have been given to a stranger.
pub(crate) fn from_pid_file(file: &Path, needle: &Path) -> Option<u32> {
    let pid = fs::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()?;
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    (alive(pid) && String::from_utf8_lossy(&command_line).contains(&*needle.to_string_lossy())).then_some(pid)
}

/// Sends a signal; a process that is gone already is no error.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = to_pid(pid) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Kills a process and all in its group.
pub(crate) fn kill_group(leader: u32) {
    if let Some(leader) = to_pid(leader) {
        let _ = rustix::process::kill_process_group(leader, Signal::KILL);
    }
}

/// Asks processes to end (SIGTERM), all at once, and after `patience` makes them (SIGKILL).
pub(crate) fn end(pids: &[u32], patience: Duration) {
    pids.iter().for_each(|pid| signal(*pid, Signal::TERM));
    let start = Instant::now();
    pids.iter().for_each(|pid| await_end(*pid, patience.saturating_sub(start.elapsed())));
}

/// Waits for the end of a process that was told to; after `limit` makes it.
pub(crate) fn await_end(pid: u32, limit: Duration) {
    if !ended_within(pid, limit) {
        signal(pid, Signal::KILL);
        ended_within(pid, Duration::from_secs(5));
    }
}

/// The processes that a process has started.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        // After the name in parentheses: the state, then the parent.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let field = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        field.and_then(|field| field.parse().ok()) == Some(parent)
    };
    all().filter(is_child).collect()
}

fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn ended_within(pid: u32, limit: Duration) -> bool {
    let start = Instant::now();
    while alive(pid) {
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}

/// Ends every process that carries this mark of a run.
pub(crate) fn end_marked(mark: &str, run: &Path, patience: Duration) {
    end(&marked(mark, run), patience);
}

/// The processes that carry this mark of a run. Where there is no `/proc` none is found.
pub(crate) fn marked(mark: &str, run: &Path) -> Vec<u32> {
    let variable = format!("{mark}={}", run.display()).into_bytes();
    all()
        .filter(|pid| *pid != std::process::id() && alive(*pid))
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|other| other == variable)
        })
        .collect()
}

fn to_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_finds_and_ends_its_own_processes_only() {
        let run = std::env::temp_dir().join(format!("xtask-mark-{}", std::process::id()));
        let mut sleep = Command::new("sleep");
        let mut ours = sleep.arg("60").env(RUN_MARK, &run).spawn().unwrap();
        let mut other = Command::new("sleep").arg("60").env(RUN_MARK, run.join("other")).spawn().unwrap();

        wait_until("the mark", Duration::from_secs(5), || Ok(marked(RUN_MARK, &run) == [ours.id()])).unwrap();
        end_marked(RUN_MARK, &run, Duration::from_secs(5));

        assert!(!alive(ours.id()));
        assert!(alive(other.id()));
        ours.wait().unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_pid_file_that_names_a_stranger_names_nobody() {
        let file = std::env::temp_dir().join(format!("xtask-pid-{}", std::process::id()));
        fs::write(&file, format!("{}\n", std::process::id())).unwrap();
        assert_eq!(from_pid_file(&file, Path::new("/no/such/server")), None);
        assert_eq!(from_pid_file(&file, Path::new("xtask")), Some(std::process::id()));
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn the_error_of_a_program_carries_what_it_said() {
        let error = output(Command::new("sh").args(["-c", "echo why >&2; exit 3"]), None).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }

    #[test]
    fn last_lines_of_a_short_text_are_all_of_it() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a", 5), "a");
        assert_eq!(last_lines("", 5), "");
    }
}
