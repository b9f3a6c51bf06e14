//! Publishing with confirms: a window of messages is sent at once, and each gets its verdict.
//!
//! The broker takes the messages of a window in their order. It may refuse one because a queue is full and take the next
//! one a moment later, so whoever needs strict order after a refusal publishes windows of one.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, poll_immediate};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::connection::{Link, Session};
use crate::failpoint;
use crate::message::Outgoing;

/// How long a whole window may take to be confirmed. A quorum queue confirms in milliseconds; after this the answers are
/// lost, and everything unanswered is published again on a new connection.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every queue it was routed to has it safely.
    Confirmed,
    /// No queue took it. The broker acknowledges such messages as well; only the return tells.
    Returned,
    /// A queue was full. Queues that were not may have it.
    Rejected,
}

/// The connection was lost or blocked, or an answer did not come: which messages arrived is not known.
#[derive(Debug, thiserror::Error)]
pub enum PublishFailure {
    /// The channel or connection ended.
    #[error("channel lost: {0}")]
    Lost(#[from] lapin::Error),
    /// No answer in time.
    #[error("no confirm within {} s", CONFIRM_TIMEOUT.as_secs())]
    Timeout,
    /// The broker does not read from us: memory or disk alarm. The connection is to be kept: a blocked one cannot be
    /// closed, and a new one would be blocked at its first message, so giving it up would only pile up connections.
    #[error("the broker blocks publishing")]
    Blocked,
}

/// A channel in confirm mode.
#[derive(Debug)]
pub struct Publisher {
    session: Session,
    channel: Channel,
}

impl Publisher {
    /// Opens a channel for publishing.
    ///
    /// # Errors
    /// When the connection is blocked, or is lost or does not answer and was given up.
    pub async fn open(session: Session) -> Result<Self, PublishFailure> {
        if session.is_blocked() {
            return Err(PublishFailure::Blocked);
        }
        let opened = timeout(CONFIRM_TIMEOUT, async {
            let channel = session.connection().create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok::<_, lapin::Error>(channel)
        })
        .await;
        let failure = match opened {
            Ok(Ok(channel)) => return Ok(Self { session, channel }),
            Ok(Err(error)) => error.into(),
            Err(_) if session.is_blocked() => return Err(PublishFailure::Blocked),
            Err(_) => PublishFailure::Timeout,
        };
        session.fail();
        Err(failure)
    }

    /// Gives the connection up, so that it is made anew.
    pub fn fail(&self) {
        self.session.fail();
    }

    /// Whether this channel can still be used.
    pub fn is_usable(&self) -> bool {
        self.channel.status().connected() && self.session.is_connected()
    }

    /// Publishes a window, in order, and waits for all verdicts, which come in the order of `window`.
    ///
    /// # Errors
    /// [`PublishFailure`]; any of the messages may have arrived then, and all are to be published again: on a new
    /// connection, but after [`PublishFailure::Blocked`] on this one.
    pub async fn publish(&self, window: &[Outgoing]) -> Result<Vec<Verdict>, PublishFailure> {
        // lapin would keep the messages in memory and send them whenever the alarm ends
        if self.session.is_blocked() {
            return Err(PublishFailure::Blocked);
        }
        match timeout(CONFIRM_TIMEOUT, self.publish_and_wait(window)).await {
            Ok(verdicts) => verdicts,
            // The alarm came in the middle. The rest of the window leaves when it ends, before anything newer.
            Err(_) if self.session.is_blocked() => Err(PublishFailure::Blocked),
            Err(_) => Err(PublishFailure::Timeout),
        }
    }

    async fn publish_and_wait(&self, window: &[Outgoing]) -> Result<Vec<Verdict>, PublishFailure> {
        let mut sent = Vec::with_capacity(window.len());
        for message in window {
            let options = BasicPublishOptions { mandatory: message.mandatory, ..Default::default() };
            let mut publish = Box::pin(self.channel.basic_publish(
                message.exchange.as_str().into(),
                message.routing_key.as_str().into(),
                options,
                &message.body,
                message.properties.clone(),
            ));
            // The first poll queues the frames, which fixes the order; waiting for the socket is left for later.
            match poll_immediate(publish.as_mut()).await {
                Some(confirm) => sent.push(futures_util::future::Either::Left(async move { confirm })),
                None => sent.push(futures_util::future::Either::Right(publish)),
            }
        }
        let confirms = join_all(sent).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        failpoint::reach("before-confirm");
        let confirmations = join_all(confirms).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(verdicts(window, confirmations))
    }
}

/// Publishes over a link: opens a channel when there is none, and gives the connection up when a window failed on it.
#[derive(Debug)]
pub(crate) struct Outlet {
    link: Arc<Link>,
    publisher: Option<Publisher>,
}

impl Outlet {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link, publisher: None }
    }

    /// Waits for a connection and opens a channel on it, unless one is open. `None` when `shutdown` came before there was a
    /// connection.
    pub(crate) async fn open(&mut self, shutdown: &CancellationToken) -> Option<Result<Publisher, PublishFailure>> {
        if let Some(publisher) = self.publisher.take().filter(Publisher::is_usable) {
            return Some(Ok(publisher));
        }
        // a connection that is there counts also after a shutdown: what is under way is brought to its end
        let session = tokio::select! {
            biased;
            session = self.link.session() => session,
            () = shutdown.cancelled() => return None,
        };
        Some(Publisher::open(session).await)
    }

    /// Publishes a window, see [`Publisher::publish`]; not interrupted by a shutdown, since the answers are seconds away, and
    /// without them all of it would have to be published again.
    pub(crate) async fn publish(
        &mut self,
        publisher: Publisher,
        window: &[Outgoing],
    ) -> Result<Vec<Verdict>, PublishFailure> {
        let published = publisher.publish(window).await;
        match &published {
            Ok(_) | Err(PublishFailure::Blocked) => self.publisher = Some(publisher),
            Err(PublishFailure::Lost(_) | PublishFailure::Timeout) => publisher.fail(),
        }
        published
    }
}

/// Puts verdicts and messages together. lapin may attach a returned message to another one's confirm, so the returns of
/// the whole window are collected and found again by message id.
fn verdicts(window: &[Outgoing], confirmations: Vec<Confirmation>) -> Vec<Verdict> {
    let mut returned = HashSet::new();
    let mut rejected = Vec::with_capacity(confirmations.len());
    for confirmation in confirmations {
        rejected.push(!confirmation.is_ack());
        if let Some(message) = confirmation.take_message() {
            returned.insert(message.delivery.properties.message_id().clone());
        }
    }
    window
        .iter()
        .zip(rejected)
        .map(|(message, rejected)| match rejected {
            true => Verdict::Rejected,
            false if returned.contains(message.properties.message_id()) => Verdict::Returned,
            false => Verdict::Confirmed,
        })
        .collect()
}
