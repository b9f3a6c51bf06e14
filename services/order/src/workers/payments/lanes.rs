//! The calls to the provider that are under way, a lane for each payment method.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Calls at the same time for one method, so that a slow one does not hold up the others. Each is for a batch of payments;
/// while all are under way the next batch forms.
const CALLS_PER_METHOD: usize = 8;

/// Calls under way.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    slots: HashMap<String, Arc<Semaphore>>,
    under_way: JoinSet<()>,
}

impl Lanes {
    /// The methods for which nothing more can be called now.
    pub(super) fn busy(&mut self) -> Vec<String> {
        while self.under_way.try_join_next().is_some() {}
        let busy = self.slots.iter().filter(|(_, slots)| slots.available_permits() == 0);
        busy.map(|(method, _)| method.clone()).collect()
    }

    /// Starts a call; the token is cancelled when it has ended.
    pub(super) fn start(
        &mut self,
        method: String,
        call: impl Future<Output = ()> + Send + 'static,
    ) -> CancellationToken {
        let slots = self.slots.entry(method).or_insert_with(|| Arc::new(Semaphore::new(CALLS_PER_METHOD)));
        // the last slot is shared by a charge and a refund that were claimed together
        let slot = Arc::clone(slots).try_acquire_owned();
        let done = CancellationToken::new();
        let guard = done.clone().drop_guard();
        self.under_way.spawn(async move {
            let _held = (slot, guard);
            call.await;
        });
        done
    }

    /// Waits for the calls that are under way, at most `drain`, cuts the others, and says how many those were.
    pub(super) async fn finish(mut self, drain: Duration) -> usize {
        let all = async { while self.under_way.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(drain, all).await;
        self.under_way.len()
    }
}
