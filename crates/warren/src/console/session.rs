//! Who is signed in: a token that its user has pasted, kept in this process's memory, and a cookie that names it.
//!
//! The console verifies no signatures. Whether a token is good, and whether it is an operator's, is what the services say
//! when they are asked with it; what it says of itself (its subject, its scopes) is believed after that.

mod ask;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use contracts::event::Service;
use serde::Deserialize;
use uuid::Uuid;

use super::problem::Problem;
use super::{Console, PATIENCE};
use crate::client::{Client, Services};
use crate::dlq::desk::Clients;
use ask::ask;

/// How many may be signed in. Beyond that, whoever was away for longest is signed out.
const MOST: usize = 500;

/// After how long without a request one is signed out.
const IDLE: Duration = Duration::from_hours(12);

/// For how long an answer of the services is believed.
const BELIEVED: Duration = Duration::from_secs(15);

/// After how long they are asked again where none of them could say.
const DOUBTED: Duration = Duration::from_secs(5);

/// Somebody who is signed in.
#[derive(Debug)]
pub(super) struct Session {
    /// The token; none where the services ask for none.
    token: Option<String>,
    /// What it says of itself.
    pub(super) claims: Claims,
    standing: Mutex<(Standing, Instant)>,
    used: Mutex<Instant>,
}

/// What a token says of itself.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Claims {
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    exp: Option<f64>,
    #[serde(default)]
    pub(super) customer_id: Option<Uuid>,
}

/// What the services say of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is good; `ops` is whether it is an operator's.
    Good {
        /// Whether it is an operator's.
        ops: bool,
    },
    /// It is not, for this reason.
    Bad(String),
    /// Nobody can tell: no service answers as one does.
    Unknown,
}

impl Claims {
    /// Reads them, and verifies nothing.
    fn of(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()
    }

    /// Where nobody asks for tokens.
    fn anyone() -> Self {
        let scope = "orders:read orders:write inventory:read inventory:write emails:read ops".to_owned();
        Self { sub: Some("anyone".to_owned()), scope, exp: None, customer_id: None }
    }

    /// Whose token it is.
    pub(super) fn subject(&self) -> String {
        let subject = self.sub.as_deref().unwrap_or("unknown").chars().take(255);
        subject.map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
    }

    /// What it permits.
    pub(super) fn scopes(&self) -> Vec<&str> {
        self.scope.split_whitespace().collect()
    }

    /// When it ends.
    pub(super) fn expires_at(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.exp? as i64, 0)
    }

    fn has_expired(&self) -> bool {
        self.expires_at().is_some_and(|end| end < Utc::now())
    }
}

impl Session {
    /// A session of that token, if it is one; what the services say of it is yet to be asked.
    pub(super) fn of(token: Option<String>) -> Result<Self, Problem> {
        let no_token = || {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "bad-token",
                "Not a token",
                "This is not a token: three parts with dots between them, as `warren token` prints.",
            )
        };
        let claims = match &token {
            None => Claims::anyone(),
            Some(token) => Claims::of(token).ok_or_else(no_token)?,
        };
        if claims.has_expired() {
            let detail = "The token has expired. `warren token` makes another.";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "bad-token", "The token is not accepted", detail));
        }
        let now = Instant::now();
        Ok(Self { token, claims, standing: Mutex::new((Standing::Unknown, now)), used: Mutex::new(now) })
    }

    /// The services, called with this session's token.
    pub(super) fn services(&self, services: &Services) -> Result<Services, Problem> {
        let call = |(service, client): &(Service, Client)| Ok((*service, self.client(client)?));
        services.iter().map(call).collect()
    }

    /// A service, called with this session's token.
    pub(super) fn client(&self, client: &Client) -> Result<Client, Problem> {
        client.called_with(self.token.clone()).map_err(|error| Problem::invalid(error.to_string()))
    }

    /// What the services say of the token, asked again when the last answer is old.
    pub(super) async fn standing(&self, services: &Services) -> Result<Standing, Problem> {
        let (known, at) = lock(&self.standing).clone();
        if known != Standing::Unknown && at.elapsed() < BELIEVED {
            return Ok(known);
        }
        let told = ask(&self.services(services)?).await;
        *lock(&self.standing) = (told.clone(), Instant::now());
        Ok(told)
    }

    /// Whether nobody could say yet whether the token is good, and it is time to ask again: for one caller at a time.
    fn is_in_doubt(&self) -> bool {
        let mut standing = lock(&self.standing);
        let is_due = standing.0 == Standing::Unknown && standing.1.elapsed() >= DOUBTED;
        if is_due {
            standing.1 = Instant::now();
        }
        is_due
    }

    /// Fails unless a service says, now, that the token is an operator's.
    pub(super) async fn must_be_operator(&self, services: &Services) -> Result<(), Problem> {
        match self.standing(services).await? {
            Standing::Good { ops: true } => Ok(()),
            Standing::Good { ops: false } => Err(Problem::forbidden("This needs a token with the scope ops.")),
            Standing::Bad(why) => {
                Err(Problem::new(StatusCode::UNAUTHORIZED, "bad-token", "The token is not accepted", why))
            }
            Standing::Unknown => Err(Problem::away(
                "No service answers, so nobody can tell whether the token is an operator's. `warren dlq` works with the broker alone.",
            )),
        }
    }
}

