//! The log: one line per event on standard output, for people or for machines.
//!
//! What goes into it is `tracing` events; the fields of the spans around them are added to each line, so an id that is set once per
//! request or message is on all of its lines. Nothing personal and nothing secret is ever a field.

mod fields;
mod line;

#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;

use chrono::Utc;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Registry};

use crate::config;
use fields::Fields;
use line::Line;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Short aligned lines for people; coloured on a terminal unless `NO_COLOR` is set.
    Pretty,
    /// One JSON object per line: timestamp, level, service, message, target, and the fields at the same level.
    Json,
}

/// Starts logging. Call once, before anything that may log.
///
/// Without a format it is [`Format::Pretty`] on a terminal and [`Format::Json`] elsewhere. The level is `RUST_LOG`'s (`info`
/// when unset, or filters such as `info,sqlx=debug`); a wrong one ends the process as wrong configuration does. Panics become error lines.
pub fn init(service: &'static str, format: Option<Format>) {
    let is_terminal = std::io::stdout().is_terminal();
    let format = format.unwrap_or(if is_terminal { Format::Pretty } else { Format::Json });
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let filter = config::or_exit(filter(&std::env::var("RUST_LOG").unwrap_or_default()));
    let log = Log { service, format, color: is_terminal && !no_color, write: to_stdout };
    let subscriber = Registry::default().with(filter).with(log);
    tracing::subscriber::set_global_default(subscriber).expect("telemetry::init is called once");
    std::panic::set_hook(Box::new(log_panic));
}

fn filter(rust_log: &str) -> Result<EnvFilter, String> {
    // The AMQP client reports as errors what those who use it handle, and log once with what happens next; and the
    // database remarks on a rollback of what never began, which is how a statement ends that nobody waits for any more.
    let directives = if rust_log.is_empty() { "info,lapin=off,sqlx::postgres::notice=off" } else { rust_log };
    EnvFilter::builder().parse(directives).map_err(|error| format!("RUST_LOG is {rust_log:?}: {error}"))
}

/// A line is written in one piece, so that lines of several threads do not mix. When standard output is closed there is nobody to tell.
fn to_stdout(line: &str) {
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("with something that is no text");
    let location = info.location().map(ToString::to_string);
    tracing::error!(location, "panicked: {message}");
}

/// The layer that turns events into lines.
struct Log<W> {
    service: &'static str,
    format: Format,
    color: bool,
    write: W,
}

impl<S, W> Layer<S> for Log<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        // From the innermost span outwards; what is nearer to the event goes before.
        for span in ctx.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.add_missing(outer);
            }
        }
        let metadata = event.metadata();
        let line = Line {
            at: Utc::now(),
            level: *metadata.level(),
            service: self.service,
            target: metadata.target(),
            fields: &fields,
        };
        (self.write)(&match self.format {
            Format::Pretty => line.pretty(self.color),
            Format::Json => line.json(),
        });
    }
}
