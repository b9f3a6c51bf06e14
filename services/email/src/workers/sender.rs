//! Hands over the mails that are due.
//!
//! A [`step`](Sender::step) claims a batch, hands the mails over outside of any transaction, several at a time, and
//! records how that went in one statement. A claim that is committed means "perhaps handed over": when its sender stops
//! before recording, the mail is in doubt, and whoever finds the claim sends it again under the same `Message-ID`.
//!
//! Most mails are claimed by the handler that queues them, for the sender of its own process, and come over the `tray`; the
//! others are found in their rows.
//!
//! Read on in this order: `tray` (how mails come without being looked for), `desk` (one mail), `outcome` (what its answer
//! means), `tally` (how that is recorded), `brake` (when the server is away), `session` (how others see that this sender
//! lives), `claims` (what becomes of the mails of one that does not).

mod brake;
mod claims;
mod desk;
mod outcome;
mod session;
mod tally;
mod tray;

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use lettre::message::Mailbox;
use messaging::breaker::Breaker;
use sqlx::{PgConnection, PgPool};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::store::delivery::{self, Claimed};
use crate::templates::Templates;
use crate::transport::Transport;
use brake::{Admission, Brake, Gate};
use claims::Claims;
use desk::Desk;
use outcome::{HandedOver, Outcome, decide};
use session::Session;
pub use tally::Mails;
use tally::Tally;
use tray::Taken;
pub use tray::Tray;

/// How many mails are claimed at once: enough that a commit is shared by many.
const BATCH: usize = 200;

/// When so many are still under way, no more are looked for.
const LOW_WATER: usize = 50;

/// How many answers are recorded together at most.
const RECORD: usize = 100;

/// How long the first answer waits for others to be recorded with it. Nobody waits for the record, but as long as it is
/// not there, a crash leaves the mail in doubt.
const LINGER: Duration = Duration::from_millis(5);

/// How long a step waits for a first answer, before it looks whether there is more to claim.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often a sender looks for mails that nobody woke it for: those that are due again.
const POLL: Duration = Duration::from_millis(250);

/// How often a sender gives back what it holds without knowing it, whether it has heard of such or not.
const DISOWN: Duration = Duration::from_mins(1);

/// How long a probe without a mail may hold up a step. A server that is slower is found to be back by the next mail.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A step takes much less, whatever the mail server does; one that does not has lost its database without a word.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause after an error of the database. Shorter than the time after which others take this sender for dead.
const RECONNECT: Duration = Duration::from_millis(500);

/// What a sender is made of.
#[derive(Debug)]
pub struct Parts {
    /// The database.
    pub pool: PgPool,
    /// Where mails go.
    pub transport: Transport,
    /// How they look.
    pub templates: Arc<Templates>,
    /// Whom they are from.
    pub from: Mailbox,
    /// Who gets those for the operators.
    pub operators: Option<Mailbox>,
    /// Wakes the sender to look for mails in their rows.
    pub wake: Arc<Notify>,
    /// Where handlers put mails that are claimed already.
    pub tray: Tray,
    /// The breaker in front of the mail server.
    pub breaker: Breaker,
    /// What is counted.
    pub mails: Mails,
}

/// Hands over mails. Any number of them may run, in any number of processes, each with a tray of its own.
#[derive(Debug)]
pub struct Sender {
    pool: PgPool,
    desk: Arc<Desk>,
    brake: Brake,
    gate: Gate,
    wake: Arc<Notify>,
    tray: Tray,
    /// When to look for mails in their rows: after a call for it, and now and then.
    look_at: Instant,
    /// When to give back what is held without being known.
    disown_at: Instant,
    session: Option<Session>,
    number: Option<i32>,
    under_way: JoinSet<(Claimed, HandedOver)>,
    /// What the database is to hold as claimed by this sender.
    held: HashSet<Uuid>,
    tally: Tally,
    claims: Claims,
}

/// Whether a step found anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It did, so there may be more.
    Busy,
    /// It did not, and may have nothing to do until then, unless it is woken.
    Idle(Instant),
}

