//! `cargo xtask test`: servers of its own, then every test, part by part.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::infra::private::Life;
use crate::infra::{Choice, Infra, Server, control};
use crate::interrupt::{self, Interrupted};
use crate::run::Run;
use crate::services::Settings;
use crate::{process, workspace};

/// A part of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Unit, contract and documentation tests: nearly all without a database.
    Unit,
    /// The rules of the source tree: who imports whom, what stays pure.
    Tidy,
    /// Each crate and service against the real broker and database.
    Integration,
    /// The real binaries, from outside.
    EndToEnd,
    /// The console, from outside and in a browser, which is installed if need be.
    Console,
}

impl Part {
    const ALL: [Part; 5] = [Part::Unit, Part::Tidy, Part::Integration, Part::EndToEnd, Part::Console];

    fn name(self) -> &'static str {
        match self {
            Part::Unit => "unit",
            Part::Tidy => "tidy",
            Part::Integration => "integration",
            Part::EndToEnd => "end-to-end",
            Part::Console => "console",
        }
    }

    fn needs_servers(self) -> bool {
        self != Part::Tidy
    }

    /// The part to which an integration test of cargo's belongs.
    fn of(package: &str, test: &str) -> Part {
        match (package, test) {
            (workspace::END_TO_END, "tidy") => Part::Tidy,
            (workspace::END_TO_END, "console") => Part::Console,
            (workspace::END_TO_END, _) => Part::EndToEnd,
            _ => Part::Integration,
        }
    }
}

/// Runs the tests of one part or of all, or those of them whose name contains one of the `filters`. All parts run, also
/// after one has failed.
///
/// # Errors
/// When a test fails, or the servers for it cannot be had.
pub(crate) fn test(infra: Choice, only: Option<Part>, filters: &[String]) -> Result<()> {
    interrupt::listen()?;
    let parts: Vec<Part> = Part::ALL.into_iter().filter(|part| only.is_none_or(|only| only == *part)).collect();
    let with_servers = parts.iter().any(|part| part.needs_servers());
    surrounded(infra, with_servers, |environment| {
        let mut results = Vec::new();
        for part in parts {
            process::say(&format!("tests: {}", part.name()));
            let start = Instant::now();
            let result = run_part(part, environment, filters);
            if let Err(error) = &result {
                if error.is::<Interrupted>() {
                    return result;
                }
                process::say(&format!("{error:#}"));
            }
            results.push((part, result.is_ok(), start.elapsed()));
        }
        summary(&results)
    })
}

/// Runs one long test of the end-to-end tests with variables of its own, and shows what it says.
///
/// # Errors
/// When it fails, or the servers for it cannot be had.
pub(crate) fn test_alone(infra: Choice, test: &str, variables: &[(&str, String)]) -> Result<()> {
    interrupt::listen()?;
    surrounded(infra, true, |environment| {
        let mut command = workspace::cargo();
        // As all tests are run, so that nothing is built another way.
        command.args(["test", "--workspace", "--test", test, "--", "--nocapture"]);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        process::run(&mut command, "a test")
    })
}

/// Builds all tests, and does something with servers of its own around it, if there are to be any.
fn surrounded(infra: Choice, with_servers: bool, act: impl FnOnce(&Settings) -> Result<()>) -> Result<()> {
    let mut run = None;
    let mut servers = None;
    if with_servers {
        let run = run.insert(Run::temporary()?);
        control::keep_program(run.dir())?;
        servers = Some(Infra::choose(run.dir(), infra, Life::Throwaway, &Server::ALL)?);
    }

    process::say("building the tests");
    // All at once and with the binaries: what cargo is asked for later is then a part of it, built the same way.
    let mut build = workspace::cargo();
    process::run(build.args(["build", "--workspace", "--lib", "--bins", "--tests"]), "the build")?;

    let mut environment = Vec::new();
    if let (Some(run), Some(servers)) = (&run, &mut servers) {
        servers.start(&Server::ALL)?;
        environment = environment_of(servers, run)?;
    }
    let result = act(&environment);
    drop(run);
    result
}

/// What tests are told of their surroundings.
fn environment_of(servers: &Infra, run: &Run) -> Result<Settings> {
    let mut environment = vec![
        ("AMQP_URL", servers.amqp_url()),
        ("DATABASE_URL", servers.any_database_url()),
        ("TEST_INFRA", servers.name().to_owned()),
        ("INFRA_CTL", control::write_script(servers, run.dir())?.display().to_string()),
        ("WARREN_BIN_DIR", workspace::bin_dir(false)?.display().to_string()),
        (process::RUN_MARK, run.dir().display().to_string()),
    ];
    if let Some(url) = servers.management_url() {
        environment.push(("RABBITMQ_MANAGEMENT_URL", url));
    }
    Ok(environment)
}

fn run_part(part: Part, environment: &Settings, filters: &[String]) -> Result<()> {
    let cargo_test = |args: &[&str]| -> Command {
        let mut command = workspace::cargo();
        // The whole workspace, so that cargo finds what is built; the arguments say which tests of it.
        command.args(["test", "--workspace", "--no-fail-fast"]).args(args).arg("--").args(filters);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command
    };
    if part == Part::Unit {
        let units = process::run(&mut cargo_test(&["--lib", "--bins"]), "a unit test");
        let docs = process::run(&mut cargo_test(&["--doc"]), "a documentation test");
        return units.and(docs);
    }
    let metadata = workspace::metadata()?;
    let mut args = Vec::new();
    for (test, packages) in metadata.integration_tests() {
        let parts: Vec<Part> = packages.iter().map(|package| Part::of(package, test)).collect();
        if parts.contains(&part) {
            if parts.iter().any(|other| *other != part) {
                bail!("the name {test} is taken by tests of different parts ({}): rename one", packages.join(", "));
            }
            args.extend(["--test", test]);
        }
    }
    if args.is_empty() {
        bail!("there are no tests of the part {}", part.name());
    }
    process::run(&mut cargo_test(&args), "a test")
}

fn summary(results: &[(Part, bool, Duration)]) -> Result<()> {
    println!();
    for (part, passed, time) in results {
        let verdict = if *passed { "ok" } else { "FAILED" };
        println!("{:12} {verdict:7} {:6.1} s", part.name(), time.as_secs_f64());
    }
    let failed: Vec<&str> = results.iter().filter(|(_, passed, _)| !passed).map(|(part, ..)| part.name()).collect();
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_integration_test_has_its_part() {
        assert_eq!(Part::of("order", "http"), Part::Integration);
        assert_eq!(Part::of("messaging", "tidy"), Part::Integration);
        assert_eq!(Part::of("end-to-end", "tidy"), Part::Tidy);
        assert_eq!(Part::of("end-to-end", "saga"), Part::EndToEnd);
        assert_eq!(Part::of("end-to-end", "console"), Part::Console);
    }
}