/// The services as the desk of dead letters asks them.
pub(super) struct Called(pub(super) Services);

impl Clients for Called {
    fn client(&self, service: Service) -> anyhow::Result<Client> {
        let found = self.0.iter().find(|(known, _)| *known == service);
        let (_, client) = found.ok_or_else(|| anyhow::anyhow!("{service} is not known here"))?;
        Ok(client.called_with(client.bearer().map(str::to_owned))?.with_patience(PATIENCE))
    }
}

/// All who are signed in.
#[derive(Debug)]
pub(super) struct Sessions {
    cookie: String,
    by_id: Mutex<HashMap<String, Arc<Session>>>,
}

impl Sessions {
    /// None yet. A browser sends its cookies to all ports of a host, so the port is in the name.
    pub(super) fn new(port: u16) -> Self {
        Self { cookie: format!("warren-console-{port}"), by_id: Mutex::default() }
    }

    /// Takes somebody in, and returns the value of `Set-Cookie`.
    pub(super) fn enter(&self, session: Session, encrypted: bool) -> String {
        let id = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let mut by_id = lock(&self.by_id);
        by_id.retain(|_, session| !session.claims.has_expired() && lock(&session.used).elapsed() < IDLE);
        if by_id.len() >= MOST {
            let oldest = by_id.iter().min_by_key(|(_, session)| *lock(&session.used)).map(|(id, _)| id.clone());
            oldest.and_then(|id| by_id.remove(&id));
        }
        by_id.insert(id.clone(), Arc::new(session));
        let secure = if encrypted { "; Secure" } else { "" };
        format!("{}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}", self.cookie, IDLE.as_secs())
    }

    /// Who sends these headers.
    ///
    /// # Errors
    /// When nobody who is signed in does.
    pub(super) fn of(&self, headers: &HeaderMap) -> Result<Arc<Session>, Problem> {
        let id = self.id(headers).ok_or_else(Problem::signed_out)?;
        let mut by_id = lock(&self.by_id);
        let session = by_id.get(id).cloned().ok_or_else(Problem::signed_out)?;
        if session.claims.has_expired() || lock(&session.used).elapsed() > IDLE {
            by_id.remove(id);
            return Err(Problem::signed_out());
        }
        *lock(&session.used) = Instant::now();
        Ok(session)
    }

    /// Forgets whoever sends these headers, and returns the value of `Set-Cookie`.
    pub(super) fn leave(&self, headers: &HeaderMap) -> String {
        if let Some(id) = self.id(headers) {
            lock(&self.by_id).remove(id);
        }
        format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0", self.cookie)
    }

    fn id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.cookie).map(|(_, id)| id)
    }
}

impl Console {
    /// Who sends these headers, for what needs no token anywhere. Somebody who was let in while no service could say whether
    /// the token is good is asked about again, behind this, and sent away once they say that it is not.
    ///
    /// # Errors
    /// When nobody is signed in, or with a token that turned out not to be good.
    pub(super) fn viewer(self: &Arc<Self>, headers: &HeaderMap) -> Result<(), Problem> {
        let session = self.sessions.of(headers)?;
        if let Standing::Bad(why) = &lock(&session.standing).0 {
            self.sessions.leave(headers);
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "bad-token", "The token is not accepted", why));
        }
        if session.is_in_doubt() {
            let console = Arc::clone(self);
            tokio::spawn(async move { session.standing(&console.services).await });
        }
        Ok(())
    }

    /// Who sends these headers, if it is an operator.
    ///
    /// # Errors
    /// When nobody is signed in, or no service says that it is an operator.
    pub(super) async fn operator(&self, headers: &HeaderMap) -> Result<Arc<Session>, Problem> {
        let session = self.sessions.of(headers)?;
        session.must_be_operator(&self.services).await?;
        Ok(session)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
