//! What is done with a system that runs: look at it, restart a service, migrate.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::services::{Program, Service};
use crate::state::{ServiceState, State};
use crate::{interrupt, net, process, run, workspace};

/// Prints what runs, and whether it is ready. Returns whether all is.
pub(crate) fn status() -> bool {
    let state = match running() {
        Ok(state) => state,
        Err(reason) => {
            println!("{reason}");
            return false;
        }
    };
    let mut all_ready = state.ready;
    for service in &state.services {
        let answer = net::http("GET", &service.address, "/readyz", None, None);
        let readiness = match answer {
            Ok(answer) if answer.status == 200 => "ready".to_owned(),
            Ok(answer) => format!("not ready: {}", what_is_wrong(&answer.body)),
            Err(_) => "not reachable".to_owned(),
        };
        all_ready &= readiness == "ready";
        let pid = service.pid.map_or("none".to_owned(), |pid| pid.to_string());
        let (name, address, restarts) = (&service.name, &service.address, service.restarts);
        println!("{name:10} http://{address:22} pid {pid:8} restarts {restarts:<3} {readiness}");
    }
    for (name, address) in [("broker", &state.broker), ("database", &state.database)] {
        let listens = net::listens(address);
        all_ready &= listens;
        let readiness = if listens { "listens" } else { "not reachable" };
        println!("{name:10} {address:29} {:28} {readiness}", state.infra);
    }
    all_ready
}

/// The checks of a `/readyz` answer that are not `ok`.
fn what_is_wrong(body: &str) -> String {
    let Ok(body) = serde_json::from_str::<Value>(body) else { return "no reason given".to_owned() };
    let checks = body["checks"].as_object().into_iter().flatten();
    let wrong = checks.filter(|(_, value)| *value != "ok");
    wrong.map(|(name, value)| format!("{name}: {}", value.as_str().unwrap_or("?"))).collect::<Vec<_>>().join(", ")
}

/// Builds, ends one service, and waits until its supervisor has brought it back, ready.
///
/// # Errors
/// When nothing runs, the build fails, or the service does not come back.
pub(crate) fn restart(service: Program) -> Result<()> {
    interrupt::listen()?;
    let before = find(service)?;
    workspace::build(running()?.release)?;
    process::say(&format!("restarting {}", service.name()));
    if let Some(pid) = before.pid {
        process::signal(pid, rustix::process::Signal::TERM);
    }
    process::wait_until(service.name(), Duration::from_secs(120), || {
        let now = find(service)?;
        let answer = net::http("GET", &now.address, "/readyz", None, None);
        Ok(now.pid.is_some() && now.pid != before.pid && answer.is_ok_and(|answer| answer.status == 200))
    })
}

/// Migrates the databases of the running system with newly built services.
///
/// # Errors
/// When nothing runs, the build fails, or a migration does.
pub(crate) fn migrate() -> Result<()> {
    interrupt::listen()?;
    let state = running()?;
    let bin_dir = workspace::build(state.release)?;
    let env = std::fs::read_to_string(workspace::dev_dir().join("env")).context("the system is not ready yet")?;
    for service in Service::ALL {
        process::say(&format!("migrating the database of {}", service.name()));
        // The shell reads the file as it was written to be read.
        let script = format!("{env}\nDATABASE_URL=${} exec \"$0\" migrate", service.database_url_variable());
        process::run(Command::new("sh").arg("-c").arg(script).arg(bin_dir.join(service.name())), "the migration")?;
    }
    Ok(())
}

fn running() -> Result<State> {
    let dir = workspace::dev_dir();
    match State::of_running(&dir) {
        Some(state) => Ok(state),
        None if run::owner(&dir).is_some() => bail!("the system is on its way up"),
        None => bail!("nothing runs (`cargo xtask up` starts the system)"),
    }
}

fn find(service: Program) -> Result<ServiceState> {
    let services = running()?.services;
    services.into_iter().find(|other| other.name == service.name()).context("the system is not ready yet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failed_checks_are_named() {
        let body = r#"{"status": "unready", "checks": {"broker": "connecting", "database": "ok"}}"#;
        assert_eq!(what_is_wrong(body), "broker: connecting");
        assert_eq!(what_is_wrong("<html>"), "no reason given");
    }
}
