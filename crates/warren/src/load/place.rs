//! The hot loop: each order in its own task, as many at once as there are connections.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::sleep;
use uuid::Uuid;

use super::arrivals::Rate;
use super::latency::Latency;
use super::plan::Plan;
use super::progress::Progress;
use super::wire::{Answer, Pool, Target};

/// Connections that are opened before the clock starts. More are opened when they are needed.
const OPEN_FIRST: u16 = 32;

/// The first and the longest pause after a lost connection.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How orders are to be placed.
pub(super) struct Loop {
    /// The name of the run, the beginning of all its idempotency keys.
    pub(super) run: String,
    /// How many.
    pub(super) orders: u32,
    /// At which times; as fast as the answers come when there is none.
    pub(super) rate: Option<Rate>,
    /// How many at once.
    pub(super) connections: u16,
    /// How long one order is tried.
    pub(super) give_up_after: Duration,
}

/// What became of the POSTs.
#[derive(Debug, Default)]
pub(super) struct Placed {
    /// The ids of the orders that were answered with 201.
    pub(super) accepted: Vec<Uuid>,
    /// From the intended start to the 201.
    pub(super) post: Latency,
    /// Orders that were refused, by the problem's kind.
    pub(super) refused: BTreeMap<String, u32>,
    /// Orders that were given up without an answer: they may exist.
    pub(super) unanswered: u32,
    /// What made a POST be repeated, and how often.
    pub(super) repeated: BTreeMap<String, u32>,
    /// From the first POST to the last answer.
    pub(super) took: Duration,
}

struct Shared {
    job: Loop,
    plan: Plan,
    pool: Pool,
    done: AtomicU32,
    placed: Mutex<Placed>,
}

/// Places all orders, and returns when each has its final answer or was given up.
pub(super) async fn all(job: Loop, plan: Plan, target: Target, progress: &Progress) -> Placed {
    let pool = Pool::new(target);
    pool.open(job.connections.min(OPEN_FIRST)).await;
    let shared = Arc::new(Shared { job, plan, pool, done: AtomicU32::new(0), placed: Mutex::default() });
    let start = Instant::now();
    progress.watch(drive(&shared, start), || shared.done.load(Ordering::Relaxed).into()).await;
    let mut placed = std::mem::take(&mut *shared.placed.lock().unwrap_or_else(PoisonError::into_inner));
    placed.took = start.elapsed();
    placed
}

async fn drive(shared: &Arc<Shared>, start: Instant) {
    let Loop { orders, rate, connections, .. } = shared.job;
    let slots = Arc::new(Semaphore::new(connections.into()));
    let timetable = rate.map(|rate| (rate, rate.start(start, orders)));
    for index in 0..orders {
        if let Some((_, due)) = &timetable {
            take(due).await;
        }
        let slot = Arc::clone(&slots).acquire_owned().await;
        let intended = timetable.as_ref().map_or_else(Instant::now, |(rate, _)| start + rate.offset(index));
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            shared.place(index, intended).await;
            drop(slot);
        });
    }
    // whoever holds all slots knows that nobody is at work any more
    let _ = slots.acquire_many(connections.into()).await;
}

async fn take(semaphore: &Semaphore) {
    // neither of our semaphores is ever closed
    if let Ok(permit) = semaphore.acquire().await {
        permit.forget();
    }
}

impl Shared {
    /// Places one order: under one key, until there is an answer for good.
    async fn place(&self, index: u32, intended: Instant) {
        let key = format!("{}-{index}", self.job.run);
        let give_up = Instant::now() + self.job.give_up_after;
        let mut pause = PAUSE.0;
        loop {
            let wait = match self.pool.post(&key, self.plan.body(index)).await {
                Ok(Answer::Accepted(id)) => {
                    let latency = intended.elapsed();
                    return self.record(|placed| {
                        placed.accepted.push(id);
                        placed.post.record(latency);
                    });
                }
                Ok(Answer::Refused(kind)) => {
                    return self.record(|placed| *placed.refused.entry(kind).or_default() += 1);
                }
                Ok(Answer::NotNow(kind, after)) => {
                    self.repeat(kind);
                    after
                }
                Err(reason) => {
                    self.repeat(reason.to_owned());
                    let wait = pause;
                    pause = (pause * 2).min(PAUSE.1);
                    wait
                }
            };
            if wait > give_up.saturating_duration_since(Instant::now()) {
                return self.record(|placed| placed.unanswered += 1);
            }
            sleep(wait).await;
        }
    }

    fn record(&self, what: impl FnOnce(&mut Placed)) {
        what(&mut self.placed.lock().unwrap_or_else(PoisonError::into_inner));
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    fn repeat(&self, why: String) {
        let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        *placed.repeated.entry(why).or_default() += 1;
    }
}
