//! The three services and the console: their names, ports and settings.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::net;
use crate::secrets::Secrets;

/// A service, which is also the name of its package, binary and database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Service {
    /// Customers, orders, payments.
    Order,
    /// Products, stock, reservations.
    Inventory,
    /// Mails.
    Email,
}

impl Service {
    /// All of them, in the order of their default ports.
    pub(crate) const ALL: [Service; 3] = [Service::Order, Service::Inventory, Service::Email];

    /// The name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::Order => "order",
            Service::Inventory => "inventory",
            Service::Email => "email",
        }
    }

    /// The variable of `.dev/env` with the address of its REST interface.
    pub(crate) fn url_variable(self) -> &'static str {
        match self {
            Service::Order => "ORDER_URL",
            Service::Inventory => "INVENTORY_URL",
            Service::Email => "EMAIL_URL",
        }
    }

    /// The variable of `.dev/env` with the address of its database.
    pub(crate) fn database_url_variable(self) -> &'static str {
        match self {
            Service::Order => "ORDER_DATABASE_URL",
            Service::Inventory => "INVENTORY_DATABASE_URL",
            Service::Email => "EMAIL_DATABASE_URL",
        }
    }
}

/// What a supervisor keeps running, and a person restarts and reads the log of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Program {
    /// Customers, orders, payments.
    Order,
    /// Products, stock, reservations.
    Inventory,
    /// Mails.
    Email,
    /// The web page for operators, which is a command of `warren`.
    Console,
}

impl Program {
    /// All of them.
    pub(crate) const ALL: [Program; 4] = [Program::Order, Program::Inventory, Program::Email, Program::Console];

    /// The name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Program::Order => Service::Order.name(),
            Program::Inventory => Service::Inventory.name(),
            Program::Email => Service::Email.name(),
            Program::Console => "console",
        }
    }

    /// The binary, and its arguments.
    pub(crate) fn command(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Program::Console => ("warren", &["console"]),
            service => (service.name(), &[]),
        }
    }
}

impl From<Service> for Program {
    fn from(service: Service) -> Self {
        match service {
            Service::Order => Program::Order,
            Service::Inventory => Program::Inventory,
            Service::Email => Program::Email,
        }
    }
}

/// Where the services listen, as `host:port`, and whether that is not where one would look first.
pub(crate) struct Addresses {
    /// One per service.
    pub(crate) of: BTreeMap<Service, String>,
    /// Services whose default port was taken.
    pub(crate) moved: Vec<Service>,
}

impl Addresses {
    /// Where a caller on this machine reaches a service that may listen on all addresses.
    pub(crate) fn to_call(&self, service: Service) -> String {
        to_call(&self.of[&service])
    }
}

/// Where a caller on this machine reaches who may listen on all addresses.
pub(crate) fn to_call(address: &str) -> String {
    address.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")
}

/// Chooses the addresses: ports 8080 to 8082 of 127.0.0.1, a free one for each that is taken. `HTTP_ADDR`, of which
/// three services can only share the host, is the address of the first; the others follow it.
///
/// # Errors
/// When `HTTP_ADDR` is no address.
pub(crate) fn addresses(http_addr: Option<&str>) -> Result<Addresses> {
    let mut of = BTreeMap::new();
    let mut moved = Vec::new();
    if let Some(given) = http_addr {
        let (host, port) = given.rsplit_once(':').with_context(|| format!("HTTP_ADDR={given} is not HOST:PORT"))?;
        let port: u16 = port.parse().with_context(|| format!("HTTP_ADDR={given} is not HOST:PORT"))?;
        for (service, offset) in Service::ALL.into_iter().zip(0..) {
            let Some(port) = port.checked_add(offset) else { bail!("HTTP_ADDR={given}: no room for three ports") };
            of.insert(service, format!("{host}:{port}"));
        }
    } else {
        for (service, default) in Service::ALL.into_iter().zip(8080..) {
            let port = if net::is_free(default) {
                default
            } else {
                moved.push(service);
                net::free_port()?
            };
            of.insert(service, format!("127.0.0.1:{port}"));
        }
    }
    Ok(Addresses { of, moved })
}

/// Where the console listens: where the caller wants it, else on port 8090, or on a free one if that is taken.
///
/// # Errors
/// When no port is free.
pub(crate) fn console_address(given: Option<String>) -> Result<String> {
    const DEFAULT: u16 = 8090;
    match given {
        Some(given) => Ok(given),
        None if net::is_free(DEFAULT) => Ok(format!("127.0.0.1:{DEFAULT}")),
        None => Ok(format!("127.0.0.1:{}", net::free_port()?)),
    }
}

/// The variables that the console needs: where everything is, and what it plays the payment provider with. It needs no
/// token and no key.
pub(crate) fn console_settings(
    caller: &impl Caller,
    address: &str,
    urls: Vec<(&'static str, String)>,
    secrets: &Secrets,
) -> Settings {
    let mut settings = urls;
    settings.push(("CONSOLE_ADDR", address.to_owned()));
    if !caller.has("PAYMENT_WEBHOOK_SECRET") {
        settings.push(("PAYMENT_WEBHOOK_SECRET", secrets.webhook.clone()));
    }
    settings
}

/// The variables of the process that calls us.
pub(crate) trait Caller {
    /// The value of one, unless it is unset or empty.
    fn get(&self, name: &str) -> Option<String>;

    /// Whether the caller says something himself, directly or by a file.
    fn has(&self, name: &str) -> bool {
        self.get(name).is_some() || self.get(&format!("{name}_FILE")).is_some()
    }
}

/// The environment of this process.
pub(crate) struct Environment;

impl Caller for Environment {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }
}

