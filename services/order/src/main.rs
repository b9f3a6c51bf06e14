//! The order service: see the library of the same name. Here it is only put together.

use std::process::ExitCode;
use std::sync::Arc;

use contracts::event::Service;
use messaging::follower;
use messaging::runtime::{self, Parts};
use messaging::trace;
use messaging::tx::Database;
use order::config::{Config, EventsTask, Invocation, Task};
use order::desk::Desk;
use order::drift::Books;
use order::http::{Http, routes};
use order::live::Live;
use order::payment::PaymentProvider;
use order::payment::sandbox::Sandbox;
use order::payment::till::Till;
use order::workers::{deadlines, payments::Payments, projections, pruning};
use order::{HISTORY, MIGRATIONS, handlers, tasks};
use service_kit::config::or_exit;
use service_kit::health::{Health, watch_database};
use service_kit::http::{Plumbing, finish, serve};
use service_kit::lifecycle::{self, Lifecycle};
use service_kit::metrics::Metrics;
use service_kit::traces::Traces;
use service_kit::{config, database, drift, healthcheck, telemetry};
use tokio::net::TcpListener;

const NAME: &str = Service::Order.name();

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
        Invocation::Run(Task::Projections(task)) => tasks::projections(task).await,
        Invocation::Run(Task::History(task)) => tasks::history(task).await,
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
    let database = Database::new(pool.clone(), Service::Order, config.messaging.outbox_max);
    let till = Till::default();
    let messaging_metrics = metrics.register(messaging::metrics::Metrics::register);
    let breakers = messaging_metrics.clone();
    health.show_breakers(move || breakers.breakers());
    let order_metrics = metrics.register(order::metrics::Metrics::register);
    let payment_timeout = config.payment_timeout;
    order_metrics.count_on_scrape(&metrics, database.clone(), payment_timeout);

    let provider = Arc::new(Sandbox::new(pool.clone()));
    let payment_methods = provider.methods();
    let payments = Payments::new(database.clone(), provider, till.clone(), &messaging_metrics);
    lifecycle.spawn("payments", payments.run(stop.clone(), lifecycle.drain()));
    lifecycle.spawn("deadlines", deadlines::run(database.clone(), payment_timeout, stop.clone()));
    lifecycle.spawn("projections", projections::run(pool.clone(), order_metrics, stop.clone()));
    lifecycle.spawn("pruning", pruning::run(pool.clone(), config.idempotency_retention, stop.clone()));
    let books = Books::new(&metrics.register(drift::Drift::register));
    lifecycle.spawn("drift", drift::run(pool.clone(), books, stop.clone()));
    lifecycle.spawn("database", watch_database(pool, &MIGRATIONS, NAME, health.clone(), stop.clone()));

    let parts = Parts {
        settings: config.messaging,
        database: database.clone(),
        subscriptions: handlers::subscriptions(&till),
        history: HISTORY,
        metrics: messaging_metrics,
        report: health.reporter(),
    };
    for (name, task) in runtime::tasks(parts, &stop) {
        lifecycle.spawn(name, task);
    }

    let (desk, clerks) = Desk::open(database.clone());
    lifecycle.spawn("desk", clerks);
    let live = Live::default();
    lifecycle.spawn("live", live.clone().run(database.pool().clone(), stop.clone()));
    let http = Http {
        database,
        desk,
        intents: Arc::clone(till.intents()),
        live,
        shutdown: stop.clone(),
        webhook_secrets: config.payment_webhook_secret,
        payment_methods,
        payment_timeout,
    };
    let router = finish(routes(http), Plumbing { auth, health, metrics });
    lifecycle.spawn("http", serve(listener, router, stop, lifecycle.drain()));
    tracing::info!(%address, "serving");
    let code = lifecycle.wait().await;
    traces.finish().await;
    code
}
