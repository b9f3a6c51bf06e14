//! Asking the services what they say of a token.
//!
//! Something else may sit at a service's address: a proxy's page, another program on a port that was a service's yesterday.
//! So only the very words of our services count, and whatever else comes says nothing.

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response};
use serde::Deserialize;

use super::Standing;
use crate::client::{Client, Services};

/// How long a service may take to say whether a token is good.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// A route that every service has, and with which no event is meant: whoever may not ask it is told so before anything else
/// about the request is looked at, and whoever may is told that this is no event's id. No database is asked.
const QUESTION: &str = "/v1/ops/inbox/who-am-i";

/// The part of a service's answer that counts.
#[derive(Deserialize)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    detail: String,
}

/// Asks all services at once. One that accepts the token is enough, since all have the same keys, unless another refuses it:
/// of what they say the least counts.
pub(super) async fn ask(services: &Services) -> Standing {
    let told = join_all(services.iter().map(|(_, client)| ask_one(client))).await;
    told.into_iter().flatten().min_by_key(rank).unwrap_or(Standing::Unknown)
}

/// The less it permits, the lower.
fn rank(standing: &Standing) -> u8 {
    match standing {
        Standing::Bad(_) => 0,
        Standing::Good { ops: false } => 1,
        Standing::Good { ops: true } => 2,
        Standing::Unknown => 3,
    }
}

/// What one says; nothing where it does not answer, or not as a service does.
async fn ask_one(client: &Client) -> Option<Standing> {
    let answer = client.request(Method::GET, QUESTION).timeout(ANSWER_TIMEOUT).send().await.ok()?;
    let status = answer.status();
    let Told { kind, detail } = problem(answer).await?;
    match (status, kind.as_str()) {
        (StatusCode::BAD_REQUEST, "/problems/invalid-path") => Some(Standing::Good { ops: true }),
        (StatusCode::FORBIDDEN, "/problems/forbidden") => Some(Standing::Good { ops: false }),
        (StatusCode::UNAUTHORIZED, "/problems/unauthorized") => Some(Standing::Bad(match detail.is_empty() {
            true => "The services do not accept it.".to_owned(),
            false => detail,
        })),
        _ => None,
    }
}

/// The problem that it answers with, if it is one.
async fn problem(answer: Response) -> Option<Told> {
    let media = answer.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let is_problem = media.split(';').next()?.trim().eq_ignore_ascii_case("application/problem+json");
    if is_problem { answer.json().await.ok() } else { None }
}

#[cfg(test)]
mod tests;
