//! The whole system in one value: servers, migrated databases, running services. `up` shows it to a person. Whoever looks
//! after the services himself, as measurements do, begins with the [`Ground`] below them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::infra::private::Life;
use crate::infra::{Choice, Infra, Server};
use crate::run::Run;
use crate::secrets::Secrets;
use crate::services::{self, Addresses, Caller, Environment, Program, Service, Settings, Wiring};
use crate::state::State;
use crate::supervisor::Supervisor;
use crate::{files, net, process, shell, workspace};

/// How the system is to be started.
pub(crate) struct Options {
    /// Where the servers come from.
    pub(crate) infra: Choice,
    /// Whether to build for speed.
    pub(crate) release: bool,
    /// What becomes of the data.
    pub(crate) life: Life,
    /// Whether the console runs, too.
    pub(crate) console: bool,
}

/// A running system. It needs the [`Run`] that it was started in, and is to be dropped before it.
pub(crate) struct System {
    /// Looks after the services.
    pub(crate) supervisor: Supervisor,
    /// The servers.
    pub(crate) infra: Infra,
    /// Where the services listen.
    pub(crate) addresses: Addresses,
    /// Where the console listens, if it runs.
    pub(crate) console: Option<String>,
    /// The folder of the binaries, with the command line among them.
    pub(crate) bin_dir: PathBuf,
    /// A bearer token with all scopes; none when the caller's own keys verify tokens and he has set no `WARREN_TOKEN`.
    pub(crate) token: Option<String>,
}

const READY_LIMIT: Duration = Duration::from_secs(120);

impl System {
    /// Builds, provides servers, migrates, starts, and waits until every service is ready.
    ///
    /// # Errors
    /// When one of these fails; whatever was started by then is stopped again.
    pub(crate) fn start(run: &Run, options: &Options) -> Result<System> {
        let dir = run.dir();
        let ground = Ground::lay(run, options.infra, options.life, || workspace::build(options.release))?;
        let Ground { infra, bin_dir, secrets, addresses, .. } = &ground;
        let started = Service::ALL.map(|service| {
            let settings = ground.settings(service, &addresses.of[&service]);
            (service.into(), addresses.to_call(service), settings)
        });
        let mut started: Vec<(Program, String, Settings)> = started.into();
        let console = options.console.then(|| services::console_address(given("CONSOLE_ADDR")?)).transpose()?;
        if let Some(address) = &console {
            let urls = urls(infra, addresses);
            let settings = services::console_settings(&Environment, address, urls, secrets);
            started.push((Program::Console, services::to_call(address), settings));
        }
        let to_wait_for: Vec<(Program, String)> =
            started.iter().map(|(program, address, _)| (*program, address.clone())).collect();
        let (broker, database) = infra.addresses();
        let state = State {
            supervisor: std::process::id(),
            ready: false,
            release: options.release,
            infra: infra.name().to_owned(),
            broker,
            database,
            services: Vec::new(),
        };
        process::say("starting the services");
        let mut supervisor = Supervisor::start(dir, bin_dir, state, started)?;
        for (program, address) in to_wait_for {
            process::wait_until(program.name(), READY_LIMIT, || {
                supervisor.all_run()?;
                Ok(net::http("GET", &address, "/readyz", None, None).is_ok_and(|answer| answer.status == 200))
            })?;
        }
        let token = ground.token()?;
        let Ground { infra, bin_dir, secrets, addresses, mail_dir } = ground;
        let system = System { supervisor, infra, addresses, console, bin_dir, token };
        system.write_env(dir, &secrets, &mail_dir)?;
        Ok(system)
    }

    /// Writes the file that a shell can source to work with this system.
    fn write_env(&self, dir: &Path, secrets: &Secrets, mail_dir: &Path) -> Result<()> {
        let own = |name, ours: &str| given(name).map(|given| given.unwrap_or_else(|| ours.to_owned()));
        let mut variables = urls(&self.infra, &self.addresses);
        for service in Service::ALL {
            variables.push((service.database_url_variable(), self.infra.database_url(service.name())));
        }
        if let Some(address) = &self.console {
            variables.push(("CONSOLE_URL", format!("http://{}", services::to_call(address))));
        }
        let own_mail_dir = given("SMTP_URL")?.and_then(|url| url.strip_prefix("file://").map(str::to_owned));
        variables.push(("MAIL_DIR", own_mail_dir.unwrap_or_else(|| mail_dir.display().to_string())));
        variables.push(("AUTH_HS256_SECRET", own("AUTH_HS256_SECRET", &secrets.auth)?));
        variables.push(("PAYMENT_WEBHOOK_SECRET", own("PAYMENT_WEBHOOK_SECRET", &secrets.webhook)?));
        variables.push(("EMAIL_OPS", own("EMAIL_OPS", services::EMAIL_OPS)?));
        variables.push(("WARREN_TOKEN", self.token.clone().unwrap_or_default()));
        files::write_private(&dir.join("env"), &shell::exports(&variables))
    }
}

