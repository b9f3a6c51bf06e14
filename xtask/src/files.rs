//! Files that only their owner may read, and that are never seen half written.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a whole file, mode 600. Readers see the old one or the new one.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn write_private(file: &Path, text: &str) -> Result<()> {
    let new = file.with_extension("new");
    let write = || -> std::io::Result<()> {
        // One that is left of a crash would keep the mode it has.
        let _ = fs::remove_file(&new);
        private_options().write(true).open(&new)?.write_all(text.as_bytes())?;
        fs::rename(&new, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// Writes a configuration file that a server, which may run as another user, shall read: mode 644 whatever the umask.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn write_shared(file: &Path, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        fs::write(file, text)?;
        fs::set_permissions(file, fs::Permissions::from_mode(0o644))
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// Opens a log, mode 600, to write at its end.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn open_log(file: &Path) -> Result<File> {
    private_options().append(true).open(file).with_context(|| format!("cannot write {}", file.display()))
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    options
}

/// Makes a folder and those above it.
///
/// # Errors
/// When the folder above cannot be written.
pub(crate) fn make_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))
}

/// Removes a file or a folder, or finds it gone.
///
/// # Errors
/// When it is there and cannot be removed.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.with_context(|| format!("cannot remove {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_replaced_and_stays_private() {
        let file = std::env::temp_dir().join(format!("xtask-private-{}", std::process::id()));
        fs::write(file.with_extension("new"), "left of a crash").unwrap();
        write_private(&file, "one").unwrap();
        write_private(&file, "two").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        remove(&file).unwrap();
        remove(&file).unwrap();
    }
}
