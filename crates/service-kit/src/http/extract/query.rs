//! Query strings, strictly.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::shortened;
use crate::http::problem::Problem;

/// The query as a `T`, which needs `#[serde(deny_unknown_fields)]`: an unknown, doubled, missing or wrong parameter is 400 `invalid-query`.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

/// For routes without parameters: any at all is 400 `invalid-query`.
#[derive(Clone, Copy, Debug)]
pub struct NoQuery;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Query)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse::<Nothing>(parts.uri.query().unwrap_or_default()).map(|_| NoQuery)
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs)).map_err(|error| {
        let parameter = shortened(&error.path().to_string());
        let message = shortened(&error.inner().to_string()).replace("field", "parameter");
        // Unknown, doubled and missing parameters are named by the message itself.
        let named = message.contains('`') && message.contains("parameter");
        Problem::invalid_query(if named { message } else { format!("{parameter}: {message}") })
    })
}
