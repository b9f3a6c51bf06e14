//! A payment provider with switches: the sandbox, and what can go wrong on the way to it.

use order::payment::sandbox::Sandbox;
use order::payment::{Answer, Intent, PaymentProvider, Unreachable};
use tokio::sync::{Notify, watch};

/// What the way to the provider is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Calls go there and answers come back.
    Open,
    /// Calls do not get there.
    Cut,
    /// Calls get there, and their answers are lost.
    Mute,
}

/// A provider that does as it is told.
#[derive(Debug)]
pub(crate) struct Provider {
    sandbox: Sandbox,
    /// The way to it, for the calls that begin from now on.
    pub(crate) way: watch::Sender<Way>,
    /// The method whose charges do not get on until another one is held.
    pub(crate) held: watch::Sender<&'static str>,
    /// Notified when a call has arrived.
    pub(crate) called: Notify,
}

impl Provider {
    pub(crate) fn new(sandbox: Sandbox) -> Self {
        let (way, held) = (watch::Sender::new(Way::Open), watch::Sender::new(""));
        Self { sandbox, way, held, called: Notify::new() }
    }

    async fn reach<T>(&self, call: impl Future<Output = Result<T, Unreachable>>) -> Result<T, Unreachable> {
        let way = *self.way.borrow();
        self.called.notify_one();
        if way == Way::Cut {
            return Err(Unreachable("the way is cut".to_owned()));
        }
        let answer = call.await;
        if way == Way::Mute {
            return Err(Unreachable("the answer is lost".to_owned()));
        }
        answer
    }
}

impl PaymentProvider for Provider {
    fn methods(&self) -> &'static [&'static str] {
        self.sandbox.methods()
    }

    async fn charge(&self, intents: &[Intent]) -> Result<Vec<Answer>, Unreachable> {
        let mut held = self.held.subscribe();
        self.reach(async {
            let free = held.wait_for(|held| intents.iter().all(|intent| intent.method != *held)).await;
            drop(free.expect("the sender lives"));
            self.sandbox.charge(intents).await
        })
        .await
    }

    async fn refund(&self, intents: &[Intent]) -> Result<Vec<Answer>, Unreachable> {
        self.reach(self.sandbox.refund(intents)).await
    }
}
