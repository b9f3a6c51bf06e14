//! The servers' programs in the system's packages: found, or installed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Server;
use crate::process;

const INSTALL: &str = include_str!("install-packages.sh");

/// The Debian and Ubuntu package of a server, which is also the name of its systemd unit.
fn package(server: Server) -> &'static str {
    match server {
        Server::Broker => "rabbitmq-server",
        Server::Database => "postgresql",
    }
}

/// Finds the programs of these servers, or installs what is missing.
///
/// # Errors
/// When something is missing and cannot be installed.
pub(super) fn ensure(servers: &[Server]) -> Result<()> {
    let missing: Vec<&str> = servers.iter().filter(|server| !is_installed(**server)).map(|s| package(*s)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing).with_context(|| {
        format!(
            "cannot get {packages}; install it (sudo apt-get install {packages}), or start a Docker engine, or set \
             AMQP_URL and DATABASE_URL to instances of your own",
            packages = missing.join(" ")
        )
    })
}

fn is_installed(server: Server) -> bool {
    match server {
        Server::Broker => rabbitmq_server().is_some(),
        Server::Database => postgres_dir().is_some(),
    }
}

fn install(packages: &[&str]) -> Result<()> {
    let mut command = if is_root() {
        Command::new("sh")
    } else if process::succeeds(Command::new("sudo").args(["-n", "true"])) {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "sh"]);
        sudo
    } else {
        bail!("only root may install packages");
    };
    if find_on_path("apt-get").is_none() {
        bail!("there is no apt-get");
    }
    process::say(&format!("installing {} (Debian packages, a few minutes)", packages.join(" ")));
    let log = env::temp_dir().join(format!("xtask-install-{}.log", std::process::id()));
    let output = fs::File::create(&log)?;
    command.args(["-c", INSTALL, "install-packages"]).args(packages);
    command.stdin(std::process::Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let result = process::run(&mut command, "apt-get install");
    let said = fs::read_to_string(&log).unwrap_or_default();
    fs::remove_file(&log)?;
    result.with_context(|| process::last_lines(&said, 5))
}

/// The program `rabbitmq-server` itself. What Debian puts on the path insists on being root or the system's broker.
pub(super) fn rabbitmq_server() -> Option<PathBuf> {
    let debian = PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmq-server");
    if debian.exists() { Some(debian) } else { find_on_path("rabbitmq-server") }
}

/// The folder of PostgreSQL's programs: Debian's newest, else what `pg_config` says, else that of an `initdb` on the
/// path.
pub(super) fn postgres_dir() -> Option<PathBuf> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = debian
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(_, dir)| dir.join("initdb").exists())
        .max_by_key(|(version, _)| *version);
    if let Some((_, dir)) = newest {
        return Some(dir);
    }
    let configured = process::output(Command::new("pg_config").arg("--bindir"), None).ok();
    let configured = configured.map(|dir| PathBuf::from(dir.trim())).filter(|dir| dir.join("initdb").exists());
    configured.or_else(|| find_on_path("initdb").and_then(|initdb| initdb.parent().map(Path::to_path_buf)))
}

/// The `psql` of PostgreSQL's programs, or one on the path.
pub(super) fn psql() -> Option<PathBuf> {
    postgres_dir().map(|dir| dir.join("psql")).filter(|psql| psql.exists()).or_else(|| find_on_path("psql"))
}

/// The `pgbench` of PostgreSQL's programs, or one on the path.
pub(super) fn pgbench() -> Option<PathBuf> {
    let beside = postgres_dir().map(|dir| dir.join("pgbench")).filter(|pgbench| pgbench.exists());
    beside.or_else(|| find_on_path("pgbench"))
}

fn find_on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Whether we are root, whom PostgreSQL refuses to serve.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
