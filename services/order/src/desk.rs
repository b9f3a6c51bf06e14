//! The desk: where orders are placed. Requests that are waiting share one transaction.
//!
//! While one batch is being committed the next one forms, so a batch costs no time when there is no load, and under load
//! many orders share a handful of statements and one wait for the disk.

mod pricing;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use contracts::event::Event;
use contracts::order::OrderCreated;
use contracts::values::{CustomerId, Quantity, Sku};
use futures_util::FutureExt;
use messaging::context::Context;
use messaging::fault::{Fault, classify, in_time};
use messaging::tx::{Database, Head, PublishError, Tx};
use service_kit::http::idempotency::{Answer, Claim, Key, claim_many, keep_many};
use service_kit::http::problem::Problem;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;
use tracing::info;

use crate::http::views::OrderView;
use crate::order::Order;
use crate::saga::nobody;
use crate::store;

/// Orders that share a transaction, at most.
const MOST_TOGETHER: usize = 64;

/// Orders that wait to be taken. Beyond it callers wait at the door, where their number is bounded.
const QUEUE: usize = 1024;

/// Batches under way at the same time: while one waits for the disk, another is prepared.
const CLERKS: usize = 2;

/// From so many on a batch is large enough that the next one is better for waiting until it is done: who arrives meanwhile
/// shares fewer statements and commits.
const CROWD: usize = 8;

/// A batch that takes longer than this has met trouble that others need not wait for.
const CROWD_WAIT: Duration = Duration::from_millis(250);

/// A valid wish for an order.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Who orders.
    pub customer_id: CustomerId,
    /// What, each sku once.
    pub lines: Vec<(Sku, Quantity)>,
    /// How it will be paid.
    pub payment_method: String,
    /// Under which key, if any, the same wish may come again.
    pub key: Option<Key>,
    /// What the order's events inherit.
    pub context: Context,
}

type Reply = oneshot::Sender<Result<Answer, Problem>>;

/// Takes wishes; a clone is another door to the same desk.
#[derive(Debug, Clone)]
pub struct Desk(mpsc::Sender<(Wish, Reply)>);

impl Desk {
    /// A desk, and the clerks behind it; they work until every door is closed.
    pub fn open(database: Database) -> (Self, impl Future<Output = ()> + Send) {
        let (door, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let clerks = async move {
            let clerk = || tokio::spawn(work(database.clone(), Arc::clone(&queue)));
            for clerk in [(); CLERKS].map(|()| clerk()) {
                // nothing in a clerk's loop panics: what a batch does is caught
                let _ = clerk.await;
            }
        };
        (Self(door), clerks)
    }

    /// Places an order and waits until it is stored.
    ///
    /// # Errors
    /// The problem to answer with. Nothing has changed then, unless the database's answer to the commit was lost (503): who
    /// asks again under the same key is told.
    pub async fn place(&self, wish: Wish) -> Result<Answer, Problem> {
        let (reply, answer) = oneshot::channel();
        let closed = || Problem::unavailable("The service is stopping.");
        self.0.send((wish, reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

async fn work(database: Database, queue: Arc<Mutex<mpsc::Receiver<(Wish, Reply)>>>) {
    loop {
        let mut batch = Vec::with_capacity(MOST_TOGETHER);
        let mut queue = queue.lock().await;
        if queue.recv_many(&mut batch, MOST_TOGETHER).await == 0 {
            return;
        }
        let others_wait = (batch.len() >= CROWD).then_some(queue);
        let (wishes, replies): (Vec<Wish>, Vec<Reply>) = batch.into_iter().unzip();
        let mut answered = pin!(answer_all(&database, &wishes));
        let in_time = timeout(CROWD_WAIT, &mut answered).await;
        drop(others_wait);
        let answers = match in_time {
            Ok(answers) => answers,
            Err(_) => answered.await,
        };
        for (reply, answer) in replies.into_iter().zip(answers) {
            // a caller that went away does not undo its order
            let _ = reply.send(answer);
        }
    }
}

/// Places a batch; where that fails because of one of them, each by itself.
async fn answer_all(database: &Database, wishes: &[Wish]) -> Vec<Result<Answer, Problem>> {
    match try_place(database, wishes).await {
        Ok(answers) => answers,
        Err(error) if wishes.len() > 1 && error.blames_a_wish() => {
            let mut answers = Vec::with_capacity(wishes.len());
            for wish in wishes {
                let alone = try_place(database, std::slice::from_ref(wish)).await;
                answers.push(alone.map_err(Problem::from).and_then(one));
            }
            answers
        }
        Err(error) => vec![Err(error.into()); wishes.len()],
    }
}

fn one(mut answers: Vec<Result<Answer, Problem>>) -> Result<Answer, Problem> {
    answers.pop().unwrap_or_else(|| Err(Problem::internal()))
}

/// Why a whole batch was not placed.
#[derive(Debug, thiserror::Error)]
enum DeskError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("a clerk panicked")]
    Panicked,
}

impl DeskError {
    /// Whether the batch certainly had no effect, and may have one without the wish that is to blame. While the database is
    /// away nobody is to blame; and if its answer to the commit was lost, the orders may be there.
    fn blames_a_wish(&self) -> bool {
        match self {
            Self::Database(error) | Self::Publish(PublishError::Database(error)) => {
                error.as_database_error().is_some() && classify(error) != Fault::Outage
            }
            Self::Publish(PublishError::TooLarge(_) | PublishError::NotJson(_)) | Self::Panicked => true,
        }
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Database(error) | DeskError::Publish(PublishError::Database(error)) => error.into(),
            DeskError::Publish(error) => Problem::invalid_body([]).with_error("/lines", error.to_string()),
            // the panic hook has said where
            DeskError::Panicked => Problem::internal(),
        }
    }
}

async fn try_place(database: &Database, wishes: &[Wish]) -> Result<Vec<Result<Answer, Problem>>, DeskError> {
    let placed = async {
        let mut tx = database.begin(nobody()).await?;
        let placed = caught(place(&mut tx, wishes)).await;
        tx.end(placed).await
    };
    let Placed { answers, orders } = caught(in_time(placed)).await?;
    for (index, order) in &orders {
        let (correlation_id, event) = (wishes[*index].context.correlation_id.as_str(), OrderCreated::TYPE);
        let (lines, total) = (order.lines.len(), order.total);
        info!(order_id = %order.id, correlation_id, event, lines, %total, "order placed");
    }
    Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(Problem::internal()))).collect())
}

