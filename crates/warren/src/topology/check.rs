//! `warren topology check`.

use clap::Args;
use messaging::inspect;
use messaging::topology::Topology;
use serde_json::json;

use super::CONNECTION_NAME;
use super::compare::{Difference, Problem, compare};
use super::found::Found;
use super::management;
use crate::failure::{Usage, Verdict};
use crate::output::{self, Paint};
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  warren topology check
  warren topology check --rabbitmq-management-url http://127.0.0.1:15672
  warren topology check --json | jq -r '.differences[] | select(.problem == \"left-over\") | .name'

With RABBITMQ_MANAGEMENT_URL, exchanges, queues, their arguments and all bindings
are compared, and what nobody declares any more is named, such as the queues of an
earlier RETRY_DELAYS. The user in that address, else the one of AMQP_URL, needs the
tag `monitoring`. Without it, AMQP tells whether each exchange and queue exists, and
no more. Looking changes nothing. Exit status 1 when there is a difference.";

/// Options of `topology check`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {}

/// What was compared, for the end of the output.
const COMPARED: [&str; 4] = ["exchanges", "queues", "arguments", "bindings"];

pub(super) async fn run(topology: &Topology, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    let urls = settings.broker()?;
    let (found, compared) = match settings.management_url()? {
        Some(url) => {
            let account = inspect::account(&urls).ok_or_else(|| Usage("AMQP_URL: no address".to_owned()))?;
            (management::read(&url, &account).await?, &COMPARED[..])
        }
        None => (Found::from(inspect::presence(&urls, CONNECTION_NAME, topology).await?), &COMPARED[..2]),
    };
    let differences = compare(topology, &found);
    if json {
        output::print_json(&json!({
            "ok": differences.is_empty(),
            "compared": compared,
            "not_compared": &COMPARED[compared.len()..],
            "differences": differences,
        }))?;
    } else {
        output::print(&page(&differences, topology, &found, compared, Paint::stdout()))?;
    }
    Ok(if differences.is_empty() { Verdict::Fine } else { Verdict::Failed })
}

fn page(differences: &[Difference], topology: &Topology, found: &Found, compared: &[&str], paint: Paint) -> String {
    let mut page = String::new();
    let queues = topology.queues.iter().filter_map(|queue| {
        let queue_found = found.queues.get(&queue.name)?;
        let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
        Some([queue.name.clone(), count(queue_found.messages), count(queue_found.consumers)])
    });
    page.push_str(&output::table(["queue", "messages", "consumers"], queues));
    page.push('\n');
    for difference in differences {
        let problem = match difference.problem {
            Problem::LeftOver => paint.yellow(difference.problem.as_str()),
            Problem::Missing | Problem::Different => paint.red(difference.problem.as_str()),
        };
        page.push_str(&format!("{problem}: {} {}: {}\n", difference.what, difference.name, difference.detail));
    }
    let compared_text = compared.join(", ");
    page.push_str(&match differences.len() {
        0 => format!("{} {compared_text} are as they should be\n", paint.green("ok:")),
        count => format!("{count} differences in {compared_text}\n"),
    });
    if compared.len() < COMPARED.len() {
        let rest = COMPARED[compared.len()..].join(" and ");
        page.push_str(&format!("{rest} were not compared: AMQP does not tell them; set RABBITMQ_MANAGEMENT_URL\n"));
    }
    page
}
