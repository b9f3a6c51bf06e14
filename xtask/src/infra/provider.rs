//! What differs between containers and native processes, and the settings that do not.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Server;
use super::docker::Docker;
use super::native::Native;
use super::private::Private;

/// Where servers of our own run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Way {
    /// In containers.
    Docker,
    /// As processes, from the system's packages.
    Native,
}

impl Way {
    /// The name that `--infra` and `TEST_INFRA` use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Docker => "docker",
            Way::Native => "native",
        }
    }

    pub(super) fn provider(self) -> &'static dyn Provider {
        match self {
            Way::Docker => &Docker,
            Way::Native => &Native,
        }
    }
}

/// What differs between containers and native processes.
pub(super) trait Provider {
    /// Gets the programs, if they are not there.
    fn prepare(&self, servers: &[Server]) -> Result<()>;
    /// Makes the folder for the files of a new run, where they cannot lie in the run's own.
    fn make_data_dir(&self, run: &Path, id: &str) -> Result<Option<PathBuf>>;
    /// Starts a server: its process is there, but need not be ready.
    fn start(&self, private: &Private, server: Server) -> Result<()>;
    /// Whether it runs.
    fn runs(&self, private: &Private, server: Server) -> bool;
    /// The last it said, for error messages.
    fn last_words(&self, private: &Private, server: Server) -> String;
    /// Stops a server in order. One that does not run is stopped.
    fn stop(&self, private: &Private, server: Server);
    /// Kills a server. One that does not run is dead.
    fn kill(&self, private: &Private, server: Server);
    /// Removes what a stopped server leaves beside its data, and its data too if asked.
    fn remove(&self, private: &Private, server: Server, with_data: bool);
    /// A rabbitmqctl of the broker, which runs.
    fn rabbitmqctl(&self, private: &Private) -> Command;
    /// A psql that is connected as superuser.
    fn psql(&self, private: &Private, database: &str) -> Command;
}

/// The database's superuser.
pub(super) const DATABASE_USER: &str = "postgres";
/// The broker's administrator.
pub(super) const BROKER_USER: &str = "warren";

/// A dead letter that a full queue refused is offered again after this time. The default is three minutes, by which
/// a retry that meets a full queue would be late.
pub(super) const ADVANCED_CONFIG: &str = "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 5000}]}].\n";

/// Settings of PostgreSQL that differ from its defaults. `fsync` and `synchronous_commit` stay on: what is promised
/// of crashes is only true with them.
pub(super) const DATABASE_SETTINGS: [&str; 3] = ["max_connections=200", "shared_buffers=256MB", "max_wal_size=2GB"];