/// A panic is an error like others.
async fn caught<T>(code: impl Future<Output = Result<T, DeskError>>) -> Result<T, DeskError> {
    AssertUnwindSafe(code).catch_unwind().await.unwrap_or(Err(DeskError::Panicked))
}

/// What became of a batch.
struct Placed {
    /// One for each wish, in order.
    answers: Vec<Option<Result<Answer, Problem>>>,
    /// The new orders, by the index of their wish.
    orders: BTreeMap<usize, Order>,
}

/// Places a batch.
async fn place(tx: &mut Tx, wishes: &[Wish]) -> Result<Placed, DeskError> {
    let mut answers = claims(tx, wishes).await?;
    let customers: BTreeSet<CustomerId> = wishes.iter().map(|wish| wish.customer_id).collect();
    let skus: BTreeSet<&Sku> = wishes.iter().flat_map(|wish| &wish.lines).map(|(sku, _)| sku).collect();
    let basis = store::desk::basis(tx, &customers, &skus).await?;
    tx.set_now(basis.now);
    let mut orders = BTreeMap::new();
    for (index, wish) in wishes.iter().enumerate().filter(|(index, _)| answers[*index].is_none()).collect::<Vec<_>>() {
        match pricing::price(wish, &basis) {
            Ok(order) => {
                tx.on_behalf_of(&wish.context);
                tx.publish(&mut Head::NONE.clone(), &order.created()).await?;
                answers[index] = Some(Ok(answer(&order)));
                orders.insert(index, order);
            }
            Err(problem) => answers[index] = Some(Err(problem)),
        }
    }
    if !orders.is_empty() {
        store::order::insert(tx, &orders.values().collect::<Vec<_>>()).await?;
        let kept: Vec<(&Key, &Answer)> = orders
            .keys()
            .filter_map(|index| match (&wishes[*index].key, &answers[*index]) {
                (Some(key), Some(Ok(answer))) => Some((key, answer)),
                _ => None,
            })
            .collect();
        if !kept.is_empty() {
            keep_many(tx, &kept).await?;
        }
    }
    Ok(Placed { answers, orders })
}

/// Claims the keys of the batch: answered where the wish was fulfilled before or is under way, open elsewhere.
async fn claims(tx: &mut Tx, wishes: &[Wish]) -> Result<Vec<Option<Result<Answer, Problem>>>, DeskError> {
    let mut answers: Vec<Option<Result<Answer, Problem>>> = wishes.iter().map(|_| None).collect();
    let keyed: Vec<(usize, &Key)> =
        wishes.iter().enumerate().filter_map(|(index, wish)| Some((index, wish.key.as_ref()?))).collect();
    if keyed.is_empty() {
        return Ok(answers);
    }
    let keys: Vec<Key> = keyed.iter().map(|(_, key)| (*key).clone()).collect();
    let claims = claim_many(tx, &keys).await?;
    for ((index, _), claim) in keyed.into_iter().zip(claims) {
        answers[index] = match claim {
            Ok(Claim::New) => None,
            Ok(Claim::Replay(answer)) => Some(Ok(answer)),
            Err(problem) => Some(Err(problem)),
        };
    }
    Ok(answers)
}

fn answer(order: &Order) -> Answer {
    Answer::json(StatusCode::CREATED, &OrderView::of(order))
        .with_location(format!("/v1/orders/{}", order.id))
        .with_etag(order.version)
}
