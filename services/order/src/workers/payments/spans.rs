//! The calls to the provider as spans: one for each payment of a batch.

use messaging::trace::{self, Span};
use uuid::Uuid;

use crate::payment::{Answer, Job, Task};

/// The calls that are under way. None while spans are not recorded.
pub(super) struct Calls(Vec<Span>);

impl Calls {
    /// Begins them, and makes them what follows from the answers.
    pub(super) fn begin(batch: &mut [Job]) -> Self {
        let traced = if trace::is_on() { batch } else { &mut [] };
        Self(traced.iter_mut().map(begin).collect())
    }

    /// The provider said this.
    pub(super) fn answered(self, answers: &[Answer]) {
        for (mut span, answer) in self.0.into_iter().zip(answers) {
            let name = match answer {
                Answer::Completed => "completed",
                Answer::Declined(_) => "declined",
                Answer::Later => "later",
                Answer::Again => "again",
            };
            span.set("warren.payment.answer", name);
            if *answer == Answer::Again {
                span.fail(name, "to be asked again");
            }
        }
    }

    /// Nothing is known of any of them.
    pub(super) fn unanswered(self, reason: &str) {
        for mut span in self.0 {
            span.fail("unreachable", reason);
        }
    }
}

fn begin(job: &mut Job) -> Span {
    let name = match job.task {
        Task::Charge => "charge",
        Task::Refund => "refund",
    };
    let intent = &mut job.intent;
    let mut span = Span::call(name, "payment-provider", intent.context.traceparent.as_deref());
    span.set("warren.order_id", intent.order_id.to_string());
    // one of another provider's making is a stranger's text
    if let Ok(id) = intent.payment_id.parse::<Uuid>() {
        span.set("warren.payment.id", id.to_string());
    }
    span.set("warren.payment.method", intent.method.clone());
    span.set("warren.attempt", i64::from(job.attempts));
    intent.context.traceparent = span.traceparent().or(intent.context.traceparent.take());
    span
}
