//! `warren console`: the same as a web page, for operators and newcomers.
//!
//! It is a front end with a server of its own behind it. That server knows where the services and the broker are, and
//! calls the services with the token of whoever is signed in and no other: it can do nothing that its user could not do
//! with `curl`. Dead letters, which are on the broker, it touches only for users of whom a service says that they are
//! operators. See `docs/console.md`, and `docs/adr/0011-the-console-asks-the-services.md` for how that is decided.
//!
//! Read it in this order: [`server`] (routes, the accept loop), [`guard`] (what every request has to pass), [`session`]
//! (who is signed in), [`forward`] (the services' routes), [`api`] (the console's own routes); then what runs by the
//! clock: [`board`] (the figures and their history) with [`exposition`], [`figures`], [`history`] and [`wrong`] (what is
//! wrong now, in words). The page itself is in `web/`, embedded by [`assets`].

mod api;
mod assets;
mod board;
mod exposition;
mod figures;
mod forward;
mod guard;
mod history;
mod problem;
mod runs;
mod server;
mod session;
mod webhook;
mod wrong;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use messaging::settings::AmqpUrls;
use tokio::net::TcpListener;

use crate::client::Services;
use crate::failure::{Usage, Verdict};
use crate::settings::{self, Settings};
use crate::topology;

/// Where it listens unless it is told otherwise.
const DEFAULT_ADDRESS: &str = "127.0.0.1:8090";

/// How long a service may take to answer the console. A page that waits longer helps nobody.
const PATIENCE: Duration = Duration::from_secs(8);

const EXAMPLES: &str = "\
Examples:
  warren console                                     then open http://127.0.0.1:8090, and paste `warren token`
  warren console --listen 127.0.0.1:9000
  CONSOLE_HOSTS=ops.example.com warren console --listen 0.0.0.0:8090
                                                     behind a proxy that ends TLS

Whoever opens it signs in with a bearer token of the services, and may do there what the
token permits. The console has no token of its own and needs no secret; WARREN_TOKEN and
AUTH_HS256_SECRET are not used. AMQP_URL is for dead letters and queues,
RABBITMQ_MANAGEMENT_URL for missing bindings, PAYMENT_WEBHOOK_SECRET to play the payment
provider on the page `Try it`.";

/// Options of `console`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConsoleArgs {
    /// Where to listen [env: CONSOLE_ADDR] [default: 127.0.0.1:8090]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,

    /// By which names it is reached, separated by commas; those of this machine's loopback always are [env: CONSOLE_HOSTS]
    #[arg(long, value_name = "NAMES")]
    hosts: Option<String>,

    /// Ask the console that listens there whether it is alive, and end
    #[arg(long)]
    check: bool,
}

/// What the server is made of.
pub(crate) struct Console {
    /// The services, called without a token.
    services: Services,
    /// The broker, if we were told where it is.
    broker: Option<AmqpUrls>,
    /// The names by which it is reached, beside loopback.
    hosts: Vec<String>,
    /// Who is signed in.
    sessions: session::Sessions,
    /// The figures.
    board: board::Board,
    /// Replays and the like.
    runs: runs::Runs,
    /// Plays the payment provider.
    provider: Option<webhook::Provider>,
}

type Shared = Arc<Console>;

/// Serves the console until it is stopped.
///
/// # Errors
/// For settings that are wrong, and an address that cannot be listened on.
pub(crate) async fn run(args: &ConsoleArgs, settings: &Settings) -> anyhow::Result<Verdict> {
    let address = settings::variable("CONSOLE_ADDR", args.listen.as_deref())?;
    let address = address.unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
    if args.check {
        return check(&address).await;
    }
    let hosts = settings::variable("CONSOLE_HOSTS", args.hosts.as_deref())?.unwrap_or_default();
    let hosts = hosts.split(',').map(|host| host.trim().to_lowercase()).filter(|host| !host.is_empty()).collect();
    let listener = TcpListener::bind(&address).await.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr().context("cannot listen")?;
    let broker = settings.broker_if_any()?;
    let plan = board::Plan {
        services: settings.services_for_others()?,
        broker: broker.clone(),
        management_url: settings.management_url()?,
        schedule: topology::schedule(None)?,
    };
    let provider = settings::variable("PAYMENT_WEBHOOK_SECRET", None)?;
    let console = Arc::new(Console {
        services: settings.services_for_others()?,
        broker,
        hosts,
        sessions: session::Sessions::new(address.port()),
        board: board::Board::default(),
        runs: runs::Runs::default(),
        provider: provider.map(|secret| webhook::Provider::new(&secret)).transpose()?,
    });
    eprintln!("the console: http://{}", to_open(address));
    tokio::spawn(board::keep(Arc::clone(&console), plan));
    server::serve(listener, console, stopped()).await;
    Ok(Verdict::Fine)
}

/// The address for a browser on this machine.
fn to_open(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("127.0.0.1:{}", address.port()),
        false => address.to_string(),
    }
}

/// Asks a running console for its `/livez`: images have no curl.
async fn check(address: &str) -> anyhow::Result<Verdict> {
    let address: SocketAddr =
        address.parse().map_err(|_| Usage(format!("--listen: {address:?} is no address such as {DEFAULT_ADDRESS}")))?;
    let url = format!("http://{}/livez", to_open(address));
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    let answer = http.get(&url).send().await.with_context(|| format!("no console answers at {url}"))?;
    if !answer.status().is_success() {
        bail!("{url} answers {}", answer.status());
    }
    Ok(Verdict::Fine)
}

/// Ends with Ctrl-C or SIGTERM.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
