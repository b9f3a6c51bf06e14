//! `/api/session`: signing in and out.

use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Response};
use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::console::problem::Problem;
use crate::console::session::{Session, Standing};
use crate::console::{Shared, guard};

/// The token; empty where the services ask for none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct SignIn {
    token: String,
}

/// Who is signed in, and what the token permits; `null` where nobody is.
pub(in crate::console) async fn show(
    State(console): State<Shared>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let Ok(session) = console.sessions.of(&headers) else { return Ok(Json(Value::Null)) };
    let standing = session.standing(&console.services).await?;
    let is_good = !matches!(standing, Standing::Bad(_));
    Ok(Json(if is_good { told(&console, &session, &standing) } else { Value::Null }))
}

/// Signs in. A token that the services refuse is refused; where none of them answers, it is taken unverified, and opens
/// what needs no token anywhere.
pub(in crate::console) async fn sign_in(
    State(console): State<Shared>,
    headers: HeaderMap,
    Json(SignIn { token }): Json<SignIn>,
) -> Result<Response, Problem> {
    let token = bare(&token).to_owned();
    let session = Session::of((!token.is_empty()).then_some(token.clone()))?;
    let standing = session.standing(&console.services).await?;
    match &standing {
        Standing::Bad(why) => {
            let why = if token.is_empty() { "The services ask for a token." } else { why };
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "bad-token", "The token is not accepted", why));
        }
        Standing::Unknown if token.is_empty() => {
            return Err(Problem::away("No service answers, so nobody can tell whether they ask for a token."));
        }
        _ => {}
    }
    let body = told(&console, &session, &standing);
    let cookie = console.sessions.enter(session, guard::is_encrypted(&headers));
    console.sessions.leave(&headers);
    Ok((AppendHeaders([(SET_COOKIE, cookie)]), Json(body)).into_response())
}

/// Signs out, and forgets the token.
pub(in crate::console) async fn sign_out(State(console): State<Shared>, headers: HeaderMap) -> Response {
    let cookie = console.sessions.leave(&headers);
    (StatusCode::NO_CONTENT, AppendHeaders([(SET_COOKIE, cookie)])).into_response()
}

/// The token alone: it may be pasted as a line of a shell, `export WARREN_TOKEN='…'`, or from a header.
fn bare(pasted: &str) -> &str {
    let text = pasted.trim();
    let text = text.strip_prefix("export ").unwrap_or(text).trim_start();
    let text = text.strip_prefix("WARREN_TOKEN=").unwrap_or(text).trim_matches(['"', '\'']);
    text.strip_prefix("Bearer ").unwrap_or(text).trim()
}

fn told(console: &Shared, session: &Session, standing: &Standing) -> Value {
    let claims = &session.claims;
    let expires_at = claims.expires_at().map(|end| end.to_rfc3339_opts(SecondsFormat::Secs, true));
    json!({
        "subject": claims.subject(),
        "scopes": claims.scopes(),
        "customer_id": claims.customer_id,
        "expires_at": expires_at,
        "verified": *standing != Standing::Unknown,
        "ops": *standing == Standing::Good { ops: true },
        "broker": console.broker.is_some(),
        "provider": console.provider.is_some(),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_may_be_pasted_with_what_stands_around_it() {
        for pasted in [
            "a.b.c",
            " a.b.c\n",
            "Bearer a.b.c",
            "WARREN_TOKEN=a.b.c",
            "export WARREN_TOKEN='a.b.c'\n",
            "WARREN_TOKEN=\"a.b.c\"",
        ] {
            assert_eq!(bare(pasted), "a.b.c", "{pasted}");
        }
        assert_eq!((bare(""), bare("  ")), ("", ""));
    }
}
