//! What the supervisor tells others: a file beside its lock, which counts only while that supervisor holds the lock.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::{files, run};

/// The running system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The process that tells this.
    pub(crate) supervisor: u32,
    /// Whether everything has been ready once, and its addresses told.
    pub(crate) ready: bool,
    /// Whether the binaries are built for speed.
    pub(crate) release: bool,
    /// `docker`, `native` or `external`.
    pub(crate) infra: String,
    /// `host:port` of the broker.
    pub(crate) broker: String,
    /// `host:port` of the database.
    pub(crate) database: String,
    /// In the order of their ports.
    pub(crate) services: Vec<ServiceState>,
}

/// One running service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceState {
    /// Its name.
    pub(crate) name: String,
    /// `host:port` of its REST interface.
    pub(crate) address: String,
    /// Its process; none while it waits to be started again.
    pub(crate) pid: Option<u32>,
    /// How often it ended unasked.
    pub(crate) restarts: u32,
}

impl State {
    /// The state of the system in this folder, if one runs and has got that far.
    pub(crate) fn of_running(dir: &Path) -> Option<State> {
        let state: State = serde_json::from_str(&fs::read_to_string(file(dir)).ok()?).ok()?;
        (run::owner(dir)? == state.supervisor).then_some(state)
    }

    /// Tells it.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn save(&self, dir: &Path) -> Result<()> {
        files::write_private(&file(dir), &serde_json::to_string_pretty(self)?)
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("state.json")
}
