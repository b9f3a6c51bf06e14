//! What a handing over means for its mail: a pure function.

use std::time::Duration;

use crate::mail::retry_after;
use crate::store::delivery::{Claimed, Settled};
use crate::transport::Answer;

/// How long a mail that could not be handed over rests, so that others go first: were it the reason, they would wait
/// behind it for ever.
const REST: Duration = Duration::from_secs(1);

/// How handing over a claimed mail ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HandedOver {
    /// It was handed over, or that was tried.
    Tried {
        /// How that ended.
        answer: Answer,
        /// The address.
        to: String,
        /// The page.
        html: String,
    },
    /// It cannot be handed over, now or ever.
    Impossible {
        /// Why, without the address.
        why: String,
        /// The address, if there is one.
        to: Option<String>,
    },
    /// It was not tried, and can go at once or after that time.
    NotTried(Duration),
    /// Its task panicked, nobody knows where.
    Unknown,
}

/// What to do about a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Record this.
    Settle(Settled, Event),
    /// Give it back, due after that time, as if it had not been claimed.
    GiveBack(Duration),
}

/// What there is to count and tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// It is gone.
    Sent,
    /// It goes again later.
    Deferred,
    /// It may be gone.
    InDoubt,
    /// It will never go.
    Failed,
}

/// Decides about `mail`.
pub(super) fn decide(mail: &Claimed, handed_over: HandedOver) -> Outcome {
    let attempts = mail.attempts.saturating_add(1);
    let settled =
        |status, error, to, html, again| Settled { id: mail.id, status, attempts, recipient: to, error, html, again };
    let (answer, to, html) = match handed_over {
        HandedOver::Tried { answer, to, html } => (answer, to, Some(html)),
        HandedOver::NotTried(wait) => return Outcome::GiveBack(wait),
        HandedOver::Impossible { why, to } => {
            let settled = Settled { attempts: mail.attempts, ..settled("failed", Some(why), to, None, None) };
            return Outcome::Settle(settled, Event::Failed);
        }
        HandedOver::Unknown => (Answer::Lost("an error of this service".to_owned()), String::new(), None),
    };
    let to = Some(to).filter(|to| !to.is_empty());
    match answer {
        Answer::Accepted => Outcome::Settle(settled("sent", None, to, html, None), Event::Sent),
        Answer::Unavailable(_) => Outcome::GiveBack(REST),
        Answer::Lost(why) => {
            Outcome::Settle(settled("in-doubt", Some(why), to, html, retry_after(attempts)), Event::InDoubt)
        }
        Answer::Refused(why) => Outcome::Settle(settled("failed", Some(why), to, None, None), Event::Failed),
        Answer::Deferred(why) => match retry_after(attempts) {
            // Once in doubt, a mail stays so until there is an answer that ends it.
            again if mail.in_doubt => {
                Outcome::Settle(settled("in-doubt", Some(why), None, None, again), Event::Deferred)
            }
            Some(wait) => Outcome::Settle(settled("queued", Some(why), None, None, Some(wait)), Event::Deferred),
            None => {
                let why = format!("given up after {attempts} attempts: {why}");
                Outcome::Settle(settled("failed", Some(why), to, None, None), Event::Failed)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn mail(attempts: i16, in_doubt: bool) -> Claimed {
        Claimed {
            id: Uuid::nil(),
            template: "welcome".to_owned(),
            order_id: None,
            customer_id: None,
            correlation_id: "c".to_owned(),
            traceparent: None,
            message_id: "<m>".to_owned(),
            data: "{}".to_owned(),
            attempts,
            in_doubt,
            name: None,
            email: None,
        }
    }

    fn tried(answer: Answer) -> HandedOver {
        HandedOver::Tried { answer, to: "a@b.c".to_owned(), html: "<p>".to_owned() }
    }

    fn settled(outcome: Outcome) -> (Settled, Event) {
        match outcome {
            Outcome::Settle(settled, event) => (settled, event),
            Outcome::GiveBack(wait) => panic!("given back for {wait:?}"),
        }
    }

    #[test]
    fn accepted_is_sent_even_if_it_was_in_doubt() {
        for in_doubt in [false, true] {
            let (mail, event) = settled(decide(&mail(1, in_doubt), tried(Answer::Accepted)));
            assert_eq!((mail.status, mail.attempts, mail.error, mail.again), ("sent", 2, None, None));
            assert_eq!((mail.recipient.as_deref(), mail.html.as_deref()), (Some("a@b.c"), Some("<p>")));
            assert_eq!(event, Event::Sent);
        }
    }

    #[test]
    fn deferred_goes_again_until_the_schedule_ends() {
        let busy = || tried(Answer::Deferred("450 busy".to_owned()));
        let (first, event) = settled(decide(&mail(0, false), busy()));
        assert_eq!((first.status, first.attempts, event), ("queued", 1, Event::Deferred));
        assert_eq!(first.again, retry_after(1));
        let (last, event) = settled(decide(&mail(11, false), busy()));
        assert_eq!((last.status, last.again, event), ("failed", None, Event::Failed));
        assert!(last.error.unwrap().contains("12 attempts: 450 busy"));
    }

    #[test]
    fn in_doubt_stays_in_doubt_until_an_answer_ends_it() {
        let busy = || tried(Answer::Deferred("450 busy".to_owned()));
        for attempts in [1, 11] {
            let (mail, _) = settled(decide(&mail(attempts, true), busy()));
            assert_eq!((mail.status, mail.again), ("in-doubt", retry_after(attempts + 1)));
        }
        let (lost, event) = settled(decide(&mail(0, false), tried(Answer::Lost("lost".to_owned()))));
        assert_eq!((lost.status, lost.attempts, event), ("in-doubt", 1, Event::InDoubt));
        assert!(lost.html.is_some());
        let (never, _) = settled(decide(&mail(1, true), tried(Answer::Refused("550".to_owned()))));
        assert_eq!((never.status, never.again), ("failed", None));
    }

    #[test]
    fn what_was_not_handed_over_costs_no_attempt() {
        let away = tried(Answer::Unavailable("away".to_owned()));
        assert_eq!(decide(&mail(0, false), away), Outcome::GiveBack(REST));
        let not_tried = HandedOver::NotTried(Duration::ZERO);
        assert_eq!(decide(&mail(0, false), not_tried), Outcome::GiveBack(Duration::ZERO));
        let impossible = HandedOver::Impossible { why: "no".to_owned(), to: None };
        let (never, event) = settled(decide(&mail(0, false), impossible));
        assert_eq!((never.status, never.attempts, event), ("failed", 0, Event::Failed));
    }

    #[test]
    fn nobody_knows_what_a_panic_did() {
        let (mail, event) = settled(decide(&mail(0, false), HandedOver::Unknown));
        assert_eq!((mail.status, mail.recipient, event), ("in-doubt", None, Event::InDoubt));
    }
}
