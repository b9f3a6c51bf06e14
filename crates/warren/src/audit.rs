//! `warren audit`: are the promises kept? Checked against the three databases, which are only read.
//!
//! Each check goes through everything there is, in pages or in one statement, so its memory does not grow with the number
//! of orders. The databases are read one after the other while orders go on: what is younger than the grace is left out,
//! and what breaks a promise is looked at a second time before it is told.
//!
//! Read it in this order: [`finding`] (what is found), [`checks`] (what is looked for), [`databases`] (how it is read).

mod checks;
mod databases;
mod finding;

mod report;

use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use contracts::event::Service;
use tokio::time::sleep;

use crate::duration;
use crate::failure::{Usage, Verdict};
use crate::queues::{self, Queues};
use crate::settings::{Settings, variable};
use checks::Check;
use databases::Databases;
use finding::Findings;

/// The pause before what breaks a promise is looked at again: what was only read at two moments is gone by then.
const SECOND_LOOK: Duration = Duration::from_secs(3);

const EXAMPLES: &str = "\
Examples:
  warren audit
  warren audit --only delivery --only mails
  warren audit --grace 5m                            leaves out what changed in the last five minutes
  warren audit --json | jq -r '.checks[] | select(.check == \"delivery\").offenders[]
                               | \"warren event resend \\(.id) --to \\(.consumer)\"'

Exit status: 0 all promises are kept, 1 one is broken or a database cannot be read, 2 used wrongly.
Without AMQP_URL, events that wait in a queue for longer than the grace count as lost.";

/// Options of `audit`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AuditArgs {
    /// The order service's database [env: ORDER_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    order_database_url: Option<String>,

    /// The inventory service's database [env: INVENTORY_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    inventory_database_url: Option<String>,

    /// The email service's database [env: EMAIL_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    email_database_url: Option<String>,

    /// Leave out what changed within this time: it may be under way
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::up_to_a_day)]
    grace: Duration,

    /// Only this check, or these
    #[arg(long, value_name = "CHECK", value_enum)]
    only: Vec<Check>,

    /// How many offenders of each check are named
    #[arg(long, value_name = "N", default_value_t = 20)]
    show: usize,

    /// How long the services' inboxes remember [env: INBOX_RETENTION] [default: 30d]
    #[arg(long, value_name = "DURATION")]
    inbox_retention: Option<String>,

    /// How long an order waits for its payment [env: PAYMENT_TIMEOUT] [default: 15m]
    #[arg(long, value_name = "DURATION")]
    payment_timeout: Option<String>,
}

/// What all checks go by.
#[derive(Debug)]
struct Rules {
    grace: Duration,
    inbox_retention: Duration,
    payment_timeout: Duration,
    /// What waits in the queues, where the broker was given.
    queues: Option<Queues>,
}

/// Carries out `audit`.
///
/// # Errors
/// [`Usage`] without the databases' addresses; else when a database or the broker cannot be read.
pub(crate) async fn run(args: &AuditArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    let urls = [
        address("ORDER_DATABASE_URL", args.order_database_url.as_deref())?,
        address("INVENTORY_DATABASE_URL", args.inventory_database_url.as_deref())?,
        address("EMAIL_DATABASE_URL", args.email_database_url.as_deref())?,
    ];
    let broker = settings.broker_if_any()?;
    let mut rules = Rules {
        grace: args.grace,
        inbox_retention: span("INBOX_RETENTION", args.inbox_retention.as_deref(), Duration::from_hours(30 * 24))?,
        payment_timeout: span("PAYMENT_TIMEOUT", args.payment_timeout.as_deref(), Duration::from_mins(15))?,
        queues: None,
    };
    let mut databases = Databases::open(&urls).await?;
    let wanted = Check::ALL.into_iter().filter(|check| args.only.is_empty() || args.only.contains(check));
    let mut results = Vec::new();
    for check in wanted {
        let mut found = look(check, &mut databases, &mut rules, broker.as_ref()).await?;
        if found.count() > 0 {
            sleep(SECOND_LOOK).await;
            let again = look(check, &mut databases, &mut rules, broker.as_ref()).await?;
            found = again.also_in(&found);
        }
        results.push((check, found));
    }
    databases.close().await;
    let dead = dead_letters(rules.queues.as_ref());
    let broken = results.iter().any(|(_, found)| found.count() > 0);
    report::print(&results, &dead, args.show, json)?;
    Ok(if broken { Verdict::Failed } else { Verdict::Fine })
}

/// One look at everything that a check is about. The broker is asked first: what waits there then and takes effect
/// meanwhile is no harm.
async fn look(
    check: Check,
    databases: &mut Databases,
    rules: &mut Rules,
    broker: Option<&messaging::settings::AmqpUrls>,
) -> anyhow::Result<Findings> {
    if let Some(urls) = broker {
        rules.queues = Some(queues::ask(urls).await?);
    }
    let mut found = Findings::default();
    let looked = check.look(databases, rules, &mut found).await;
    looked.map_err(|error| anyhow!("the check `{}` cannot be made: {error}", check.name()))?;
    Ok(found)
}

/// Dead letters break no promise: they wait for a person, who is told.
fn dead_letters(queues: Option<&Queues>) -> Vec<(Service, u32)> {
    let queues = queues.into_iter().flatten();
    queues.filter(|(_, queue)| queue.dead > 0).map(|(service, queue)| (*service, queue.dead)).collect()
}

fn address(name: &str, option: Option<&str>) -> Result<String, Usage> {
    let missing = || {
        let flag = name.to_lowercase().replace('_', "-");
        Usage(format!("no database to look at: set {name} (`. .dev/env` does) or give --{flag}"))
    };
    variable(name, option)?.ok_or_else(missing)
}

fn span(name: &str, option: Option<&str>, default: Duration) -> Result<Duration, Usage> {
    let Some(text) = variable(name, option)? else { return Ok(default) };
    humantime::parse_duration(&text).map_err(|_| Usage(format!("{name}: not a duration such as 90s, 15m or 30d")))
}
