//! The yardstick: `pgbench` with the transaction that any shop makes for an order, on the same server.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::infra::{self, Infra};
use crate::{files, process};

/// The tables, as one would make them without much thought.
const TABLES: &str = include_str!("pgbench/tables.sql");

/// The transaction: begin, the order, its lines, an event, commit; as many statements.
const ORDER: &str = include_str!("pgbench/order.sql");

/// A database of its own on the server that is measured.
const DATABASE: &str = "plain_orders";

/// The yardstick, ready to be applied.
pub(super) struct Plain {
    program: Option<PathBuf>,
    database_url: String,
    script: PathBuf,
}

impl Plain {
    /// Makes the tables. Where there is no pgbench nothing will be measured.
    ///
    /// # Errors
    /// When the server refuses, or the folder cannot be written.
    pub(super) fn prepare(infra: &Infra, dir: &Path) -> Result<Plain> {
        let program = infra::pgbench();
        if program.is_none() {
            process::say("no pgbench on this machine (Debian: postgresql): no yardstick");
        }
        infra.drop_database(DATABASE)?;
        infra.create_database(DATABASE)?;
        infra.sql(DATABASE, TABLES)?;
        let script = dir.join("order.sql");
        files::write_private(&script, ORDER)?;
        Ok(Plain { program, database_url: infra.database_url(DATABASE), script })
    }

    /// Transactions per second.
    ///
    /// # Errors
    /// When pgbench fails.
    pub(super) fn per_second(&self, clients: u32, seconds: u32) -> Result<Option<f64>> {
        let Some(program) = &self.program else { return Ok(None) };
        process::say(&format!("pgbench: plain orders, {clients} clients, {seconds} s"));
        let mut command = Command::new(program);
        // Prepared, as a service would: the server does not parse and plan each time.
        command.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]);
        command.args(["--client", &clients.to_string(), "--time", &seconds.to_string(), "--file"]);
        command.arg(&self.script).arg(&self.database_url);
        let said = process::output(&mut command, None)?;
        per_second(&said).with_context(|| format!("pgbench says no rate: {said}")).map(Some)
    }
}

fn per_second(said: &str) -> Option<f64> {
    said.lines().find_map(|line| line.strip_prefix("tps = "))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read() {
        let said = "latency average = 2.1 ms\ninitial connection time = 9 ms\n\
                    tps = 6512.34 (without initial connection time)\n";
        assert_eq!(per_second(said), Some(6512.34));
        assert_eq!(per_second("tps"), None);
    }
}
