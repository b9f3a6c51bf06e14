//! `/api/dead-letters`: what `warren dlq` does, by the same functions. For operators alone.

mod action;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use contracts::event::Service;
use messaging::settings::AmqpUrls;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::console::problem::Problem;
use crate::console::session::{Called, Session};
use crate::console::{Console, Shared};
use crate::dlq::desk::{self, Desk, Operator};
use crate::dlq::group::{Group, Groups, name_of, time_text};
use crate::dlq::replay::{self as again, Replay};
use crate::dlq::select::{self, Selection};
use crate::dlq::{services, show};
use action::Action;

/// How many letters of a group are listed, and how many ids of one. An operator looks at a few and acts on all.
const MOST_LISTED: usize = 200;

/// How many of the journal's lines are shown, the newest.
const MOST_LINES: usize = 500;

/// By which door.
const DOOR: &str = "console";

type Answer = Result<Json<Value>, Problem>;

/// Only this service's.
#[derive(Deserialize)]
pub(in crate::console) struct Only {
    queue: Option<String>,
}

impl Only {
    fn service(&self) -> Result<Option<Service>, Problem> {
        let named =
            |name: &String| Service::named(name).ok_or_else(|| Problem::invalid(format!("{name:?} is no service.")));
        self.queue.as_ref().map(named).transpose()
    }
}

/// Which letters are to be replayed, and how.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Wish {
    /// All of this group.
    group: Option<String>,
    /// Those with these ids.
    #[serde(default)]
    ids: Vec<String>,
    /// All of this service's; with neither of the others all there are.
    queue: Option<String>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    canary: bool,
    rate: Option<f64>,
    #[serde(default)]
    keep_going: bool,
}

/// Another body for a letter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Correction {
    id: String,
    queue: Option<String>,
    body: String,
}

/// Letters to be taken away for good.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Unwanted {
    ids: Vec<String>,
    queue: Option<String>,
}

/// All letters in groups.
pub(in crate::console) async fn groups(State(console): State<Shared>, headers: HeaderMap) -> Answer {
    let urls = free_broker(&console, &headers).await?;
    let groups = desk::groups(urls, None).await.map_err(broker)?;
    Ok(Json(listed(groups)))
}

/// The letters of one group, oldest first.
pub(in crate::console) async fn group(
    State(console): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let urls = free_broker(&console, &headers).await?;
    let (mut groups, mut letters) = (Groups::default(), Vec::new());
    select::look(urls, &services(None), |letter| {
        if name_of(&letter) == name {
            groups.add(&letter);
            if letters.len() < MOST_LISTED {
                letters.push(json!({"id": letter.id, "queue": letter.service.name(), "error": letter.error,
                    "attempt": letter.attempt, "failed_at": letter.failed_at.as_ref().map(time_text),
                    "replay": letter.replay, "size": letter.body().len()}));
            }
        }
    })
    .await
    .map_err(broker)?;
    let group =
        groups.into_vec().pop().ok_or_else(|| Problem::not_found("No dead letter is in this group any more."))?;
    Ok(Json(json!({"group": shortened(group), "letters": letters})))
}

/// One letter, its body with it; several where the event is dead in several services, or twice.
pub(in crate::console) async fn letter(
    State(console): State<Shared>,
    Path(id): Path<String>,
    Query(only): Query<Only>,
    headers: HeaderMap,
) -> Answer {
    let urls = free_broker(&console, &headers).await?;
    let (wanted, mut found) = (Selection::ids(&[id]), Vec::new());
    select::look(urls, &services(only.service()?), |letter| {
        if wanted.has(&letter) && found.len() < MOST_LISTED {
            found.push(show::value(&letter));
        }
    })
    .await
    .map_err(broker)?;
    match found.is_empty() {
        true => Err(Problem::not_found("No dead letter has this id any more.")),
        false => Ok(Json(json!({"letters": found}))),
    }
}

/// Replays, or says what that would be.
pub(in crate::console) async fn replay(
    State(console): State<Shared>,
    headers: HeaderMap,
    Json(wish): Json<Wish>,
) -> Result<Response, Problem> {
    let session = console.operator(&headers).await?;
    let queue = Only { queue: wish.queue.clone() }.service()?;
    if wish.rate.is_some_and(|rate| !(rate > 0.0 && rate <= 1e6)) {
        return Err(Problem::invalid("The rate must be a number above 0."));
    }
    if wish.canary && wish.keep_going {
        return Err(Problem::invalid("A canary that does not stop is none."));
    }
    let (selection, about) = match (&wish.group, wish.ids.is_empty()) {
        (Some(group), _) => (Selection::Group(group.clone()), json!({"group": group})),
        (None, false) => (Selection::ids(&wish.ids), json!({"ids": wish.ids})),
        (None, true) => (Selection::All, queue.map_or_else(|| json!("all"), |queue| json!({"queue": queue.name()}))),
    };
    let replay = Replay { selection, queue, canary: wish.canary, rate: wish.rate, keep_going: wish.keep_going };
    if wish.dry_run {
        let urls = free_broker(&console, &headers).await?;
        let (groups, _) = again::look(&replay, urls).await.map_err(broker)?;
        return Ok(Json(listed(groups)).into_response());
    }
    let about = json!({"selection": about, "canary": wish.canary, "rate": wish.rate, "keep_going": wish.keep_going});
    begin(&console, &session, about, Action::Replay(replay))
}

