//! One process of a service.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::environment::environment;
use crate::http::Api;
use crate::waiting::{check, eventually};

/// The three services, whose names are those of their binaries and queues.
pub const SERVICES: [&str; 3] = ["order", "inventory", "email"];

/// How long a stop may take: `SHUTDOWN_TIMEOUT` (30 s) and a little.
const STOP_LIMIT: Duration = Duration::from_secs(35);

/// How long a start may take, with every queue to be declared, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Variables of the caller that would change what a test sets up.
const CONFIGURATION: [&str; 36] = [
    "HTTP_ADDR",
    "DATABASE_URL",
    "AMQP_URL",
    "AUTH_JWKS_FILE",
    "AUTH_HS256_SECRET",
    "AUTH_DISABLED",
    "AUTH_ISSUER",
    "AUTH_AUDIENCE",
    "RETRY_DELAYS",
    "TOPOLOGY",
    "OUTBOX_MAX",
    "INBOX_RETENTION",
    "EVENT_RETENTION",
    "IDEMPOTENCY_RETENTION",
    "DATABASE_MAX_CONNECTIONS",
    "SHUTDOWN_TIMEOUT",
    "PREFETCH",
    "CONSUMER_BATCH",
    "HOLD_LIMIT",
    "PAYMENT_TIMEOUT",
    "PAYMENT_WEBHOOK_SECRET",
    "SMTP_URL",
    "EMAIL_FROM",
    "EMAIL_OPS",
    "LOG_FORMAT",
    "RUST_LOG",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "WARREN_FAILPOINT",
    "WARREN_BREAK",
    "NO_COLOR",
    "CLICOLOR_FORCE",
];

/// A process of a service, running or not. It keeps its address and its log over restarts.
#[derive(Debug)]
pub struct Service {
    /// `order`, `inventory` or `email`.
    pub name: &'static str,
    variables: Mutex<BTreeMap<String, String>>,
    api: Api,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

/// What a program did that ends by itself.
#[derive(Debug)]
pub struct Run {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said on standard output.
    pub stdout: String,
    /// What it said on standard error.
    pub stderr: String,
}

impl Service {
    /// A service that does not run yet, with these variables; `token` is that of its [`Self::api`].
    pub fn new(name: &'static str, mut variables: BTreeMap<String, String>, token: String, log: PathBuf) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let api = Api::new(format!("http://{address}"), Some(token));
        variables.insert("HTTP_ADDR".to_owned(), address);
        Self { name, variables: Mutex::new(variables), api, log, child: Mutex::new(None) }
    }

    /// Its REST interface, as the staff sees it.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where its log is.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Sets a variable for the next start; `None` takes it away.
    pub fn set(&self, name: &str, value: Option<&str>) {
        let mut variables = self.variables();
        match value {
            Some(value) => variables.insert(name.to_owned(), value.to_owned()),
            None => variables.remove(name),
        };
    }

    /// The variables of the next start.
    pub fn variables(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.variables.lock().expect("nobody panics with the lock")
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().expect("nobody panics with the lock")
    }

