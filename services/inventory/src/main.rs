//! The inventory service: see the library of the same name. Here it is only put together.

use std::process::ExitCode;

use contracts::event::Service;
use inventory::config::{Config, EventsTask, Invocation, Task};
use inventory::drift::Books;
use inventory::{MIGRATIONS, handlers, housekeeping, http};
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

const NAME: &str = Service::Inventory.name();

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
    let address = config.listen.http_addr;
    let listener = TcpListener::bind(address).await;
    let listener = or_exit(listener.map_err(|error| format!("HTTP_ADDR: cannot listen on {address}: {error}")));

    let lifecycle = Lifecycle::new(config.shutdown.shutdown_timeout);
    let (health, metrics, stop) = (Health::new(), Metrics::new(), lifecycle.token());
    let traces = or_exit(Traces::start(&config.traces, NAME, &metrics));
    if traces.are_on() {
        trace::turn_on();
    }
    let database = Database::new(pool.clone(), Service::Inventory, config.messaging.outbox_max);
    let messaging_metrics = metrics.register(messaging::metrics::Metrics::register);
    let breakers = messaging_metrics.clone();
    health.show_breakers(move || breakers.breakers());
    let parts = Parts {
        settings: config.messaging,
        database: database.clone(),
        subscriptions: handlers::subscriptions(),
        history: &[],
        metrics: messaging_metrics,
        report: health.reporter(),
    };
    for (name, task) in runtime::tasks(parts, &stop) {
        lifecycle.spawn(name, task);
    }
    lifecycle.spawn("database", watch_database(pool.clone(), &MIGRATIONS, NAME, health.clone(), stop.clone()));
    let books = Books::new(&metrics.register(drift::Drift::register));
    lifecycle.spawn("drift", drift::run(pool.clone(), books, stop.clone()));
    lifecycle.spawn("housekeeping", housekeeping::run(pool, config.idempotency_retention, stop.clone()));
    let router = finish(http::routes(database), Plumbing { auth, health, metrics });
    lifecycle.spawn("http", serve(listener, router, stop, lifecycle.drain()));
    tracing::info!(%address, "serving");
    let code = lifecycle.wait().await;
    traces.finish().await;
    code
}
