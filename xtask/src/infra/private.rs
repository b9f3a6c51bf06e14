//! Servers of our own: what containers and native processes have in common.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::Server;
use super::provider::{BROKER_USER, DATABASE_USER, Provider, Way};
use crate::{files, interrupt, net, process};

const START_LIMIT: Duration = Duration::from_secs(120);

/// What happens to the data when the servers stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Life {
    /// It stays, for the next time.
    Keep,
    /// It goes.
    Throwaway,
}

/// What can be done to one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Action {
    /// An orderly stop.
    Stop,
    /// A start; ends when the server can be used.
    Start,
    /// SIGKILL: as if it had crashed.
    Kill,
    /// An orderly stop and a start.
    Restart,
    /// Of the broker: memory runs out, so that it blocks whoever publishes.
    Alarm,
    /// The end of that.
    Calm,
    /// Of the broker: it waits ten seconds for an acknowledgement, and looks every two; on channels that are opened later.
    Impatient,
    /// The end of that: half an hour and once a minute, its defaults.
    Patient,
}

/// The servers of one run, as they are recorded in its folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Private {
    /// The run's folder. Not recorded: a checkout can be moved.
    #[serde(skip)]
    run: PathBuf,
    way: Way,
    life: Life,
    /// Distinguishes containers, volumes, nodes and folders of different runs.
    pub(super) id: String,
    /// Where native servers have their files, when that is not the run's folder.
    elsewhere: Option<PathBuf>,
    pub(super) password: String,
    pub(super) ports: Ports,
    /// Whether the servers have once been ready.
    initialised: bool,
}

/// The ports of 127.0.0.1 that a run uses; the last two are the Erlang node's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ports {
    pub(super) database: u16,
    pub(super) broker: u16,
    pub(super) management: u16,
    pub(super) distribution: u16,
    pub(super) epmd: u16,
}

impl Ports {
    /// Keeps the ports that are still free, and finds others for the rest.
    fn choose(&mut self) -> Result<()> {
        let Ports { database, broker, management, distribution, epmd } = self;
        let mut chosen = Vec::new();
        for port in [database, broker, management, distribution, epmd] {
            while *port == 0 || chosen.contains(port) || !net::is_free(*port) {
                *port = net::free_port()?;
            }
            chosen.push(*port);
        }
        Ok(())
    }
}