impl Sender {
    /// A sender that has not begun.
    pub fn new(parts: Parts) -> Self {
        let Parts { pool, transport, templates, from, operators, wake, tray, breaker, mails } = parts;
        let gate = Gate::default();
        Self {
            pool,
            desk: Arc::new(Desk::new(transport, templates, from, operators, gate.clone())),
            brake: Brake::new(breaker, gate.clone()),
            gate,
            wake,
            tray,
            look_at: Instant::now(),
            disown_at: Instant::now() + DISOWN,
            session: None,
            number: None,
            under_way: JoinSet::new(),
            held: HashSet::new(),
            tally: Tally::new(mails),
            claims: Claims::default(),
        }
    }

    /// Runs until `shutdown`, and then until all that was begun is recorded.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut trouble = None;
        while !shutdown.is_cancelled() {
            match timeout(STEP_TIMEOUT, self.step()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
                Ok(progress) => {
                    if trouble.take().is_some() {
                        info!("mails go out again: the database is back");
                    }
                    if let Progress::Idle(until) = progress {
                        self.rest(until, &shutdown).await;
                    }
                }
                Err(error) => {
                    self.tray.close();
                    let text = error.to_string();
                    if trouble.as_ref() != Some(&text) {
                        warn!(%error, "mails wait for the database");
                        trouble = Some(text);
                    }
                    shutdown.run_until_cancelled(sleep(RECONNECT)).await;
                }
            }
        }
        self.finish().await;
    }

    /// Claims what is due and hands it over, records what was answered, and looks after the claims of senders that are no
    /// more. Waits for answers, but not long: slow ones are recorded by a later step.
    ///
    /// # Errors
    /// When the database cannot be asked. Nothing is lost by that: the next step goes on with a new session.
    pub async fn step(&mut self) -> sqlx::Result<Progress> {
        // Taken out for the step, so that a session on which something fails is not used again.
        let mut session = self.open().await?;
        self.tally.record(&mut session, &mut self.held).await?;
        let looked = self.claims.look_after(&mut session.conn, &self.tally).await?;
        if looked {
            self.desk.transport().tidy().await;
        }
        let now = Instant::now();
        if self.tray.is_broken(now) || now >= self.disown_at {
            self.disown(&mut session, now).await?;
        }
        let stale = self.take_from_tray();
        let until = self.claim(&mut session.conn, session.sender).await?;
        self.give_back(stale);
        let busy = !self.under_way.is_empty();
        self.collect().await;
        self.tally.record(&mut session, &mut self.held).await?;
        self.session = Some(session);
        Ok(if busy { Progress::Busy } else { Progress::Idle(until) })
    }

    async fn open(&mut self) -> sqlx::Result<Session> {
        if let Some(session) = self.session.take() {
            return Ok(session);
        }
        // What a new session finds claimed and does not know is given back: the tray must not bring it afterwards.
        self.tray.renew();
        let session = Session::open(&self.pool, self.number, &self.held()).await?;
        self.number = Some(session.sender);
        Ok(session)
    }

    /// Gives back what the database thinks this sender holds and it does not know.
    async fn disown(&mut self, session: &mut Session, now: Instant) -> sqlx::Result<()> {
        // Before that, since the tray must not bring it afterwards.
        self.tray.renew();
        delivery::disown(&mut session.conn, session.sender, &self.held()).await?;
        self.tray.looked_after(now);
        self.disown_at = now + DISOWN;
        Ok(())
    }

    fn held(&self) -> Vec<Uuid> {
        self.held.iter().copied().collect()
    }

    /// Sets on their way what handlers have claimed, and returns what may be another's by now.
    fn take_from_tray(&mut self) -> Vec<Claimed> {
        let taken = self.tray.take();
        for (mail, since) in taken.good {
            match self.brake.is_on() {
                true => self.give_back([mail]),
                false => self.begin(mail, since),
            }
        }
        taken.stale
    }

    /// Gives back mails that were certainly not begun, but for those that were claimed again by now.
    fn give_back(&mut self, mails: impl IntoIterator<Item = Claimed>) {
        for mail in mails {
            if !self.held.contains(&mail.id) {
                self.tally.add(mail, Outcome::GiveBack(Duration::ZERO));
            }
        }
    }

    /// Sets a mail on its way that was claimed after `since`.
    fn begin(&mut self, mail: Claimed, since: Instant) {
        self.held.insert(mail.id);
        let desk = Arc::clone(&self.desk);
        self.under_way.spawn(async move {
            let handed_over = AssertUnwindSafe(desk.hand_over(&mail, since)).catch_unwind().await;
            (mail, handed_over.unwrap_or(HandedOver::Unknown))
        });
    }

    /// Claims what may be claimed and sets it on its way. Returns when to claim again, if nothing happens before.
    async fn claim(&mut self, conn: &mut PgConnection, sender: i32) -> sqlx::Result<Instant> {
        // Whoever called until now, called for what this claim sees.
        if self.wake.notified().now_or_never().is_some() {
            self.look_at = Instant::now();
        }
        if Instant::now() >= self.look_at {
            // Mails that wait in their rows come first, so nobody overtakes them by way of the tray.
            self.tray.close();
            if self.under_way.len() > LOW_WATER {
                return Ok(Instant::now() + POLL);
            }
            let (limit, is_probe) = match self.brake.admission(!self.under_way.is_empty()) {
                Admission::Batch => (BATCH, false),
                Admission::Probe => (1, true),
                Admission::Nothing(until) => return Ok(until.min(Instant::now() + POLL)),
            };
            let since = Instant::now();
            let mails = delivery::claim(conn, sender, limit).await?;
            if is_probe && mails.is_empty() {
                match timeout(PROBE_TIMEOUT, self.desk.transport().check()).await {
                    Ok(Ok(())) => self.brake.answered(),
                    Ok(Err(why)) => self.brake.away(&why),
                    Err(_) => self.brake.away("no answer"),
                }
            }
            if mails.len() < limit {
                self.look_at = Instant::now() + POLL;
            }
            for mail in mails {
                self.begin(mail, since);
            }
        }
        let room = (BATCH + LOW_WATER).saturating_sub(self.under_way.len());
        match self.brake.is_on() {
            true => self.tray.close(),
            false => self.tray.open(sender, room),
        }
        Ok(self.look_at)
    }

    /// Waits for answers: until all or many are there, others have had their chance to be recorded with the first, or
    /// there may be more to claim.
    async fn collect(&mut self) {
        let mut until = Instant::now() + PATIENCE;
        while !self.under_way.is_empty() && self.tally.len() < RECORD {
            tokio::select! {
                biased;
                Some(ended) = self.under_way.join_next() => {
                    if self.tally.len() == 0 {
                        until = until.min(Instant::now() + LINGER);
                    }
                    self.take_in(ended);
                }
                () = self.tray.moved() => {
                    let stale = self.take_from_tray();
                    self.give_back(stale);
                }
                () = self.wake.notified(), if self.under_way.len() <= LOW_WATER => {
                    self.look_at = Instant::now();
                    return;
                }
                () = sleep_until(until) => return,
            }
        }
    }

    fn take_in(&mut self, ended: Result<(Claimed, HandedOver), JoinError>) {
        // Panics are caught in the task, and nothing aborts it.
        let Ok((mail, handed_over)) = ended else { return };
        if let HandedOver::Tried { answer, .. } = &handed_over {
            self.brake.note(answer);
        }
        let outcome = decide(&mail, handed_over);
        self.tally.add(mail, outcome);
    }

    async fn rest(&mut self, until: Instant, shutdown: &CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.wake.notified() => self.look_at = Instant::now(),
            () = self.tray.moved() => {}
            () = sleep_until(until) => {}
        }
    }

    /// Lets what is at the mail server come to its end, gives the rest back, and takes leave.
    async fn finish(mut self) {
        self.gate.shut();
        self.tray.close();
        while !(self.held.is_empty() && self.tally.len() == 0 && self.tray.is_done()) {
            let Taken { good, stale } = self.tray.take();
            self.give_back(good.into_iter().map(|(mail, _)| mail).chain(stale));
            if self.held.is_empty() && self.tally.len() == 0 {
                // a handler's transaction, which ends soon
                let _ = timeout(PATIENCE, self.tray.moved()).await;
                continue;
            }
            self.collect().await;
            let recorded = async {
                let mut session = self.open().await?;
                self.tally.record(&mut session, &mut self.held).await?;
                self.session = Some(session);
                sqlx::Result::Ok(())
            };
            if let Err(error) = timeout(STEP_TIMEOUT, recorded).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
                warn!(%error, held = self.held.len(), "what was sent cannot be recorded yet");
                sleep(RECONNECT).await;
            }
        }
        if self.tray.has_broken() {
            let looked = async {
                let mut session = self.open().await?;
                self.disown(&mut session, Instant::now()).await
            };
            // what cannot be looked for now is another sender's to find
            let _ = timeout(PROBE_TIMEOUT, looked).await;
        }
        self.desk.transport().close().await;
    }
}
