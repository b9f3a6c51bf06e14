//! The payment worker: claims intents, asks the provider outside of any transaction, and commits the results with the
//! orders' next steps.
//!
//! A claim is committed before the provider is asked, so one that is left behind means "perhaps done", and is asked for
//! again under the same id. So is one that got no answer: until the provider has said what became of it, it is neither
//! withdrawn nor given up.

mod gate;
mod lanes;
mod results;
mod spans;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use messaging::breaker::Breaker;
use messaging::failpoint;
use messaging::fault::in_time;
use messaging::metrics::Metrics;
use messaging::tx::Database;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::payment::till::Till;
use crate::payment::{Job, LEASE, PaymentProvider, Task};
use crate::saga::SagaError;
use crate::store;
use gate::{Gate, Probe};
use lanes::Lanes;
use spans::Calls;

/// How long one call to the provider may take: below the lease, and below the time in which a service stops.
const CALL_TIMEOUT: Duration = Duration::from_secs(12);

/// The wait between two looks for intents that no commit of this process announced.
const POLL: Duration = Duration::from_millis(200);

/// Charges and refunds.
pub struct Payments<P> {
    database: Database,
    provider: Arc<P>,
    /// Where intents come from.
    till: Till,
    gate: Mutex<Gate>,
}

impl<P: PaymentProvider> Payments<P> {
    /// A worker for one provider.
    pub fn new(database: Database, provider: Arc<P>, till: Till, metrics: &Metrics) -> Arc<Self> {
        let gate = Mutex::new(Gate::new(Breaker::new("payment-provider", metrics)));
        Arc::new(Self { database, provider, till, gate })
    }

    /// Works until shutdown, then finishes the calls that are under way, for as long as `drain`.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken, drain: Duration) {
        let mut lanes = Lanes::default();
        let mut complained = false;
        // When to look for intents in their rows: after a call for it, and now and then.
        let mut look_at = Instant::now();
        while !shutdown.is_cancelled() {
            let probe = self.gate().probe();
            let mut jobs = self.till.take();
            match &probe {
                None => self.till.open(lanes.busy()),
                Some(probe) => {
                    self.till.close();
                    self.give_back(std::mem::take(&mut jobs)).await;
                    shutdown.run_until_cancelled(tokio::time::sleep_until(probe.at)).await;
                }
            }
            if probe.is_some() || Instant::now() >= look_at {
                let found = in_time(self.claim(&lanes.busy(), probe.as_ref())).await.unwrap_or_else(|error| {
                    if !std::mem::replace(&mut complained, true) {
                        warn!(%error, "payments cannot be claimed; trying again");
                    }
                    Vec::new()
                });
                match found.is_empty() {
                    true => look_at = Instant::now() + POLL,
                    false => complained = false,
                }
                jobs.extend(found);
            }
            if jobs.is_empty() {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = self.till.handed_over() => {}
                    () = self.till.intents().notified() => look_at = Instant::now(),
                    () = tokio::time::sleep_until(look_at) => {}
                }
                continue;
            }
            for batch in by_task_and_method(jobs) {
                let done = Arc::clone(&self).start(&mut lanes, batch, probe.is_some());
                if probe.is_some() {
                    shutdown.run_until_cancelled(done.cancelled()).await;
                }
            }
        }
        self.till.close();
        for batch in by_task_and_method(self.till.take()) {
            Arc::clone(&self).start(&mut lanes, batch, false);
        }
        let cut = lanes.finish(drain).await;
        if cut > 0 {
            warn!(calls = cut, "calls to the payment provider were cut; their payments are asked for again");
        }
    }

    /// Gives back what was handed over and never asked of the provider. What cannot be given back is taken over when its claim
    /// ends.
    async fn give_back(&self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        if let Err(error) = in_time(results::give_back(&self.database, &jobs)).await {
            warn!(%error, payments = jobs.len(), "payments not given back; they are asked for when their claims end");
        }
    }

    /// Starts a call; the token is cancelled when it has ended.
    fn start(self: Arc<Self>, lanes: &mut Lanes, mut batch: Vec<Job>, probing: bool) -> CancellationToken {
        let method = batch[0].intent.method.clone();
        lanes.start(method, async move { self.finish(&mut batch, probing).await })
    }

    /// Claims what is due and finishes it: one whole round, for tests.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn step(&self) -> Result<usize, SagaError> {
        let probe = self.gate().probe();
        let jobs = self.claim(&[], probe.as_ref()).await?;
        let count = jobs.len();
        for mut batch in by_task_and_method(jobs) {
            self.call(&mut batch, probe.is_some()).await?;
        }
        Ok(count)
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims what is due; as a probe, one payment that the provider gave no answer about, if there still is one.
    async fn claim(&self, busy: &[String], probe: Option<&Probe>) -> sqlx::Result<Vec<Job>> {
        let mut conn = self.database.pool().acquire().await?;
        if let Some(probe) = probe {
            let job = store::payment::reclaim(&mut conn, LEASE, &probe.payment_id).await?;
            self.gate().probing();
            if job.is_some() {
                return Ok(job.into_iter().collect());
            }
        }
        store::payment::claim(&mut conn, LEASE, busy).await
    }

    /// Calls the provider and stores what it says. A result that cannot be stored is asked for again when the claim ends.
    async fn finish(&self, batch: &mut [Job], probing: bool) {
        if let Err(error) = self.call(batch, probing).await {
            warn!(%error, payments = batch.len(), "payment results not stored; asking again when the claim ends");
        }
    }

    async fn call(&self, batch: &mut [Job], probing: bool) -> Result<(), SagaError> {
        let calls = Calls::begin(batch);
        let Some(first) = batch.first() else { return Ok(()) };
        let intents: Vec<_> = batch.iter().map(|job| job.intent.clone()).collect();
        let asked = async {
            match first.task {
                Task::Charge => self.provider.charge(&intents).await,
                Task::Refund => self.provider.refund(&intents).await,
            }
        };
        let reason = match tokio::time::timeout(CALL_TIMEOUT, asked).await {
            Ok(Ok(answers)) => {
                failpoint::reach("after-provider-call");
                calls.answered(&answers);
                if self.gate().succeeded() {
                    info!("payment provider is back");
                }
                return in_time(results::store(&self.database, self.till.intents(), batch, answers)).await;
            }
            Ok(Err(unreachable)) => unreachable.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        calls.unanswered(&reason);
        let (wait, opened) = self.gate().failed(&first.intent.payment_id, probing);
        if opened {
            warn!(reason, "payment provider is away; payments wait");
        }
        in_time(results::keep_in_doubt(&self.database, batch, wait)).await
    }
}

/// One call each: a slow method does not hold up the others.
fn by_task_and_method(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let mut batches = BTreeMap::<(bool, String), Vec<Job>>::new();
    for job in jobs {
        batches.entry((job.task == Task::Refund, job.intent.method.clone())).or_default().push(job);
    }
    batches.into_values().collect()
}
