//! Servers in containers. Each run has two, named after its id; data that is to be kept lies in named volumes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Server;
use super::private::{Life, Private};
use super::provider::{ADVANCED_CONFIG, BROKER_USER, DATABASE_SETTINGS, DATABASE_USER, Provider};
use crate::{files, process};

/// The containers of a run.
pub(super) struct Docker;

/// Checks that an engine can be reached and has, or can pull, the images.
///
/// # Errors
/// When it cannot.
pub(super) fn prepare(servers: &[Server]) -> Result<()> {
    if !process::succeeds(docker().arg("info")) {
        bail!("no engine answers `docker info`");
    }
    for server in servers {
        let image = image(*server);
        if !process::succeeds(docker().args(["image", "inspect", image])) {
            process::say(&format!("pulling the image {image}"));
            process::run(docker().args(["pull", "--quiet", image]), &format!("docker pull {image}"))?;
        }
    }
    Ok(())
}

impl Provider for Docker {
    fn prepare(&self, servers: &[Server]) -> Result<()> {
        prepare(servers).context("--infra docker needs a Docker engine with the images, or that can pull them")
    }

    fn make_data_dir(&self, _run: &Path, _id: &str) -> Result<Option<PathBuf>> {
        Ok(None)
    }

    fn start(&self, private: &Private, server: Server) -> Result<()> {
        let name = container(private, server);
        if !process::succeeds(docker().args(["container", "inspect", &name])) {
            process::output(&mut create(private, server), None)?;
            if server == Server::Broker {
                // Copied, not mounted, since the engine may see another file system than we do.
                let config = private.run().join("advanced.config");
                files::write_shared(&config, ADVANCED_CONFIG)?;
                let target = format!("{name}:/etc/rabbitmq/advanced.config");
                process::output(docker().arg("cp").arg(&config).arg(target), None)?;
                files::remove(&config)?;
            }
        }
        process::output(docker().args(["start", &name]), None).map(drop)
    }

    fn runs(&self, private: &Private, server: Server) -> bool {
        let name = container(private, server);
        process::output(docker().args(["container", "inspect", "--format", "{{.State.Running}}", &name]), None)
            .is_ok_and(|running| running.trim() == "true")
    }

    fn last_words(&self, private: &Private, server: Server) -> String {
        let both = format!("docker logs --tail 10 {} 2>&1", container(private, server));
        process::output(Command::new("sh").args(["-c", &both]), None).unwrap_or_default()
    }

    fn stop(&self, private: &Private, server: Server) {
        let name = container(private, server);
        if server == Server::Broker && self.runs(private, server) {
            // Of an image whose first process is Debian's start script, which passes no signal on.
            process::succeeds(docker().args(["exec", &name, "rabbitmqctl", "shutdown"]));
        }
        process::succeeds(docker().args(["stop", "-t", "60", &name]));
    }

    fn kill(&self, private: &Private, server: Server) {
        process::succeeds(docker().args(["kill", &container(private, server)]));
    }

    fn remove(&self, private: &Private, server: Server, with_data: bool) {
        let name = container(private, server);
        // With --volumes go the unnamed ones; the named one is removed by its name.
        process::succeeds(docker().args(["rm", "--force", "--volumes", &name]));
        if with_data {
            process::succeeds(docker().args(["volume", "rm", "--force", &name]));
        }
    }

    fn rabbitmqctl(&self, private: &Private) -> Command {
        let mut command = docker();
        command.args(["exec", &container(private, Server::Broker), "rabbitmqctl"]);
        command
    }

    fn psql(&self, private: &Private, database: &str) -> Command {
        let mut command = docker();
        command.args(["exec", "--interactive", &container(private, Server::Database)]);
        command.args(["psql", "--username", DATABASE_USER, "--dbname", database]);
        command
    }
}

fn docker() -> Command {
    Command::new("docker")
}

fn image(server: Server) -> &'static str {
    match server {
        Server::Broker => "rabbitmq:4-management",
        Server::Database => "postgres:17",
    }
}

/// The name of a run's container, and of the volume with its data.
fn container(private: &Private, server: Server) -> String {
    match server {
        Server::Broker => format!("warren-{}-broker", private.id),
        Server::Database => format!("warren-{}-database", private.id),
    }
}

fn create(private: &Private, server: Server) -> Command {
    let name = container(private, server);
    let ports = &private.ports;
    let mut command = docker();
    let publish = |host: u16, inside: u16| format!("127.0.0.1:{host}:{inside}");
    let (published, data, variables) = match server {
        Server::Broker => (
            vec![publish(ports.broker, 5672), publish(ports.management, 15672)],
            "/var/lib/rabbitmq",
            vec![format!("RABBITMQ_DEFAULT_USER={BROKER_USER}"), format!("RABBITMQ_DEFAULT_PASS={}", private.password)],
        ),
        Server::Database => (
            vec![publish(ports.database, 5432)],
            "/var/lib/postgresql/data",
            vec![format!("POSTGRES_USER={DATABASE_USER}"), format!("POSTGRES_PASSWORD={}", private.password)],
        ),
    };
    // The broker's node, and so its data, is named after the host.
    command.args(["create", "--name", &name, "--hostname", "warren"]);
    for port in published {
        command.args(["--publish", &port]);
    }
    for variable in variables {
        command.args(["--env", &variable]);
    }
    if private.life() == Life::Keep {
        command.args(["--volume", &format!("{name}:{data}")]);
    }
    command.arg(image(server));
    if server == Server::Database {
        command.arg("postgres");
        for setting in DATABASE_SETTINGS {
            command.args(["-c", setting]);
        }
    }
    command
}
