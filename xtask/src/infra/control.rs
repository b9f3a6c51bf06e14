//! How tests stop and start the servers: a script per run, `SCRIPT broker|database stop|start|kill|restart`,
//! and `SCRIPT broker alarm|calm|impatient|patient`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::private::{Action, Private};
use super::{Infra, Server};
use crate::{files, shell};

/// The copy of xtask that the script calls.
const PROGRAM: &str = "xtask";

/// Copies this program into the run's folder. To be done before cargo is asked to build anything: it may build xtask
/// anew, and remove the file that this process was started from.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn keep_program(dir: &Path) -> Result<()> {
    fs::copy(std::env::current_exe()?, dir.join(PROGRAM)).context("cannot copy xtask")?;
    Ok(())
}

/// Writes the script for a run and returns its path, the value of `INFRA_CTL`. Each call of it returns when it is
/// done; after a start the server can be used, on the port that it had. For servers of somebody else it only says
/// that it cannot.
///
/// # Errors
/// When the run's folder cannot be written.
pub(crate) fn write_script(infra: &Infra, dir: &Path) -> Result<PathBuf> {
    let script = dir.join("infra-ctl");
    let text = match infra {
        Infra::Private(_) => {
            let (program, run) = (dir.join(PROGRAM).display().to_string(), dir.display().to_string());
            format!("#!/bin/sh\nexec {} infra-ctl --run {} \"$@\"\n", shell::quote(&program), shell::quote(&run))
        }
        Infra::External(_) => "#!/bin/sh\n\
             echo 'these servers are external: tests that stop them need --infra docker or native' >&2\n\
             exit 1\n"
            .to_owned(),
    };
    files::write_shared(&script, &text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

/// What the script calls.
///
/// # Errors
/// When the folder is not that of a run, or the server does not start.
pub(crate) fn act(dir: &Path, server: Server, action: Action) -> Result<()> {
    let dir = fs::canonicalize(dir).with_context(|| format!("cannot find {}", dir.display()))?;
    let private = Private::load(&dir)?.with_context(|| format!("no servers are recorded in {}", dir.display()))?;
    private.act(server, action)
}
