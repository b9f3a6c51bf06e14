//! What an operator asks of the database beside serving: read models and histories, listed, rebuilt, verified.

use std::process::ExitCode;

use messaging::follower;
use prometheus_client::registry::Registry;
use service_kit::config::{self, DatabaseArgs, or_exit};
use service_kit::database;
use sqlx::PgConnection;

use crate::config::{HistoryTask, ProjectionsTask};
use crate::history::verify;
use crate::metrics::Metrics;
use crate::workers::projections::{Projection, all, rebuild};

/// How many orders, or rows, are named at most.
const NAMED: usize = 20;

/// `order projections …`
pub async fn projections(task: ProjectionsTask) -> ExitCode {
    match task {
        ProjectionsTask::List { database } => {
            let mut conn = connect(&database).await;
            for follower in or_exit(follower::standings(&mut conn).await) {
                let (name, behind, moved) = (follower.name, follower.behind, follower.updated_at);
                config::tell(&format!("{name:24} {behind:>9} events behind, last moved {moved:.0?}"));
            }
            ExitCode::SUCCESS
        }
        ProjectionsTask::Rebuild { names, database } => {
            let chosen = or_exit(choose(&names));
            let mut conn = connect(&database).await;
            for projection in &chosen {
                let name = projection.name();
                let mut progress = told(name, "events");
                let events = or_exit(rebuild::rebuild(projection.as_ref(), &mut conn, &mut progress).await);
                config::tell(&format!("{name}: rebuilt from {events} events"));
            }
            ExitCode::SUCCESS
        }
        ProjectionsTask::Verify { names, database } => {
            let chosen = or_exit(choose(&names));
            let mut conn = connect(&database).await;
            let mut differs = false;
            for projection in &chosen {
                let name = projection.name();
                let mut progress = told(name, "events");
                let found = or_exit(rebuild::verify(projection.as_ref(), &mut conn, &mut progress).await);
                differs |= found.rows > 0;
                let (events, rows) = (found.events, found.rows);
                config::tell(&match rows {
                    0 => format!("{name}: as the log says ({events} events)"),
                    _ => format!(
                        "{name}: {rows} rows differ from what {events} events add up to; `order projections rebuild {name}` puts it right"
                    ),
                });
                found.examples.iter().for_each(|row| config::tell(&format!("  {row}")));
            }
            if differs { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
    }
}

/// `order history …`
pub async fn history(task: HistoryTask) -> ExitCode {
    let HistoryTask::Verify { database } = task;
    let mut conn = connect(&database).await;
    let found = or_exit(verify::verify(&mut conn, &mut told("orders", "orders")).await);
    for drift in found.drifted.iter().take(NAMED) {
        config::tell(&format!("order {}: {}", drift.order_id, drift.why));
    }
    let (orders, drifted) = (found.orders, found.drifted.len());
    config::tell(&format!("{orders} orders looked at, {drifted} differ from their history"));
    if drifted == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn connect(database: &DatabaseArgs) -> PgConnection {
    or_exit(database::connect(database, "order").await)
}

fn choose(names: &[String]) -> Result<Vec<Box<dyn Projection>>, String> {
    // these metrics are shown to nobody: the service that runs has its own
    let all = all(&Metrics::register(&mut Registry::default()));
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|projection| projection.name() != *name)) {
        let known: Vec<&str> = all.iter().map(|projection| projection.name()).collect();
        return Err(format!("there is no read model {unknown}: choose among {}", known.join(", ")));
    }
    Ok(all
        .into_iter()
        .filter(|projection| names.is_empty() || names.iter().any(|name| name == projection.name()))
        .collect())
}

/// Tells of progress on standard error, now and then.
fn told(name: &str, what: &'static str) -> impl FnMut(u64) + Send + use<> {
    let (name, mut next) = (name.to_owned(), 100_000);
    move |done| {
        if done >= next {
            next += 100_000;
            eprintln!("{name}: {done} {what} …");
        }
    }
}
