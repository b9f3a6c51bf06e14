//! What a test can choose about its system before it starts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use uuid::Uuid;

use crate::broker::{self, Vhost};
use crate::database::{self, Database};
use crate::mailbox::Mailbox;
use crate::proxy::Proxy;
use crate::service::{SERVICES, Service};
use crate::smtp::SmtpServer;
use crate::system::System;
use crate::token::Tokens;

/// The ladder of the tests: short, and long enough to be climbed step by step.
pub const RETRY_DELAYS: &str = "100ms,200ms,400ms";

/// How many attempts that ladder gives a message.
pub const ATTEMPTS: usize = 4;

/// The address of the mails that are not for customers.
pub const OPS_ADDRESS: &str = "ops@warren.test";

/// A system that is being set up.
#[derive(Debug, Default)]
pub struct Setup {
    variables: Vec<(Option<&'static str>, &'static str, String)>,
    mail_server: Option<SmtpServer>,
    proxies: Option<bool>,
}

/// The ways from the services of one system to their servers.
#[derive(Debug)]
pub struct Proxies {
    /// To RabbitMQ.
    pub broker: Proxy,
    /// To PostgreSQL.
    pub database: Proxy,
}

impl Setup {
    /// Sets a variable for all services.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((None, name, value.to_owned()));
        self
    }

    /// Sets a variable for one service.
    #[must_use]
    pub fn env_of(mut self, service: &'static str, name: &'static str, value: &str) -> Self {
        self.variables.push((Some(service), name, value.to_owned()));
        self
    }

    /// Sends mails to a server of the test's own instead of into files.
    #[must_use]
    pub fn mail_server(mut self, server: &SmtpServer) -> Self {
        self.mail_server = Some(server.clone());
        self
    }

    /// Puts proxies before the broker and the database, open or cut.
    #[must_use]
    pub fn proxies(mut self, open: bool) -> Self {
        self.proxies = Some(open);
        self
    }

    /// Makes the system, migrates, starts the three services and waits until they are ready.
    pub async fn start(self) -> System {
        let system = self.prepare().await;
        system.migrate().await;
        let services = [&system.order, &system.inventory, &system.email];
        join_all(services.map(Service::start_and_wait)).await;
        system
    }

    /// Makes vhost, databases and whatever else is around the services, and starts none.
    pub async fn prepare(self) -> System {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("warren-e2e-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(&name);
        let mail_folder = folder.join("mail");
        // of a process of the same number, long ago
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&mail_folder).unwrap_or_else(|error| panic!("{}: {error}", mail_folder.display()));

        let proxies = match self.proxies {
            None => None,
            Some(open) => Some(Proxies {
                broker: Proxy::to(broker::broker_address(), open).await,
                database: Proxy::to(database::server_address(), open).await,
            }),
        };
        let names = SERVICES.map(|service| format!("{name}-{service}"));
        let made = join_all(names.iter().map(|name| Database::create(name))).await;
        let databases: BTreeMap<&'static str, Database> = SERVICES.into_iter().zip(made).collect();
        let broker = Vhost::create(&name).await;
        let secret = Uuid::new_v4().simple().to_string();
        let surroundings = Surroundings {
            setup: &self,
            proxies: proxies.as_ref(),
            broker: &broker,
            databases: &databases,
            mailbox: self.mail_server.clone().map_or(Mailbox::Folder(mail_folder), Mailbox::Server),
            // 32 bytes: the standard asks for 24 to 64.
            webhook_secret: format!("whsec_{}", STANDARD.encode(Uuid::new_v4().simple().to_string())),
            secret,
            folder,
        };
        let [order, inventory, email] = SERVICES.map(|service| surroundings.service(service, service));
        let Surroundings { mailbox, secret, webhook_secret, folder, .. } = surroundings;
        System {
            order,
            inventory,
            email,
            copies: Mutex::default(),
            tokens: Tokens::new(&secret),
            webhook_secret,
            proxies,
            broker,
            databases,
            mailbox,
            personal: Mutex::default(),
            repeated_mails: AtomicUsize::new(0),
            folder,
            finished: false,
        }
    }
}

/// What the variables of a service are made of.
struct Surroundings<'a> {
    setup: &'a Setup,
    proxies: Option<&'a Proxies>,
    broker: &'a Vhost,
    databases: &'a BTreeMap<&'static str, Database>,
    mailbox: Mailbox,
    secret: String,
    webhook_secret: String,
    folder: PathBuf,
}

impl Surroundings<'_> {
    fn service(&self, name: &'static str, log: &str) -> Service {
        let proxied = |of: fn(&Proxies) -> &Proxy| self.proxies.map(|proxies| of(proxies).address());
        let broker = proxied(|proxies| &proxies.broker);
        let database = proxied(|proxies| &proxies.database);
        let mut variables = BTreeMap::new();
        let mut set = |name: &str, value: &str| variables.insert(name.to_owned(), value.to_owned());
        set("AMQP_URL", &self.broker.url(broker.as_deref()));
        set("DATABASE_URL", &self.databases[name].url(database.as_deref()));
        set("AUTH_HS256_SECRET", &self.secret);
        set("RETRY_DELAYS", RETRY_DELAYS);
        set("LOG_FORMAT", "json");
        match name {
            "order" => {
                set("PAYMENT_WEBHOOK_SECRET", &self.webhook_secret);
            }
            "email" => {
                set("SMTP_URL", &self.mailbox.url());
                set("EMAIL_FROM", "Warren <shop@warren.test>");
                set("EMAIL_OPS", OPS_ADDRESS);
            }
            _ => {}
        }
        for (service, variable, value) in &self.setup.variables {
            if service.is_none_or(|service| service == name) {
                set(variable, value);
            }
        }
        let token = Tokens::new(&self.secret).staff();
        Service::new(name, variables, token, self.folder.join(format!("{log}.log")))
    }
}
