//! A whole system: three services with their databases, a vhost and a mailbox, made for one test and gone after it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use sqlx::Row as _;

use crate::broker::{Found, Vhost};
use crate::database::Database;
use crate::http::Api;
use crate::mailbox::Mailbox;
use crate::service::{SERVICES, Service, last_lines};
use crate::setup::{OPS_ADDRESS, Proxies, Setup};
use crate::token::Tokens;
use crate::webhook::Provider;

/// How much of each log a failing test shows.
const SHOWN_LINES: usize = 25;

/// The shortest name that is looked for where nothing personal may be.
const SHORTEST_PERSONAL: usize = 6;

/// A system. Ends with [`System::finish`]; a test that fails before shows the ends of the logs.
#[derive(Debug)]
pub struct System {
    /// The service `order`.
    pub order: Service,
    /// The service `inventory`.
    pub inventory: Service,
    /// The service `email`.
    pub email: Service,
    /// Where mails go.
    pub mailbox: Mailbox,
    /// Makes bearer tokens.
    pub tokens: Tokens,
    /// The vhost.
    pub broker: Vhost,
    pub(crate) copies: Mutex<Vec<Arc<Service>>>,
    pub(crate) webhook_secret: String,
    pub(crate) proxies: Option<Proxies>,
    pub(crate) databases: BTreeMap<&'static str, Database>,
    pub(crate) personal: Mutex<Vec<String>>,
    pub(crate) repeated_mails: AtomicUsize,
    pub(crate) folder: PathBuf,
    pub(crate) finished: bool,
}

impl System {
    /// A system as it comes, started and ready.
    pub async fn start() -> System {
        Self::setup().start().await
    }

    /// A system to be set up.
    pub fn setup() -> Setup {
        Setup::default()
    }

    /// The service of that name.
    ///
    /// # Panics
    /// When there is none.
    pub fn service(&self, name: &str) -> &Service {
        match name {
            "order" => &self.order,
            "inventory" => &self.inventory,
            "email" => &self.email,
            _ => panic!("no service {name}"),
        }
    }

    /// The database of a service.
    pub fn database(&self, service: &str) -> &Database {
        &self.databases[service]
    }

    /// The ways to the servers.
    ///
    /// # Panics
    /// When the system was set up without.
    pub fn proxies(&self) -> &Proxies {
        self.proxies.as_ref().expect("a system with proxies")
    }

    /// The payment provider that calls `order` back.
    pub fn provider(&self) -> Provider {
        Provider::new(self.order.api().clone(), &self.webhook_secret)
    }

    /// The payment provider that calls a copy of `order` back.
    pub fn provider_at(&self, api: &Api) -> Provider {
        Provider::new(api.clone(), &self.webhook_secret)
    }

    /// Where this system keeps its files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs `SERVICE migrate` for each.
    ///
    /// # Panics
    /// When one fails.
    pub async fn migrate(&self) {
        let migrations = SERVICES.map(|name| self.service(name).run(&["migrate"]));
        for (name, run) in SERVICES.into_iter().zip(join_all(migrations).await) {
            assert!(run.status.success(), "{name} migrate: {}: {}{}", run.status, run.stdout, run.stderr);
        }
    }

    /// One more process of a service, which shares its database and queue; ready.
    pub async fn add_copy(&self, name: &str) -> Arc<Service> {
        let original = self.service(name);
        let count = self.copies().len();
        let log = self.folder.join(format!("{name}-copy-{count}.log"));
        let copy = Arc::new(Service::new(original.name, original.variables().clone(), self.tokens.staff(), log));
        self.copies().push(Arc::clone(&copy));
        copy.start_and_wait().await;
        copy
    }