impl Private {
    /// The servers that this folder has data of. What was never ready, and so may be half made, is deleted.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub(super) fn with_data(dir: &Path) -> Result<Option<Private>> {
        let recorded = Private::load(dir)?;
        if let Some(half_made) = recorded.as_ref().filter(|recorded| !recorded.initialised) {
            half_made.delete();
            return Ok(None);
        }
        Ok(recorded)
    }

    /// The servers that this folder tells of, whether they run or not.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub(crate) fn load(dir: &Path) -> Result<Option<Private>> {
        let file = record(dir);
        if !file.exists() {
            return Ok(None);
        }
        let json = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut private: Private =
            serde_json::from_str(&json).with_context(|| format!("{} is damaged", file.display()))?;
        private.run = dir.to_path_buf();
        Ok(Some(private))
    }

    fn save(&self) -> Result<()> {
        files::write_private(&record(&self.run), &serde_json::to_string_pretty(self)?)
    }

    /// Starts servers of a run, with the data there is.
    ///
    /// # Errors
    /// When one does not start; none runs then.
    pub(super) fn start_all(&mut self, servers: &[Server]) -> Result<()> {
        if !self.initialised {
            self.elsewhere = self.provider().make_data_dir(&self.run, &self.id)?;
        }
        self.ports.choose()?;
        // Recorded before anything starts: whoever comes after a crash must find it.
        self.save()?;
        for server in servers {
            if let Err(error) = self.start(*server) {
                self.stop_all();
                return Err(error);
            }
        }
        self.initialised = true;
        self.save()
    }

    /// Servers that have never run.
    ///
    /// # Errors
    /// When there are no random bytes to name them by.
    pub(super) fn new(dir: &Path, way: Way, life: Life) -> Result<Private> {
        Ok(Private {
            run: dir.to_path_buf(),
            way,
            life,
            elsewhere: None,
            id: net::random_hex::<4>()?,
            password: net::random_hex::<16>()?,
            ports: Ports { database: 0, broker: 0, management: 0, distribution: 0, epmd: 0 },
            initialised: false,
        })
    }

    fn provider(&self) -> &'static dyn Provider {
        self.way.provider()
    }

    /// Where they run.
    pub(crate) fn way(&self) -> Way {
        self.way
    }

    pub(super) fn run(&self) -> &Path {
        &self.run
    }

    pub(super) fn elsewhere(&self) -> Option<&Path> {
        self.elsewhere.as_deref()
    }

    pub(super) fn life(&self) -> Life {
        self.life
    }

    /// Does something to one server, and waits until it is done.
    ///
    /// # Errors
    /// When a start fails.
    pub(crate) fn act(&self, server: Server, action: Action) -> Result<()> {
        match action {
            Action::Stop => self.provider().stop(self, server),
            Action::Kill => self.provider().kill(self, server),
            Action::Start => self.start(server)?,
            Action::Restart => {
                self.provider().stop(self, server);
                self.start(server)?;
            }
            // The least memory that it may use, and its default.
            Action::Alarm => self.limit_memory("0.000001")?,
            Action::Calm => self.limit_memory("0.4")?,
            Action::Impatient => self.wait_for_acknowledgements(10, 2)?,
            Action::Patient => self.wait_for_acknowledgements(30 * 60, 60)?,
        }
        Ok(())
    }

    fn limit_memory(&self, fraction: &str) -> Result<()> {
        let mut command = self.provider().rabbitmqctl(self);
        process::output(command.args(["set_vm_memory_high_watermark", fraction]), None).map(drop)
    }

    fn wait_for_acknowledgements(&self, seconds: u32, tick: u32) -> Result<()> {
        let set = |name, seconds| format!("application:set_env(rabbit, {name}, {})", seconds * 1000);
        let code = format!("{}, {}.", set("consumer_timeout", seconds), set("channel_tick_interval", tick));
        process::output(self.provider().rabbitmqctl(self).args(["eval", &code]), None).map(drop)
    }

    fn start(&self, server: Server) -> Result<()> {
        let product = server.product();
        let provider = self.provider();
        if !provider.runs(self, server) {
            process::say(&format!("starting {product} ({}, port {})", self.way.name(), self.port(server)));
            provider.start(self, server)?;
        }
        let waited = process::wait_until(product, START_LIMIT, || {
            ensure!(provider.runs(self, server), "{product} ended at its start");
            Ok(self.answers(server))
        });
        match waited {
            Err(error) if !error.is::<interrupt::Interrupted>() => {
                let words = process::last_lines(&provider.last_words(self, server), 10);
                Err(error.context(format!("{product} did not start, its last words:\n{words}")))
            }
            waited => waited,
        }
    }

    fn port(&self, server: Server) -> u16 {
        match server {
            Server::Broker => self.ports.broker,
            Server::Database => self.ports.database,
        }
    }

    fn answers(&self, server: Server) -> bool {
        match server {
            Server::Broker => {
                let management = format!("127.0.0.1:{}", self.ports.management);
                net::broker_answers(self.ports.broker)
                    && net::http("GET", &management, "/", None, None).is_ok_and(|answer| answer.status == 200)
            }
            Server::Database => net::database_answers(self.ports.database),
        }
    }

    /// Stops both servers; afterwards nothing of them is left but data that is to be kept.
    pub(crate) fn stop_all(&self) {
        for server in Server::ALL {
            if self.provider().runs(self, server) {
                process::say(&format!("stopping {}", server.product()));
            }
            // An orderly stop of the broker takes seconds, and is only good for data that is to be kept.
            match self.life {
                Life::Keep => self.provider().stop(self, server),
                Life::Throwaway => self.provider().kill(self, server),
            }
            self.provider().remove(self, server, self.life == Life::Throwaway);
        }
    }

    /// Stops both servers and deletes their data and their record.
    pub(crate) fn delete(&self) {
        self.stop_all();
        Server::ALL.iter().for_each(|server| self.provider().remove(self, *server, true));
        // A record that cannot be removed will be found, and its data made anew.
        let _ = fs::remove_file(record(&self.run));
    }

    pub(super) fn amqp_url(&self) -> String {
        format!("amqp://{BROKER_USER}:{}@127.0.0.1:{}", self.password, self.ports.broker)
    }

    pub(super) fn database_url(&self, name: &str) -> String {
        format!("postgres://{DATABASE_USER}:{}@127.0.0.1:{}/{name}", self.password, self.ports.database)
    }

    pub(super) fn management_url(&self) -> String {
        format!("http://{BROKER_USER}:{}@127.0.0.1:{}", self.password, self.ports.management)
    }

    pub(super) fn psql(&self, database: &str) -> Command {
        self.provider().psql(self, database)
    }
}

fn record(dir: &Path) -> PathBuf {
    dir.join("infra.json")
}