/// Replays a letter with another body, which is checked first.
pub(in crate::console) async fn edit(
    State(console): State<Shared>,
    headers: HeaderMap,
    Json(Correction { id, queue, body }): Json<Correction>,
) -> Result<Response, Problem> {
    let session = console.operator(&headers).await?;
    let queue = Only { queue }.service()?;
    let about = json!({"id": id, "queue": queue.map(Service::name)});
    begin(&console, &session, about, Action::Edit { id, queue, body })
}

/// Takes letters away for good.
pub(in crate::console) async fn discard(
    State(console): State<Shared>,
    headers: HeaderMap,
    Json(Unwanted { ids, queue }): Json<Unwanted>,
) -> Result<Response, Problem> {
    let session = console.operator(&headers).await?;
    let queue = Only { queue }.service()?;
    if ids.is_empty() {
        return Err(Problem::invalid("Say which letters."));
    }
    let about = json!({"ids": ids, "queue": queue.map(Service::name)});
    begin(&console, &session, about, Action::Discard { ids, queue })
}

/// The actions under way, and the last few that were.
pub(in crate::console) async fn runs(State(console): State<Shared>, headers: HeaderMap) -> Answer {
    console.operator(&headers).await?;
    Ok(Json(json!({"items": console.runs.values()})))
}

/// Asks a replay to stop.
pub(in crate::console) async fn stop(
    State(console): State<Shared>,
    Path(run): Path<String>,
    headers: HeaderMap,
) -> Answer {
    console.operator(&headers).await?;
    let run = console.runs.find(&run).ok_or_else(|| Problem::not_found("There is no such run."))?;
    run.progress.stop();
    Ok(Json(run.value()))
}

/// Who did what, newest first.
pub(in crate::console) async fn log(State(console): State<Shared>, headers: HeaderMap) -> Answer {
    console.operator(&headers).await?;
    let mut lines = desk::log(urls(&console)?).await.map_err(broker)?;
    lines.reverse();
    lines.truncate(MOST_LINES);
    Ok(Json(json!({"items": lines})))
}

/// Begins an action on behalf of whoever is signed in, and answers with how far it is.
fn begin(console: &Shared, session: &Session, about: Value, action: Action) -> Result<Response, Problem> {
    let (urls, name) = (urls(console)?.clone(), session.claims.subject());
    let clients = Called(session.services(&console.services)?);
    let run = console.runs.begin(action.name(), name.clone(), about).ok_or_else(busy)?;
    let (value, operator) = (run.value(), Operator { name, via: Some(DOOR) });
    tokio::spawn(async move {
        let desk = Desk { urls, clients: &clients, operator, progress: &run.progress };
        run.end(action.act(&desk).await);
    });
    Ok((StatusCode::ACCEPTED, Json(value)).into_response())
}

/// The broker, for an operator, while nothing of ours has the letters in hand.
async fn free_broker<'a>(console: &'a Console, headers: &HeaderMap) -> Result<&'a AmqpUrls, Problem> {
    console.operator(headers).await?;
    if console.runs.is_busy() { Err(busy()) } else { urls(console) }
}

fn busy() -> Problem {
    Problem::conflict("A replay has the letters in hand: wait until it ends, or stop it.")
}

fn urls(console: &Console) -> Result<&AmqpUrls, Problem> {
    let missing = || Problem::conflict("The console was not told where the broker is: set AMQP_URL.");
    console.broker.as_ref().ok_or_else(missing)
}

fn broker(error: anyhow::Error) -> Problem {
    Problem::away(format!("{error:#}"))
}

fn listed(groups: Groups) -> Value {
    let count = groups.count();
    json!({"count": count, "groups": groups.into_vec().into_iter().map(shortened).collect::<Vec<_>>()})
}

/// A group with the first of its ids: of 100,000 nobody reads all.
fn shortened(mut group: Group) -> Group {
    group.ids.truncate(MOST_LISTED);
    group
}