    fn copies(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Service>>> {
        self.copies.lock().expect("nobody panics with the lock")
    }

    /// How many messages the running copies of a service have brought to that outcome since they started.
    ///
    /// # Panics
    /// When one of them does not tell.
    pub async fn processed(&self, name: &str, outcome: &str) -> f64 {
        let mut sum = 0.0;
        let copies = self.copies().clone();
        let original = std::iter::once(self.service(name));
        for copy in original.chain(copies.iter().map(AsRef::as_ref).filter(|copy| copy.name == name)) {
            let told = copy.metric("warren_messages_processed_total", &[("outcome", outcome)]).await;
            sum += told.unwrap_or_else(|error| panic!("{name} does not tell: {error}")).unwrap_or(0.0);
        }
        sum
    }

    /// Every process that there was.
    pub fn processes(&self, look: impl FnMut(&Service)) {
        let copies = self.copies().clone();
        let services = [&self.order, &self.inventory, &self.email];
        services.into_iter().chain(copies.iter().map(AsRef::as_ref)).for_each(look);
    }

    /// Takes a service's dead letters, after a look at their headers.
    ///
    /// # Panics
    /// When one tells something personal.
    pub async fn take_dead(&self, service: &str) -> Vec<Found> {
        let found = self.broker.take(&format!("{service}.dead")).await;
        for letter in &found {
            self.assert_impersonal("the headers of a dead letter", &format!("{:?}", letter.headers));
        }
        found
    }

    /// Allows each mail to be handed over once more: a sender was killed, or could not hear or record the answer.
    pub fn allow_repeated_mails(&self) {
        self.repeated_mails.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn repeated_mails(&self) -> usize {
        self.repeated_mails.load(Ordering::Relaxed)
    }

    /// Remembers a name or an address, which from now on must not be seen where nothing personal may be.
    pub fn remember_personal(&self, text: &str) {
        self.personal.lock().expect("nobody panics with the lock").push(text.to_owned());
    }

    /// Remembers every name and address that anybody has put into this system, and the words of cancellations.
    async fn remember_everybody(&self) {
        let told = "select distinct told from event, lateral (values (data->>'name'), (data->>'email')) as t (told)
                    where data->>'email' is not null
                    union select cancel_note from orders";
        let kept = "select email as told from recipient union select name from recipient";
        for (service, sql) in [("order", told), ("email", kept)] {
            for row in self.database(service).rows(sql).await {
                let told: Option<String> = row.get("told");
                // Shorter ones are found in other words.
                if let Some(told) = told.filter(|told| told.len() >= SHORTEST_PERSONAL) {
                    self.remember_personal(&told);
                }
            }
        }
        self.remember_personal(OPS_ADDRESS);
    }

    /// Fails when `text` holds anything personal.
    ///
    /// # Panics
    /// When it does.
    pub fn assert_impersonal(&self, what: &str, text: &str) {
        let personal = self.personal.lock().expect("nobody panics with the lock").clone();
        for secret in personal {
            let found = text.lines().find(|line| line.contains(&secret));
            assert!(found.is_none(), "{what} told {secret:?}: {found:?}");
        }
    }

    /// Checks what must hold at the end of any test, stops everything and removes it.
    ///
    /// # Panics
    /// When something does not hold.
    pub async fn finish(mut self) {
        self.remember_everybody().await;
        self.audit().await;
        let copies = self.copies().clone();
        let services = [&self.order, &self.inventory, &self.email].into_iter().chain(copies.iter().map(AsRef::as_ref));
        join_all(services.map(Service::stop)).await;
        self.audit_logs();
        self.discard().await;
        self.finished = true;
    }

    /// Kills and removes everything, without the checks: for tests whose services never ran.
    pub async fn abandon(mut self) {
        self.discard().await;
        self.finished = true;
    }

    async fn discard(&self) {
        self.processes(Service::abandon);
        let databases = join_all(self.databases.values().map(Database::delete));
        tokio::join!(databases, self.broker.delete());
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    fn show_logs(&self) {
        eprintln!("the logs are kept in {}", self.folder.display());
        self.processes(|service| {
            let name = service.log_path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
            eprintln!("--- the last of {name}\n{}", last_lines(&service.log(), SHOWN_LINES));
        });
    }
}

impl Drop for System {
    /// After a failure: no process, vhost or database stays behind, the logs do.
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.processes(Service::abandon);
        self.show_logs();
        let (databases, broker) = (self.databases.clone(), self.broker.clone());
        // A runtime of its own, since this one is busy with dropping us.
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let databases = join_all(databases.values().map(Database::delete));
                tokio::join!(databases, broker.delete())
            });
        });
        if removed.join().is_err() {
            eprintln!("the vhost or a database could not be removed");
        }
        assert!(std::thread::panicking(), "a test must finish its system");
    }
}
