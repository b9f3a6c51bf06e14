//! A run: a folder, everything that was started for it, and the promise that nothing of it is left behind.
//!
//! Whoever holds the lock on the folder owns the run. A lock ends with its process, whatever ends that, so one that
//! can be taken while processes are still there means that their owner was killed: they are ended first.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::infra::private::Private;
use crate::{files, net, process, workspace};

/// How long what is left of a run may take to end in order: services drain for up to 30 s by default. What only tests
/// have used need not.
const PATIENCE: Duration = Duration::from_secs(40);
const PATIENCE_WITH_TESTS: Duration = Duration::from_secs(5);

/// A run that is ours. When it is dropped, its processes and servers are ended; a temporary one also leaves no file.
pub(crate) struct Run {
    dir: PathBuf,
    temporary: bool,
    _lock: File,
}

impl Run {
    /// The run of `up`, in `.dev`. There is one at a time; its data outlives it.
    ///
    /// # Errors
    /// When it is somebody else's now.
    pub(crate) fn of_the_system() -> Result<Run> {
        let dir = workspace::dev_dir();
        match lock(&dir)? {
            Some(lock) => {
                end_leftovers(&dir, PATIENCE);
                Ok(Run { dir, temporary: false, _lock: lock })
            }
            None => bail!("the system runs already (see `cargo xtask status`; `cargo xtask down` stops it)"),
        }
    }

    /// A run with a folder of its own, of which nothing remains.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(crate) fn temporary() -> Result<Run> {
        sweep(&workspace::dev_dir())?;
        let dir = workspace::dev_dir().join(format!("run-{}", net::random_hex::<4>()?));
        let lock = lock(&dir)?.with_context(|| format!("{} is in use", dir.display()))?;
        Ok(Run { dir, temporary: true, _lock: lock })
    }

    /// The folder of this run.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        end_leftovers(&self.dir, if self.temporary { PATIENCE_WITH_TESTS } else { PATIENCE });
        if self.temporary {
            // What cannot be removed now goes with the next temporary run.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// The process that owns a run.
pub(crate) fn owner(dir: &Path) -> Option<u32> {
    let file = File::open(dir.join("lock")).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => fs::read_to_string(dir.join("lock")).ok()?.trim().parse().ok(),
        _ => None,
    }
}

/// Takes the lock of a run, if it is free, and makes its folder.
fn lock(dir: &Path) -> Result<Option<File>> {
    files::make_dir(dir)?;
    let path = dir.join("lock");
    let mut file = File::options().create(true).truncate(false).write(true).open(&path)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            write!(file, "{}", std::process::id())?;
            Ok(Some(file))
        }
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// Ends what a run has started: first what uses the servers, then the servers.
fn end_leftovers(dir: &Path, patience: Duration) {
    process::end_marked(process::RUN_MARK, dir, patience);
    match Private::load(dir) {
        Ok(Some(servers)) => servers.stop_all(),
        Ok(None) => {}
        Err(error) => process::say(&format!("{error:#}")),
    }
    process::end_marked(process::SERVER_MARK, dir, patience);
}

/// Removes temporary runs whose owner was killed.
pub(crate) fn sweep(dev: &Path) -> Result<()> {
    for entry in fs::read_dir(dev).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("run-")
            && let Some(lock) = lock(&entry.path())?
        {
            drop(Run { dir: entry.path(), temporary: true, _lock: lock });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_one_owner_and_tells_who() {
        let dir = std::env::temp_dir().join(format!("xtask-run-{}", std::process::id()));
        assert_eq!(owner(&dir), None);
        let first = lock(&dir).unwrap();
        assert!(first.is_some());
        assert!(lock(&dir).unwrap().is_none());
        assert_eq!(owner(&dir), Some(std::process::id()));
        drop(first);
        assert_eq!(owner(&dir), None);
        fs::remove_dir_all(&dir).unwrap();
    }
}