/// What services run on: servers with migrated databases, and what they are told of them.
pub(crate) struct Ground {
    /// The servers.
    pub(crate) infra: Infra,
    /// The folder of the binaries.
    pub(crate) bin_dir: PathBuf,
    /// Keys.
    pub(crate) secrets: Secrets,
    /// Where the services are to listen.
    pub(crate) addresses: Addresses,
    /// Where mails land as files.
    pub(crate) mail_dir: PathBuf,
}

impl Ground {
    /// Provides servers, builds, and migrates. `build` returns the folder of the binaries.
    ///
    /// # Errors
    /// When one of these fails.
    pub(crate) fn lay(run: &Run, infra: Choice, life: Life, build: impl FnOnce() -> Result<PathBuf>) -> Result<Ground> {
        let dir = run.dir();
        // What may fail at once comes before what takes minutes.
        let mut infra = Infra::choose(dir, infra, life, &Server::ALL)?;
        let bin_dir = build()?;
        infra.start(&Server::ALL)?;
        for service in Service::ALL {
            infra.create_database(service.name())?;
        }
        migrate(&infra, &bin_dir)?;

        let secrets = Secrets::load_or_make(dir)?;
        let addresses = services::addresses(Environment.get("HTTP_ADDR").as_deref())?;
        let mail_dir = dir.join("mail");
        files::make_dir(&mail_dir)?;
        Ok(Ground { infra, bin_dir, secrets, addresses, mail_dir })
    }

    /// The variables of a service, or of a copy of it, that listens on `address`.
    pub(crate) fn settings(&self, service: Service, address: &str) -> Settings {
        let wiring = Wiring {
            address,
            amqp_url: self.infra.amqp_url(),
            database_url: self.infra.database_url(service.name()),
            secrets: &self.secrets,
            mail_dir: &self.mail_dir,
        };
        services::settings(service, &Environment, wiring)
    }

    /// A token with all scopes that the services will accept, if there can be one.
    ///
    /// # Errors
    /// When the command line, which makes it, cannot be run.
    pub(crate) fn token(&self) -> Result<Option<String>> {
        token(&self.bin_dir, &self.secrets)
    }
}

/// Where the services and the broker are, for those who call them.
fn urls(infra: &Infra, addresses: &Addresses) -> Settings {
    let of = |service: Service| (service.url_variable(), format!("http://{}", addresses.to_call(service)));
    let mut urls: Settings = Service::ALL.map(of).into();
    urls.push(("AMQP_URL", infra.amqp_url()));
    urls.extend(infra.management_url().map(|url| ("RABBITMQ_MANAGEMENT_URL", url)));
    urls
}

/// Brings every service's database to the newest schema.
///
/// # Errors
/// When a migration fails.
pub(crate) fn migrate(infra: &Infra, bin_dir: &Path) -> Result<()> {
    process::say("migrating the databases");
    for service in Service::ALL {
        let mut command = Command::new(bin_dir.join(service.name()));
        command.arg("migrate").env("DATABASE_URL", infra.database_url(service.name()));
        command.env_remove("DATABASE_URL_FILE");
        process::output(&mut command, None).with_context(|| format!("cannot migrate {}", service.name()))?;
    }
    Ok(())
}

/// A token with all scopes, for a month, that the services will accept. Where the caller brings keys of which we have
/// not the secret half, it is the one that he has set.
fn token(bin_dir: &Path, secrets: &Secrets) -> Result<Option<String>> {
    let secret = match given("AUTH_HS256_SECRET")? {
        None if services::chooses_authentication(&Environment) => return Ok(Environment.get("WARREN_TOKEN")),
        secret => secret.unwrap_or_else(|| secrets.auth.clone()),
    };
    let mut command = Command::new(bin_dir.join("warren"));
    command.args(["token", "--ttl", "30d"]).env("AUTH_HS256_SECRET", secret).env_remove("AUTH_HS256_SECRET_FILE");
    Ok(Some(process::output(&mut command, None)?.trim().to_owned()))
}

/// What the caller has set, directly or by a file.
fn given(name: &str) -> Result<Option<String>> {
    match (Environment.get(name), Environment.get(&format!("{name}_FILE"))) {
        (Some(value), _) => Ok(Some(value)),
        (None, None) => Ok(None),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {name}_FILE ({file})"))?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            Ok(Some(text.strip_suffix('\r').unwrap_or(text).to_owned()))
        }
    }
}