/// Variables and their values.
pub(crate) type Settings = Vec<(&'static str, String)>;

/// What is decided for a service: where it listens, what it is connected to, and what is taken where the caller does
/// not say.
pub(crate) struct Wiring<'a> {
    /// `host:port` to listen on.
    pub(crate) address: &'a str,
    /// The broker.
    pub(crate) amqp_url: String,
    /// The service's own database.
    pub(crate) database_url: String,
    /// Keys.
    pub(crate) secrets: &'a Secrets,
    /// Where mails land as files.
    pub(crate) mail_dir: &'a Path,
}

/// The variables that a service needs beside those that it inherits. What the caller has set goes before our choice,
/// except for the addresses of the servers, which `--infra` decides.
pub(crate) fn settings(service: Service, caller: &impl Caller, wiring: Wiring<'_>) -> Settings {
    let mut settings = vec![
        ("HTTP_ADDR", wiring.address.to_owned()),
        ("AMQP_URL", wiring.amqp_url),
        ("DATABASE_URL", wiring.database_url),
    ];
    let mut unless_set = |name: &'static str, value: String| {
        if !caller.has(name) {
            settings.push((name, value));
        }
    };
    // The output goes to a file, where the service would choose JSON; a person reads it.
    unless_set("LOG_FORMAT", "pretty".to_owned());
    // As in the containers: see the Dockerfile.
    unless_set("MALLOC_ARENA_MAX", "1".to_owned());
    if !chooses_authentication(caller) {
        unless_set("AUTH_HS256_SECRET", wiring.secrets.auth.clone());
    }
    match service {
        Service::Order => unless_set("PAYMENT_WEBHOOK_SECRET", wiring.secrets.webhook.clone()),
        Service::Inventory => {}
        Service::Email => {
            unless_set("SMTP_URL", format!("file://{}", wiring.mail_dir.display()));
            unless_set("EMAIL_FROM", EMAIL_FROM.to_owned());
            unless_set("EMAIL_OPS", EMAIL_OPS.to_owned());
        }
    }
    settings
}

/// The sender, unless the caller names one.
const EMAIL_FROM: &str = "Warren <shop@warren.example>";

/// Who gets the low-stock mails, unless the caller names somebody.
pub(crate) const EMAIL_OPS: &str = "ops@warren.example";

/// Files that would contradict what we set.
pub(crate) const OVERRULED: [&str; 7] = [
    "HTTP_ADDR_FILE",
    "AMQP_URL_FILE",
    "DATABASE_URL_FILE",
    "CONSOLE_ADDR_FILE",
    "ORDER_URL_FILE",
    "INVENTORY_URL_FILE",
    "EMAIL_URL_FILE",
];

/// Whether the caller brings keys of his own, or wants none.
pub(crate) fn chooses_authentication(caller: &impl Caller) -> bool {
    caller.get("AUTH_JWKS_FILE").is_some() || caller.get("AUTH_DISABLED").is_some() || caller.has("AUTH_HS256_SECRET")
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Caller for BTreeMap<&str, &str> {
        fn get(&self, name: &str) -> Option<String> {
            BTreeMap::get(self, name).map(|value| (*value).to_owned())
        }
    }

    fn names(service: Service, caller: &BTreeMap<&str, &str>) -> Vec<&'static str> {
        let secrets = Secrets { auth: "a".into(), webhook: "w".into() };
        let wiring = Wiring {
            address: "127.0.0.1:1",
            amqp_url: "amqp://h".into(),
            database_url: "postgres://h/d".into(),
            secrets: &secrets,
            mail_dir: Path::new("/mail"),
        };
        settings(service, caller, wiring).into_iter().map(|(name, _)| name).skip(3).collect()
    }

    #[test]
    fn what_the_caller_sets_is_left_to_him() {
        let nothing = BTreeMap::new();
        let made = ["LOG_FORMAT", "MALLOC_ARENA_MAX", "AUTH_HS256_SECRET", "PAYMENT_WEBHOOK_SECRET"];
        assert_eq!(names(Service::Order, &nothing), made);
        assert_eq!(names(Service::Inventory, &nothing), made[..3]);
        let own = BTreeMap::from([("AUTH_JWKS_FILE", "/keys"), ("PAYMENT_WEBHOOK_SECRET_FILE", "/w")]);
        assert_eq!(names(Service::Order, &own), ["LOG_FORMAT", "MALLOC_ARENA_MAX"]);
        let own = BTreeMap::from([("AUTH_DISABLED", "true"), ("SMTP_URL", "smtp://h"), ("LOG_FORMAT", "json")]);
        assert_eq!(names(Service::Email, &own), ["MALLOC_ARENA_MAX", "EMAIL_FROM", "EMAIL_OPS"]);
    }

    #[test]
    fn a_given_address_is_that_of_the_first_service() {
        let given = addresses(Some("0.0.0.0:9000")).unwrap();
        assert_eq!(given.of.values().collect::<Vec<_>>(), ["0.0.0.0:9000", "0.0.0.0:9001", "0.0.0.0:9002"]);
        assert_eq!(given.to_call(Service::Email), "127.0.0.1:9002");
        assert!(addresses(Some("9000")).is_err());
        assert!(addresses(Some("h:65534")).is_err());
    }
}
