//! Spans: what a message's way through the services looks like in a trace (OpenTelemetry, its conventions for messaging).
//!
//! An event is *created* in a transaction, *published* by the relay, and *processed* by each consumer. Its `traceparent`
//! names its creation, so that publishing and processing are children of that, and whatever a handler publishes is a
//! child of the processing. A message that is tried again links to the attempt that failed; it is not part of it.
//!
//! Off until [`turn_on`]; then every function here returns at once and allocates nothing. Attributes are ids and names of
//! ours: nothing that somebody wrote into an order or a message.

use std::borrow::Cow;
use std::sync::OnceLock;

use contracts::catalogue::find;
use contracts::envelope::Envelope;
use contracts::event::Service;
use contracts::values::EventId;
use opentelemetry::global::{self, BoxedSpan, BoxedTracer};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer,
};
use opentelemetry::{Context as Otel, KeyValue, Value};
use uuid::Uuid;

use crate::context::Context;
use crate::event_log::LoggedEvent;
use crate::publisher::Verdict;

/// The exchange that events go to, as a part of a destination's name.
const EXCHANGE: &str = crate::topology::EVENTS;

static TRACER: OnceLock<BoxedTracer> = OnceLock::new();

/// Records spans from here on, with the provider that is OpenTelemetry's global one by now.
pub fn turn_on() {
    TRACER.get_or_init(|| global::tracer("warren"));
}

/// Whether spans are recorded.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// Something that takes time, as a part of a trace; ends when it is dropped. Nothing while spans are not recorded.
#[derive(Debug, Default)]
pub struct Span(Option<BoxedSpan>);

impl Span {
    /// A call to somebody outside, on behalf of what `parent` (a W3C `traceparent`) names.
    pub fn call(name: &'static str, peer: &'static str, parent: Option<&str>) -> Self {
        let mut span = Self::begin(SpanKind::Client, parent, || name.into());
        span.set("peer.service", peer);
        span
    }

    fn begin(kind: SpanKind, parent: Option<&str>, name: impl FnOnce() -> Cow<'static, str>) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let context = match parent.and_then(parse) {
            Some(parent) => Otel::new().with_remote_span_context(parent),
            None => Otel::new(),
        };
        Self(Some(tracer.build_with_context(SpanBuilder::from_name(name()).with_kind(kind), &context)))
    }

    /// Something about a message, in the words of the conventions.
    fn of_message(kind: SpanKind, parent: Option<&str>, operation: Operation, event: &'static str) -> Self {
        let mut span = Self::begin(kind, parent, || format!("{} {event}", operation.name).into());
        span.set_all(|| {
            [
                KeyValue::new("messaging.system", "rabbitmq"),
                KeyValue::new("messaging.operation.name", operation.name),
                KeyValue::new("messaging.operation.type", operation.kind),
                KeyValue::new("messaging.destination.name", operation.destination(event)),
                KeyValue::new("messaging.rabbitmq.destination.routing_key", event),
            ]
        });
        span
    }

    /// Its place in the trace, for what follows from it. `None` while spans are not recorded.
    pub fn traceparent(&self) -> Option<String> {
        let context = self.0.as_ref()?.span_context();
        let text = || {
            format!(
                "00-{}-{}-{:02x}",
                context.trace_id(),
                context.span_id(),
                context.trace_flags() & TraceFlags::SAMPLED
            )
        };
        context.is_valid().then(text)
    }

    /// Whether anything that is said about it reaches anybody.
    pub fn is_recording(&self) -> bool {
        self.0.as_ref().is_some_and(|span| span.is_recording())
    }

    /// Says something about it: an id, a name or a number of ours.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(span) = self.recording() {
            span.set_attribute(KeyValue::new(name, value));
        }
    }

    /// It failed: with a word for what happened, and what was seen of it, without values.
    pub fn fail(&mut self, kind: &'static str, error: &str) {
        if let Some(span) = self.recording() {
            span.set_attribute(KeyValue::new("error.type", kind));
            span.set_status(Status::error(error.to_owned()));
        }
    }

    /// This became of the message that it processed, at that attempt.
    pub(crate) fn end(&mut self, outcome: &'static str, attempt: impl FnOnce() -> u32) {
        self.set_all(|| {
            [KeyValue::new("warren.outcome", outcome), KeyValue::new("warren.attempt", i64::from(attempt()))]
        });
    }

    /// It repeats what `earlier` (a W3C `traceparent`) names, without being a part of it.
    pub(crate) fn link<T: AsRef<str>>(&mut self, earlier: impl FnOnce() -> Option<T>) {
        if let Some(span) = self.recording()
            && let Some(earlier) = earlier()
            && let Some(context) = parse(earlier.as_ref())
        {
            span.add_link(context, Vec::new());
        }
    }

    fn set_all<const N: usize>(&mut self, attributes: impl FnOnce() -> [KeyValue; N]) {
        if let Some(span) = self.recording() {
            span.set_attributes(attributes());
        }
    }

    fn recording(&mut self) -> Option<&mut BoxedSpan> {
        self.0.as_mut().filter(|span| span.is_recording())
    }
}

/// What is done with a message.
#[derive(Clone, Copy)]
struct Operation {
    name: &'static str,
    kind: &'static str,
    /// Out of which queue it was taken, if it was.
    queue: Option<&'static str>,
}

