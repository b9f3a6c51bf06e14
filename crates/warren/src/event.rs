//! `warren event resend`: a published event whose copy a consumer has lost, put into that consumer's queue again.

use clap::{Args, Subcommand};
use contracts::catalogue::find;
use contracts::envelope::Envelope;
use contracts::event::Service;
use futures_util::future::join_all;
use messaging::resend::resend;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::failure::Verdict;
use crate::output;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  warren event resend ID --to inventory              ID as `warren audit` and `warren trace` tell it";

const RESEND_EXAMPLES: &str = "\
Examples:
  warren event resend ID --to inventory
  warren event resend ID --to email --json

The service that published the event is asked for it (/v1/ops/events). The other consumers do not get
it again, and one that has it after all does nothing. Needs AMQP_URL with an administrator's rights.";

/// Options of `event`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EventArgs {
    #[command(subcommand)]
    command: EventCommand,
}

#[derive(Subcommand)]
enum EventCommand {
    /// Put a published event into one consumer's queue again
    Resend(ResendArgs),
}

#[derive(Args)]
#[command(after_help = RESEND_EXAMPLES)]
struct ResendArgs {
    /// The event's id
    id: Uuid,

    /// The consumer
    #[arg(long, value_name = "SERVICE", value_parser = service)]
    to: Service,
}

/// A clap value parser: a service's name.
fn service(text: &str) -> Result<Service, String> {
    Service::named(text).ok_or_else(|| "not a service: order, inventory or email".to_owned())
}

/// An event as the service that published it tells of it.
#[derive(Deserialize)]
struct Published {
    published: bool,
    event: Box<RawValue>,
}

/// Whether an event took effect at a consumer.
#[derive(Deserialize)]
struct Inbox {
    state: String,
}

/// Carries out an `event` command.
///
/// # Errors
/// When the event is unknown, not published yet or not for that consumer; when a service or the broker does not answer.
pub(crate) async fn run(args: &EventArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    let EventCommand::Resend(args) = &args.command;
    let broker = settings.broker()?;
    let (id, to) = (args.id, args.to);
    let found = look_up(id, settings).await?;
    let event = Envelope::from_json(found.event.get().as_bytes())?;
    let name = event.event_type.as_ref();
    let consumers = find(name).map_or(&[][..], |event| event.consumers);
    if !consumers.contains(&to) {
        let names: Vec<&str> = consumers.iter().map(|consumer| consumer.name()).collect();
        let names = if names.is_empty() { "nobody".to_owned() } else { names.join(" and ") };
        anyhow::bail!("{name} is for {names}, not for {to}; nothing was sent");
    }
    if !found.published {
        anyhow::bail!(
            "{name} {id} is not published yet: it waits in the log of its service, whose relay sends it; nothing was sent"
        );
    }
    let before = settings.service(to)?.get(&format!("/v1/ops/inbox/{id}"), &[]).await.and_then(|answer| answer.read());
    let before = before.map(|inbox: Inbox| inbox.state);
    resend(&broker, to, &event).await?;
    let before = before.unwrap_or_else(|error| {
        eprintln!("whether {to} had it before is not known: {error}");
        "unknown".to_owned()
    });
    if json {
        let (kind, subject) = (name, event.subject.as_ref());
        output::print_json(
            &json!({"event_id": id, "type": kind, "subject": subject, "to": to.name(), "before": before}),
        )?;
    } else {
        let had = match before.as_str() {
            "done" => "; it had taken effect there before, so this copy will do nothing",
            "failed" => "; it is a dead letter there as well, until this copy takes effect",
            _ => "",
        };
        output::print(&format!("{name} {id} about {} is in the queue of {to} again{had}", event.subject))?;
    }
    Ok(Verdict::Fine)
}

/// Asks the services that publish for the event.
async fn look_up(id: Uuid, settings: &Settings) -> anyhow::Result<Published> {
    let publishers = Service::ALL.into_iter().filter(|service| publishes(*service));
    let clients = publishers.map(|service| settings.service(service)).collect::<anyhow::Result<Vec<_>>>()?;
    let path = format!("/v1/ops/events/{id}");
    let answers = join_all(clients.iter().map(async |client| client.get(&path, &[]).await?.read())).await;
    let mut silent = None;
    for answer in answers {
        match answer {
            Ok(published) => return Ok(published),
            Err(error) if error.problem().is_some_and(|problem| problem.kind() == "not-found") => {}
            Err(error) => silent = Some(error),
        }
    }
    match silent {
        Some(error) => Err(error.into()),
        None => anyhow::bail!("no service has published an event {id}, or keeps it no longer; nothing was sent"),
    }
}

fn publishes(service: Service) -> bool {
    contracts::catalogue::CATALOGUE.iter().any(|event| event.publisher == service)
}