    /// Starts the process, and does not wait until it can do anything.
    ///
    /// # Panics
    /// When it runs already, or there is no such program.
    pub fn start(&self) {
        let log = || OpenOptions::new().create(true).append(true).open(&self.log).map(Stdio::from).expect("a log file");
        let mut command = command(self.name, &self.variables());
        command.stdout(log()).stderr(log());
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program(self.name).display()));
        let earlier = self.child().replace(child);
        assert!(earlier.is_none(), "{} runs already", self.name);
    }

    /// Starts the process and waits until it answers, ready or not: from then on it knows what SIGTERM means.
    pub async fn start_and_hear(&self) {
        self.start();
        eventually(&format!("{} answers", self.name), START_LIMIT, async || self.checks().await.map(drop)).await;
    }

    /// Starts the process and waits until it is ready.
    pub async fn start_and_wait(&self) {
        self.start();
        self.ready().await;
    }

    /// Waits until `/readyz` says so.
    pub async fn ready(&self) {
        eventually(&format!("{} is ready", self.name), START_LIMIT, async || {
            let answer = self.api.call(reqwest::Method::GET, "/readyz").try_send().await?;
            if let Some(status) = self.ended() {
                return Err(format!("it ended ({status}): {}", last_lines(&self.log(), 5)));
            }
            check(answer.status == 200, || answer.body)
        })
        .await;
    }

    /// The checks of `/readyz`.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn checks(&self) -> Result<(u16, Value), String> {
        let answer = self.api.without_token().call(reqwest::Method::GET, "/readyz").try_send().await?;
        Ok((answer.status, answer.json()["checks"].clone()))
    }

    /// How the process ended by itself, if it did.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.child().as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// SIGKILL: as if it had crashed.
    pub async fn kill(&self) {
        let child = self.child().take();
        if let Some(mut child) = child {
            child.kill().await.expect("a child can be killed");
        }
    }

    /// SIGSTOP: it keeps its connections, and does nothing.
    pub fn freeze(&self) {
        self.child().iter().for_each(|child| signal(child, Signal::STOP));
    }

    /// SIGCONT: it goes on.
    pub fn thaw(&self) {
        self.child().iter().for_each(|child| signal(child, Signal::CONT));
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not.
    pub async fn ends_by_itself(&self, why: &str) {
        eventually(&format!("{} ends: {why}", self.name), START_LIMIT, async || {
            check(self.ended().is_some(), || "it goes on".to_owned())
        })
        .await;
        self.child().take();
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Panics
    /// When it does not end in time, or with another status than 0.
    pub async fn stop(&self) {
        let child = self.child().take();
        let Some(mut child) = child else { return };
        signal(&child, Signal::TERM);
        let ended = timeout(STOP_LIMIT, child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("{} did not stop: {}", self.name, last_lines(&self.log(), 10)));
        let status = status.expect("a child can be waited for");
        assert!(status.success(), "{} stopped with {status}: {}", self.name, last_lines(&self.log(), 10));
    }

    /// SIGTERM and start.
    pub async fn restart(&self) {
        self.stop().await;
        self.start_and_wait().await;
    }

    /// SIGKILL without waiting: for the end of a test that fails.
    pub fn abandon(&self) {
        if let Some(child) = self.child().as_mut() {
            let _ = child.start_kill();
        }
    }

    /// Runs `SERVICE SUBCOMMAND` to its end.
    pub async fn run(&self, subcommand: &[&str]) -> Run {
        let variables = self.variables().clone();
        run(self.name, subcommand, &variables).await
    }

    /// The sum of a metric's samples whose labels include all of these; `None` when there is no such sample.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Result<Option<f64>, String> {
        let answer = self.api.without_token().call(reqwest::Method::GET, "/metrics").try_send().await?;
        let samples = answer.body.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (sample, value) = line.rsplit_once(' ')?;
            let (of, rest) = sample.split_once('{').unwrap_or((sample, ""));
            let fits = of == name && labels.iter().all(|(label, value)| rest.contains(&format!("{label}=\"{value}\"")));
            fits.then(|| value.parse::<f64>().ok()).flatten()
        });
        Ok(samples.reduce(|sum, value| sum + value))
    }
}

/// Runs a program of ours to its end, which must come soon.
///
/// # Panics
/// When it does not.
pub async fn run(name: &str, arguments: &[&str], variables: &BTreeMap<String, String>) -> Run {
    let mut command = command(name, variables);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = timeout(START_LIMIT, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{name} {arguments:?} did not end"));
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program(name).display()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn program(name: &str) -> PathBuf {
    environment().bin_dir.join(name)
}

fn command(name: &str, variables: &BTreeMap<String, String>) -> Command {
    let mut command = Command::new(program(name));
    for variable in CONFIGURATION {
        command.env_remove(variable).env_remove(format!("{variable}_FILE"));
    }
    command.envs(variables).env("RUST_BACKTRACE", "1").stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn signal(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    if let Some(pid) = pid {
        // It may have ended a moment ago; its status tells.
        let _ = kill_process(pid, signal);
    }
}

/// A port outside of the range from which the system takes those of outgoing connections.
fn free_port() -> u16 {
    /// So many that tests of several processes seldom try the same.
    const PORTS: (u16, u16) = (17_000, 15_000);
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 150).unwrap_or(0) * 100;
    loop {
        let port = PORTS.0 + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS.1;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The end of a log.
pub fn last_lines(log: &str, count: usize) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