impl Operation {
    const CREATE: Self = Self { name: "create", kind: "create", queue: None };
    const PUBLISH: Self = Self { name: "publish", kind: "send", queue: None };

    fn process(queue: &'static str) -> Self {
        Self { name: "process", kind: "process", queue: Some(queue) }
    }

    /// `EXCHANGE:KEY`, and of what was received also `:QUEUE`.
    fn destination(self, event: &str) -> String {
        match self.queue {
            None => format!("{EXCHANGE}:{event}"),
            Some(queue) => format!("{EXCHANGE}:{event}:{queue}"),
        }
    }
}

/// The events that a transaction creates. They end with its commit; without one, they have failed.
#[derive(Debug, Default)]
pub(crate) struct Created(Vec<Span>);

impl Created {
    /// Begins one more, caused by `context`, and returns the `traceparent` of the event.
    pub(crate) fn add(&mut self, context: &Context, event: &'static str, id: EventId, subject: &str) -> Option<String> {
        let inherited = context.traceparent.as_deref();
        let mut span = Span::of_message(SpanKind::Producer, inherited, Operation::CREATE, event);
        let traceparent = span.traceparent().or_else(|| inherited.map(str::to_owned));
        if span.is_recording() {
            span.set("messaging.message.id", id.to_string());
            span.set("cloudevents.event_subject", subject.to_owned());
            self.0.push(span);
        }
        traceparent
    }

    /// They are stored.
    pub(crate) fn commit(&mut self) {
        self.0.clear();
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|span| span.fail("rolled-back", "the transaction was not committed"));
    }
}

/// Begins the publishing of `events`.
pub(crate) fn publish(events: &[&LoggedEvent]) -> Vec<Span> {
    if !is_on() {
        return Vec::new();
    }
    let begin = |event: &&LoggedEvent| {
        let (parent, name) = (event.traceparent.as_deref(), known(&event.event_type));
        let mut span = Span::of_message(SpanKind::Client, parent, Operation::PUBLISH, name);
        span.set("messaging.message.id", event.id.to_string());
        span
    };
    events.iter().map(begin).collect()
}

/// Ends the publishing of what got `verdicts`, or none.
pub(crate) fn published<E: std::fmt::Display>(spans: Vec<Span>, verdicts: &Result<Vec<Verdict>, E>) {
    for (index, mut span) in spans.into_iter().enumerate() {
        match verdicts.as_ref().map(|verdicts| verdicts.get(index)) {
            Ok(Some(Verdict::Rejected)) => span.fail("rejected", "a queue is full"),
            Ok(Some(Verdict::Returned)) => span.fail("returned", "no queue took it"),
            Ok(_) => {}
            Err(failure) => span.fail("unconfirmed", &failure.to_string()),
        }
    }
}

/// Begins the processing of a message that `service` received, and makes it what the message's effects inherit.
pub(crate) fn process(envelope: &mut Envelope<'_>, service: Service) -> Span {
    if !is_on() {
        return Span(None);
    }
    let (parent, event) = (envelope.traceparent.as_deref(), known(&envelope.event_type));
    let mut span = Span::of_message(SpanKind::Consumer, parent, Operation::process(service.name()), event);
    span.set("messaging.message.id", envelope.id.to_string());
    // what has not been read yet may be anybody's text
    if Uuid::try_parse(&envelope.subject).is_ok() {
        span.set("cloudevents.event_subject", envelope.subject.to_string());
    }
    if let Some(traceparent) = span.traceparent() {
        envelope.traceparent = Some(Cow::Owned(traceparent));
    }
    span
}

/// The event's type if it is in the catalogue: whatever else stands there is somebody's text.
fn known(event: &str) -> &'static str {
    find(event).map_or("unknown", |known| known.name)
}

/// A W3C `traceparent`. A version after 00 may have more parts, which are ignored as the standard asks.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, len| text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let fits = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    if !(fits && is_hex(trace_id, 32) && is_hex(span_id, 16) && is_hex(flags, 2)) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace_id, span_id) = (TraceId::from_hex(trace_id).ok()?, SpanId::from_hex(span_id).ok()?);
    let context = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_standard_asks() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let read = parse(&format!("00-{trace}-b7ad6b7169203331-01")).expect("it is one");
        assert_eq!((read.trace_id().to_string().as_str(), read.is_sampled(), read.is_remote()), (trace, true, true));
        assert!(parse(&format!("cc-{trace}-b7ad6b7169203331-02-what")).is_some_and(|read| !read.is_sampled()));
        for bad in [
            format!("00-{trace}-b7ad6b7169203331-01-what"),
            format!("ff-{trace}-b7ad6b7169203331-01"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{}-b7ad6b7169203331-01", trace.to_uppercase()),
            "nonsense".to_owned(),
        ] {
            assert!(parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_recorded_unless_it_is_asked_for() {
        let context = Context::of_request("request", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let mut created = Created::default();
        let traceparent = created.add(&context, "order.created", EventId::new(), "subject");
        assert_eq!(traceparent, context.traceparent, "the event is where its cause is");
        assert!(created.0.is_empty() && !is_on());
        assert_eq!(Span::call("call", "somebody", context.traceparent.as_deref()).traceparent(), None);
    }
}
