//! The tray: where a handler puts mails for the sender of the same process, claimed from their birth.
//!
//! A mail that the sender would claim a moment later need not wait to be found: its row is written as a claim, and the mail
//! is handed over when that is committed, which saves a statement, a commit and their time. A handler asks for a
//! [`Promise`] before it writes; the sender gets what was promised, or learns that it was not kept. What is handed over and
//! lost, because the process ends, is a claim without an answer like any other.
//!
//! A promise that is not kept was rolled back as a rule; but if the answer to its commit was lost, its claims may be there,
//! and nobody knows them. They are looked for a little later, when such a commit is over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use messaging::tx::Tx;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::store::delivery::Claimed;

/// How long after a promise was not kept its claims are looked for. A commit that takes longer is found by the look that is
/// taken now and then in any case.
const AFTER: Duration = Duration::from_secs(5);

/// A sender that has not said for so long that it has time may be stuck, or dead without knowing it.
const FRESH: Duration = Duration::from_secs(1);

/// Between the handlers and the one sender of their process. Clones are the same tray.
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
    open: Option<Open>,
    /// Which claims are good: those of an earlier term may have been given back meanwhile.
    term: u64,
    promises: usize,
    mails: Vec<(u64, Instant, Claimed)>,
    /// When promises were not kept that nobody has looked after yet: the first and the last.
    broken: Option<(Instant, Instant)>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    sender: i32,
    room: usize,
    since: Instant,
}

/// Mails out of the tray.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The sender's own, to be handed over, each with the time before which it was not claimed.
    pub(super) good: Vec<(Claimed, Instant)>,
    /// Perhaps the sender's own, and perhaps another's by now.
    pub(super) stale: Vec<Claimed>,
}

impl Tray {
    /// Leave to claim so many mails for the sender, if it would begin with them at once.
    pub fn promise(&self, count: usize) -> Option<Promise> {
        let mut state = self.state();
        let open = state.open.as_mut().filter(|open| open.room >= count && open.since.elapsed() < FRESH)?;
        open.room -= count;
        let sender = open.sender;
        state.promises += 1;
        let since = Instant::now();
        Some(Promise { tray: self.clone(), sender, term: state.term, since, is_kept: false })
    }

    /// Mails may be claimed for this sender, that many.
    pub(super) fn open(&self, sender: i32, room: usize) {
        let mut state = self.state();
        let room = room.saturating_sub(state.mails.len());
        state.open = Some(Open { sender, room, since: Instant::now() });
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
    }

    /// What was handed over.
    pub(super) fn take(&self) -> Taken {
        let mut state = self.state();
        let term = state.term;
        let mut taken = Taken::default();
        for (of, since, mail) in std::mem::take(&mut state.mails) {
            if of == term { taken.good.push((mail, since)) } else { taken.stale.push(mail) }
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

    /// Whether there is a promise that was not kept, and whose claims are to be looked for by now.
    pub(super) fn is_broken(&self, now: Instant) -> bool {
        self.state().broken.is_some_and(|(first, _)| first + AFTER <= now)
    }

    /// Whether there is any promise that was not kept and not looked after yet.
    pub(super) fn has_broken(&self) -> bool {
        self.state().broken.is_some()
    }

    /// The claims of promises that were not kept were looked for at `then`. What is younger is looked for once more.
    pub(super) fn looked_after(&self, then: Instant) {
        let mut state = self.state();
        state.broken = state.broken.filter(|(_, last)| *last + AFTER > then).map(|(_, last)| (last, last));
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
    since: Instant,
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
            let (term, since) = (self.term, self.since);
            self.tray.state().mails.extend(mails.into_iter().map(|mail| (term, since, mail)));
        });
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let mut state = self.tray.state();
        state.promises -= 1;
        if !self.is_kept {
            let now = Instant::now();
            state.broken = Some((state.broken.map_or(now, |(first, _)| first), now));
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
        let (term, since) = (promise.term, promise.since);
        promise.tray.state().mails.extend((0..count).map(|_| (term, since, mail())));
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

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_says_nothing_gets_no_mails() {
        let tray = Tray::default();
        tray.open(7, 10);
        tokio::time::advance(FRESH).await;
        assert!(tray.promise(1).is_none());
        tray.open(7, 10);
        assert!(tray.promise(1).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn promises_that_are_not_kept_are_looked_after_each_at_its_time() {
        let tray = Tray::default();
        tray.open(7, 10);
        drop(tray.promise(1));
        tray.renew();
        tray.open(7, 10);
        assert!(tray.has_broken() && !tray.is_broken(Instant::now()));
        tokio::time::advance(AFTER).await;
        // a later one does not put off the look, and is not forgotten with it
        tray.open(7, 10);
        drop(tray.promise(1));
        assert!(tray.is_broken(Instant::now()));
        tray.looked_after(Instant::now());
        assert!(tray.has_broken() && !tray.is_broken(Instant::now()));
        tokio::time::advance(AFTER).await;
        assert!(tray.is_broken(Instant::now()));
        tray.looked_after(Instant::now());
        assert!(!tray.has_broken());
    }
}
