//! Ended spans on their way to the collector.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Spans that wait, at most: some seconds of a busy service, and a few megabytes. What comes beyond is dropped.
const MOST_WAITING: usize = 8192;

/// Spans in one request, at most.
const MOST_TOGETHER: usize = 512;

/// How long a span waits for others to share its request.
const LINGER: Duration = Duration::from_secs(1);

/// The spans that never reached the collector.
#[derive(Clone, Debug)]
pub(super) struct Dropped(Counter);

impl Dropped {
    /// Registers `warren_spans_dropped_total`.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let counter = Counter::default();
        registry.register("warren_spans_dropped", "Spans that did not reach the collector", counter.clone());
        Self(counter)
    }
}

/// What goes to the thread.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are spans")]
enum Message {
    Span(SpanData),
    /// Nothing follows: deliver what is here, and say when that is done.
    Finish(SyncSender<()>),
}

/// Takes ended spans and never waits. A thread of its own delivers them: the exporter blocks.
pub(super) struct Queue<E> {
    door: SyncSender<Message>,
    /// Until the provider has said what the exporter is to say of this process, which it does before the first span.
    waiting: Mutex<Option<(Receiver<Message>, E)>>,
    dropped: Dropped,
    is_full: AtomicBool,
}

impl<E: SpanExporter + 'static> Queue<E> {
    /// An empty queue before `exporter`.
    pub(super) fn start(exporter: E, dropped: Dropped) -> Self {
        let (door, spans) = sync_channel(MOST_WAITING);
        Self { door, waiting: Mutex::new(Some((spans, exporter))), dropped, is_full: AtomicBool::new(false) }
    }
}

impl<E: SpanExporter + 'static> SpanProcessor for Queue<E> {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        match self.door.try_send(Message::Span(span)) {
            Ok(()) => self.is_full.store(false, Ordering::Relaxed),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.0.inc();
                if !self.is_full.swap(true, Ordering::Relaxed) {
                    tracing::warn!("more spans than the collector takes: some are dropped");
                }
            }
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let (done, wait) = sync_channel(1);
        let until = Instant::now() + timeout;
        let mut message = Message::Finish(done);
        // A full queue moves on, or nothing can be delivered anyway.
        while let Err(TrySendError::Full(back)) = self.door.try_send(message) {
            if Instant::now() > until {
                return Err(OTelSdkError::Timeout(timeout));
            }
            message = back;
            thread::sleep(Duration::from_millis(10));
        }
        match wait.recv_timeout(until.saturating_duration_since(Instant::now())) {
            // one that was asked before has seen to it, and is gone
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(()),
            Err(RecvTimeoutError::Timeout) => Err(OTelSdkError::Timeout(timeout)),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        let waiting = self.waiting.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some((spans, mut exporter)) = waiting else { return };
        exporter.set_resource(resource);
        let dropped = self.dropped.clone();
        let started =
            thread::Builder::new().name("traces".to_owned()).spawn(move || deliver(&spans, &exporter, &dropped));
        if let Err(error) = started {
            tracing::error!(%error, "no thread for traces: none are recorded");
        }
    }
}

impl<E> std::fmt::Debug for Queue<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}

/// Delivers until the end.
fn deliver(spans: &Receiver<Message>, exporter: &impl SpanExporter, dropped: &Dropped) {
    let mut lost = None;
    loop {
        let (batch, finish) = gather(spans);
        let count = batch.len() as u64;
        if count > 0 {
            // The exporter tries again for some seconds by itself.
            match (futures_executor::block_on(exporter.export(batch)), &mut lost) {
                (Ok(()), None) => {}
                (Ok(()), Some(spans)) => {
                    tracing::info!(dropped = *spans, "traces reach the collector again");
                    lost = None;
                }
                (Err(error), None) => {
                    tracing::warn!(%error, "traces do not reach the collector; dropping them until they do");
                    dropped.0.inc_by(count);
                    lost = Some(count);
                }
                (Err(_), Some(spans)) => {
                    dropped.0.inc_by(count);
                    *spans += count;
                }
            }
        }
        if let Some(done) = finish {
            let _ = done.send(());
            return;
        }
    }
}

/// The next spans, and whom to tell when they are the last.
fn gather(spans: &Receiver<Message>) -> (Vec<SpanData>, Option<SyncSender<()>>) {
    let mut batch = Vec::new();
    let mut until = None;
    while batch.len() < MOST_TOGETHER {
        let next = match until {
            None => spans.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(until) => spans.recv_timeout(Instant::saturating_duration_since(&until, Instant::now())),
        };
        match next {
            Ok(Message::Span(span)) => batch.push(span),
            Ok(Message::Finish(done)) => return (batch, Some(done)),
            Err(RecvTimeoutError::Timeout) => break,
            // The provider lives as long as the process, so nobody asks any more.
            Err(RecvTimeoutError::Disconnected) => return (batch, Some(sync_channel(1).0)),
        }
        until.get_or_insert_with(|| Instant::now() + LINGER);
    }
    (batch, None)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::time::SystemTime;

    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    fn span(flags: TraceFlags) -> SpanData {
        let (trace_id, span_id) = (TraceId::from(1_u128), SpanId::from(1_u64));
        SpanData {
            span_context: SpanContext::new(trace_id, span_id, flags, false, TraceState::NONE),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "test".into(),
            start_time: SystemTime::now(),
            end_time: SystemTime::now(),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder("test").build(),
        }
    }

    /// Counts what it is given, once it may.
    #[derive(Clone, Debug)]
    struct Exporter {
        gate: Arc<Mutex<()>>,
        exported: Arc<AtomicUsize>,
    }

    impl SpanExporter for Exporter {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            let _open = self.gate.lock();
            self.exported.fetch_add(batch.len(), Ordering::Relaxed);
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_the_exporter_and_what_fits_is_delivered() {
        let exporter = Exporter { gate: Arc::default(), exported: Arc::default() };
        let dropped = Dropped(Counter::default());
        let mut queue = Queue::start(exporter.clone(), dropped.clone());
        queue.set_resource(&Resource::builder_empty().build());
        let shut = exporter.gate.lock().expect("nobody panics with the lock");
        let all = 2 * MOST_WAITING;
        for _ in 0..all {
            queue.on_end(span(TraceFlags::SAMPLED));
            queue.on_end(span(TraceFlags::NOT_SAMPLED));
        }
        assert!(dropped.0.get() > 0, "the queue has an end");
        let none = Duration::from_millis(20);
        assert!(queue.shutdown_with_timeout(none).is_err(), "nor for ever for the end");
        drop(shut);
        queue.shutdown_with_timeout(Duration::from_secs(30)).expect("the exporter goes on");
        let exported = exporter.exported.load(Ordering::Relaxed);
        assert_eq!(exported + usize::try_from(dropped.0.get()).expect("a small number"), all);
    }
}
