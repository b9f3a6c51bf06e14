//! Servers as processes of this machine, from the programs in the system's packages.
//!
//! Root starts each as the user that its package made for it (PostgreSQL refuses to run as root), anybody else as
//! himself. A server has its files in a folder of its own, which also tells its process apart from all others.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::private::Private;
use super::provider::{ADVANCED_CONFIG, BROKER_USER, DATABASE_SETTINGS, DATABASE_USER, Provider};
use super::{Server, packages};
use crate::{files, process};

/// The processes of a run.
pub(super) struct Native;

const STOP_LIMIT: Duration = Duration::from_secs(60);

impl Provider for Native {
    fn prepare(&self, servers: &[Server]) -> Result<()> {
        packages::ensure(servers)
    }

    fn make_data_dir(&self, run: &Path, id: &str) -> Result<Option<PathBuf>> {
        if !packages::is_root() || others_may_enter(run) {
            return Ok(None);
        }
        // Below a home directory, say: the servers' users cannot get there.
        let dir = PathBuf::from(format!("/var/tmp/warren-{id}"));
        fs::DirBuilder::new().mode(0o755).create(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Some(dir))
    }

    fn start(&self, private: &Private, server: Server) -> Result<()> {
        match server {
            Server::Broker => start_broker(private),
            Server::Database => start_database(private),
        }
    }

    fn runs(&self, private: &Private, server: Server) -> bool {
        pid(private, server).is_some()
    }

    fn last_words(&self, private: &Private, server: Server) -> String {
        fs::read_to_string(log(private, server)).unwrap_or_default()
    }

    fn stop(&self, private: &Private, server: Server) {
        if let Some(pid) = pid(private, server) {
            // PostgreSQL's SIGINT ends sessions and stops; its SIGTERM would wait for them.
            process::signal(pid, if server == Server::Database { Signal::INT } else { Signal::TERM });
            process::await_end(pid, STOP_LIMIT);
        }
    }

    fn kill(&self, private: &Private, server: Server) {
        if let Some(pid) = pid(private, server) {
            // PostgreSQL's sessions would go on for a while, and as long the next one could not start.
            let all: Vec<u32> = process::children(pid).into_iter().chain([pid]).collect();
            all.iter().for_each(|pid| process::signal(*pid, Signal::KILL));
            all.iter().for_each(|pid| process::await_end(*pid, STOP_LIMIT));
        }
    }

    fn remove(&self, private: &Private, server: Server, with_data: bool) {
        if server == Server::Broker {
            // The port mapper of the Erlang node outlives it.
            process::succeeds(Command::new("epmd").arg("-kill").env("ERL_EPMD_PORT", private.ports.epmd.to_string()));
        }
        if with_data {
            // What cannot be removed is found half made at the next start, which says so.
            let _ = fs::remove_dir_all(dir(private, server));
            if let Some(elsewhere) = private.elsewhere() {
                // It goes with the last that is in it.
                let _ = fs::remove_dir(elsewhere);
            }
        }
    }

    fn rabbitmqctl(&self, private: &Private) -> Command {
        // Beside the server: the one on the path may refuse to run as anybody but root.
        let rabbitmqctl = packages::rabbitmq_server().unwrap_or_default().with_file_name("rabbitmqctl");
        let mut command = command_of(private, Server::Broker, &rabbitmqctl);
        command.args(["--node", &node(private)]).env("ERL_EPMD_PORT", private.ports.epmd.to_string());
        command
    }

    fn psql(&self, private: &Private, database: &str) -> Command {
        let mut command = Command::new(packages::psql().unwrap_or_else(|| "psql".into()));
        command.args(["--host=127.0.0.1", "--username", DATABASE_USER, "--dbname", database, "--port"]);
        command.arg(private.ports.database.to_string()).env("PGPASSWORD", &private.password);
        command
    }
}

/// Whether every folder on the way lets everybody through.
fn others_may_enter(dir: &Path) -> bool {
    dir.ancestors().all(|dir| fs::metadata(dir).is_ok_and(|metadata| metadata.mode() & 0o001 != 0))
}

fn dir(private: &Private, server: Server) -> PathBuf {
    private.elsewhere().unwrap_or(private.run()).join(match server {
        Server::Broker => "broker",
        Server::Database => "database",
    })
}

fn log(private: &Private, server: Server) -> PathBuf {
    dir(private, server).join("server.log")
}

fn pid(private: &Private, server: Server) -> Option<u32> {
    let dir = dir(private, server);
    let file = match server {
        Server::Broker => dir.join("pid"),
        Server::Database => dir.join("data/postmaster.pid"),
    };
    process::from_pid_file(&file, &dir)
}

/// The user whom root becomes for a server.
fn user(server: Server) -> Option<&'static str> {
    packages::is_root().then_some(match server {
        Server::Broker => "rabbitmq",
        Server::Database => "postgres",
    })
}

/// Makes the folder of a server, which belongs to its user.
fn make_dir(private: &Private, server: Server) -> Result<PathBuf> {
    let dir = dir(private, server);
    files::make_dir(&dir)?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
    give(&dir, server)?;
    Ok(dir)
}

