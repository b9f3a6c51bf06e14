//! The email service: see the library of the same name. Here it is only put together.

use std::process::ExitCode;
use std::sync::Arc;

use contracts::event::Service;
use email::config::{Config, EventsTask, Invocation, Task};
use email::drift::Books;
use email::outgoing::Outgoing;
use email::templates::Templates;
use email::transport::Transport;
use email::workers::sender::{self, Mails, Sender, Tray};
use email::{MIGRATIONS, handlers, http};
use messaging::breaker::Breaker;
use messaging::follower;
use messaging::runtime::{self, Parts};
use messaging::trace;
use messaging::tx::Database;
use service_kit::config::or_exit;
use service_kit::health::{Health, watch_database};
use service_kit::http::{Plumbing, finish, serve};
use service_kit::lifecycle::{self, Lifecycle};
use service_kit::metrics::Metrics;
use service_kit::traces::Traces;
use service_kit::{config, database, drift, healthcheck, telemetry};
use tokio::net::TcpListener;
use tokio::sync::Notify;

const NAME: &str = Service::Email.name();

fn main() -> ExitCode {
    lifecycle::run(invoked(config::parse()))
}

async fn invoked(invocation: Invocation) -> ExitCode {
    match invocation {
        Invocation::Serve(config) => run(*config).await,
        Invocation::Run(Task::Migrate { database }) => {
            or_exit(database::migrate(database.database_url.expose(), &MIGRATIONS).await);
            ExitCode::SUCCESS
        }
        Invocation::Run(Task::Healthcheck { listen }) => {
            healthcheck::run(&listen.http_addr.to_string(), "/readyz?role=http").await
        }
        Invocation::Run(Task::Events(EventsTask::Rebase { database })) => {
            let mut conn = or_exit(database::connect(&database, NAME).await);
            config::tell(&follower::rebase_report(or_exit(follower::rebase(&mut conn).await)));
            ExitCode::SUCCESS
        }
    }
}

async fn run(config: Config) -> ExitCode {
    telemetry::init(NAME, config.log.log_format);
    let auth = or_exit(config.auth.authenticator());
    let pool = or_exit(database::pool(&config.database, NAME));
    let transport = or_exit(Transport::new(config.mail.smtp_url.clone()));
    let address = config.listen.http_addr;
    let listener = TcpListener::bind(address).await;
    let listener = or_exit(listener.map_err(|error| format!("HTTP_ADDR: cannot listen on {address}: {error}")));

    let lifecycle = Lifecycle::new(config.shutdown.shutdown_timeout);
    let (health, metrics, stop) = (Health::new(), Metrics::new(), lifecycle.token());
    let traces = or_exit(Traces::start(&config.traces, NAME, &metrics));
    if traces.are_on() {
        trace::turn_on();
    }
    let messaging_metrics = metrics.register(messaging::metrics::Metrics::register);
    let breakers = messaging_metrics.clone();
    health.show_breakers(move || breakers.breakers());
    let wake = Arc::new(Notify::new());
    let tray = Tray::default();
    let outgoing = Outgoing::new(config.mail.email_from.email.domain(), Arc::clone(&wake), tray.clone());
    let templates = Arc::new(Templates::new(config.mail.shop()));
    let operators = config.mail.email_ops;

    let sender = Sender::new(sender::Parts {
        pool: pool.clone(),
        transport,
        templates: Arc::clone(&templates),
        from: config.mail.email_from,
        operators: operators.clone(),
        wake,
        tray,
        breaker: Breaker::new("smtp", &messaging_metrics),
        mails: metrics.register(Mails::register),
    });
    lifecycle.spawn("sender", sender.run(stop.clone()));
    let books = Books::new(&metrics.register(drift::Drift::register));
    lifecycle.spawn("drift", drift::run(pool.clone(), books, stop.clone()));
    lifecycle.spawn("database", watch_database(pool.clone(), &MIGRATIONS, NAME, health.clone(), stop.clone()));

    let parts = Parts {
        database: Database::new(pool.clone(), Service::Email, config.messaging.outbox_max),
        settings: config.messaging,
        subscriptions: handlers::subscriptions(&outgoing, operators.is_some()),
        history: &[],
        metrics: messaging_metrics,
        report: health.reporter(),
    };
    for (name, task) in runtime::tasks(parts, &stop) {
        lifecycle.spawn(name, task);
    }

    let app = http::App { pool, templates, operators: operators.map(|operators| operators.email) };
    let router = finish(http::routes(app), Plumbing { auth, health, metrics });
    lifecycle.spawn("http", serve(listener, router, stop, lifecycle.drain()));
    tracing::info!(%address, "serving");
    let code = lifecycle.wait().await;
    traces.finish().await;
    code
}
