//! The tray: where a handler puts mails for the sender of the same process, claimed from their birth.
//!
//! A mail that the sender would claim a moment later need not wait to be found: its row is written as a claim, and the mail
//! is handed over when that is committed, which saves a statement, a commit and their time. A handler asks for a
//! [`Promise`] before it writes; the sender gets what was promised, or learns that it was not kept. What is handed over and
//! lost, because the process ends, is a claim without an answer like any other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use messaging::tx::Tx;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::store::delivery::Claimed;

/// Between the handlers and the sender. Clones are the same tray.
#[derive(Debug, Clone, Default)]
pub struct Tray(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Something was put in, or a promise has come to its end.
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// For which sender mails are claimed, and how many more it would take; closed at first, and while it has no time.
    open: Option<(i32, usize)>,
    /// Which claims are good: those of an earlier term may have been given back meanwhile.
    term: u64,
    promises: usize,
    mails: Vec<(u64, Claimed)>,
    /// When a promise was last not kept: its claims may be there all the same, if the answer to a commit was lost.
    broken: Option<Instant>,
}

/// Mails out of the tray.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The sender's own, to be handed over.
    pub(super) good: Vec<Claimed>,
    /// Perhaps the sender's own, and perhaps another's by now.
    pub(super) stale: Vec<Claimed>,
}

impl Tray {
    /// Leave to claim so many mails for the sender, if it would begin with them at once.
    pub fn promise(&self, count: usize) -> Option<Promise> {
        let mut state = self.state();
        let (sender, room) = state.open?;
        if count > room {
            return None;
        }
        state.open = Some((sender, room - count));
        state.promises += 1;
        Some(Promise { tray: self.clone(), sender, term: state.term, is_kept: false })
    }

    /// Mails may be claimed for this sender, that many.
    pub(super) fn open(&self, sender: i32, room: usize) {
        let mut state = self.state();
        let room = room.saturating_sub(state.mails.len());
        state.open = Some((sender, room));
    }

    /// No more mails are claimed for the sender. What was promised still comes.
    pub(super) fn close(&self) {
        self.state().open = None;
    }

    /// Closes the tray, and makes all that was promised until now stale.
    pub(super) fn renew(&self) {
        let mut state = self.state();
        state.open = None;
        state.term += 1;
        state.broken = None;
    }

    /// What was handed over.
    pub(super) fn take(&self) -> Taken {
        let mut state = self.state();
        let term = state.term;
        let mut taken = Taken::default();
        for (of, mail) in std::mem::take(&mut state.mails) {
            if of == term { taken.good.push(mail) } else { taken.stale.push(mail) }
        }
        taken
    }

    /// Until something is there to be taken, or a promise has come to its end.
    pub(super) async fn moved(&self) {
        self.0.moved.notified().await;
    }

    /// Whether nothing more will come once it is closed.
    pub(super) fn is_done(&self) -> bool {
        let state = self.state();
        state.promises == 0 && state.mails.is_empty()
    }

    /// When a promise was last not kept, in this term.
    pub(super) fn broken(&self) -> Option<Instant> {
        self.state().broken
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to claim mails for a sender.
#[derive(Debug)]
pub struct Promise {
    tray: Tray,
    sender: i32,
    term: u64,
    is_kept: bool,
}

impl Promise {
    /// For which sender they are claimed.
    pub fn sender(&self) -> i32 {
        self.sender
    }

    /// Hands `mails` over when `tx` has committed their claims.
    pub fn keep(mut self, tx: &mut Tx, mails: Vec<Claimed>) {
        tx.on_commit(move || {
            self.is_kept = true;
            let term = self.term;
            self.tray.state().mails.extend(mails.into_iter().map(|mail| (term, mail)));
        });
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let mut state = self.tray.state();
        state.promises -= 1;
        if !self.is_kept && self.term == state.term {
            state.broken = Some(Instant::now());
        }
        drop(state);
        self.tray.0.moved.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn mail() -> Claimed {
        Claimed {
            id: Uuid::now_v7(),
            template: "welcome".to_owned(),
            order_id: None,
            customer_id: None,
            correlation_id: "c".to_owned(),
            traceparent: None,
            message_id: "m".to_owned(),
            data: "{}".to_owned(),
            attempts: 0,
            in_doubt: false,
            name: None,
            email: None,
        }
    }

    /// What [`Promise::keep`] does once its transaction has committed.
    fn keep(mut promise: Promise, count: usize) {
        promise.is_kept = true;
        let term = promise.term;
        promise.tray.state().mails.extend((0..count).map(|_| (term, mail())));
    }

    #[test]
    fn it_takes_what_there_is_room_for() {
        let tray = Tray::default();
        assert!(tray.promise(1).is_none(), "nobody is there yet");
        tray.open(7, 10);
        let first = tray.promise(6).unwrap();
        assert_eq!(first.sender(), 7);
        assert!(tray.promise(6).is_none());
        keep(first, 6);
        tray.open(7, 10);
        assert!(tray.promise(5).is_none(), "six are still there");
        assert_eq!(tray.take().good.len(), 6);
        tray.close();
        assert!(tray.promise(1).is_none());
    }

    #[test]
    fn what_was_promised_before_a_renewal_is_stale() {
        let tray = Tray::default();
        tray.open(7, 10);
        let (early, late) = (tray.promise(1).unwrap(), tray.promise(2).unwrap());
        keep(early, 1);
        tray.renew();
        assert!(!tray.is_done(), "a promise is still open");
        keep(late, 2);
        let taken = tray.take();
        assert_eq!((taken.good.len(), taken.stale.len()), (0, 3));
        assert!(tray.is_done());
    }

    #[test]
    fn a_promise_that_is_not_kept_is_told_of_until_the_next_term() {
        let tray = Tray::default();
        tray.open(7, 10);
        drop(tray.promise(1));
        assert!(tray.broken().is_some());
        tray.renew();
        assert!(tray.broken().is_none());
    }
}