/// Makes a server's user the owner of a file or folder.
fn give(path: &Path, server: Server) -> Result<()> {
    let Some(user) = user(server) else { return Ok(()) };
    let id = |flag| -> Result<u32> {
        let id = process::output(Command::new("id").args([flag, user]), None)?;
        id.trim().parse().with_context(|| format!("{user} has no numeric id"))
    };
    chown(path, Some(id("-u")?), Some(id("-g")?)).with_context(|| format!("cannot give {} to {user}", path.display()))
}

/// A command as the server's user, in the server's folder.
fn command_of(private: &Private, server: Server, program: &Path) -> Command {
    // A session of its own: no Ctrl-C at our terminal reaches it.
    let mut command = Command::new("setsid");
    if let Some(user) = user(server) {
        command.args(["setpriv", &format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups"]);
    }
    command.arg(program);
    command.current_dir(dir(private, server)).env("HOME", dir(private, server)).env("LANG", "C.UTF-8");
    // A test may start the server, which is not a part of that test.
    command.env_remove(process::RUN_MARK).env(process::SERVER_MARK, private.run());
    command
}

fn start_database(private: &Private) -> Result<()> {
    let programs = packages::postgres_dir().context("PostgreSQL's programs are gone")?;
    let dir = make_dir(private, Server::Database)?;
    let data = dir.join("data");
    if !data.join("PG_VERSION").exists() {
        let password = dir.join("password");
        files::write_private(&password, &private.password)?;
        give(&password, Server::Database)?;
        let mut initdb = command_of(private, Server::Database, &programs.join("initdb"));
        initdb.args(["--username", DATABASE_USER, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]);
        initdb.arg("--pwfile").arg(&password).arg("--pgdata").arg(&data);
        process::output(&mut initdb, None)?;
        files::remove(&password)?;
    }
    // We know that it does not run. PostgreSQL would take a zombie, or a stranger with the same number, for itself.
    files::remove(&data.join("postmaster.pid"))?;
    let mut options =
        format!("-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories=", private.ports.database);
    for setting in DATABASE_SETTINGS {
        options += &format!(" -c {setting}");
    }
    let mut start = command_of(private, Server::Database, &programs.join("pg_ctl"));
    start.args(["start", "--wait", "--timeout=60", "--options", &options]);
    start.arg("--log").arg(dir.join("server.log")).arg("--pgdata").arg(&data);
    process::output(&mut start, None).map(drop)
}

/// The name of the broker's Erlang node.
fn node(private: &Private) -> String {
    format!("warren-{}@localhost", private.id)
}

fn start_broker(private: &Private) -> Result<()> {
    let program = packages::rabbitmq_server().context("RabbitMQ's programs are gone")?;
    let dir = make_dir(private, Server::Broker)?;
    write_broker_config(private, &dir)?;

    let log = files::open_log(&dir.join("server.log"))?;
    let mut command = command_of(private, Server::Broker, &program);
    for (name, _) in std::env::vars_os() {
        // Settings of other brokers.
        if name.to_string_lossy().starts_with("RABBITMQ_") {
            command.env_remove(name);
        }
    }
    command
        .env("RABBITMQ_NODENAME", node(private))
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        .env("RABBITMQ_CONFIG_FILE", dir.join("rabbitmq.conf"))
        .env("RABBITMQ_ADVANCED_CONFIG_FILE", dir.join("advanced.config"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", dir.join("enabled_plugins"))
        .env("RABBITMQ_MNESIA_BASE", dir.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", dir.join("log"))
        .env("RABBITMQ_PID_FILE", dir.join("pid"))
        .env("RABBITMQ_DIST_PORT", private.ports.distribution.to_string())
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
        .env("ERL_EPMD_PORT", private.ports.epmd.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1");
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);

    let mut child = command.spawn().context("cannot start rabbitmq-server")?;
    let started = process::wait_until("RabbitMQ's process", STOP_LIMIT, || {
        if let Some(status) = child.try_wait()? {
            bail!("rabbitmq-server ended ({status})");
        }
        Ok(pid(private, Server::Broker).is_some())
    });
    if started.is_err() {
        // Before it has written its pid nobody else could find it.
        process::kill_group(child.id());
    }
    started
}

fn write_broker_config(private: &Private, dir: &Path) -> Result<()> {
    let config = format!(
        "listeners.tcp.1 = 127.0.0.1:{}\n\
         management.tcp.ip = 127.0.0.1\n\
         management.tcp.port = {}\n\
         default_user = {BROKER_USER}\n\
         default_pass = {}\n",
        private.ports.broker, private.ports.management, private.password
    );
    files::write_shared(&dir.join("rabbitmq.conf"), &config)?;
    files::write_shared(&dir.join("advanced.config"), ADVANCED_CONFIG)?;
    files::write_shared(&dir.join("enabled_plugins"), "[rabbitmq_management].\n")
}
