//! Who calls, and what their token permits.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use uuid::Uuid;

use super::keys::Claims;
use super::{Authenticator, challenge};
use crate::http::problem::Problem;

/// The longest `sub` that is taken: OpenID Connect Core, section 2, permits no longer one.
const MAX_SUBJECT: usize = 255;

/// What a token may permit: the words of its `scope` claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `orders:read`
    OrdersRead,
    /// `orders:write`
    OrdersWrite,
    /// `inventory:read`
    InventoryRead,
    /// `inventory:write`
    InventoryWrite,
    /// `emails:read`
    EmailsRead,
    /// `ops`
    Ops,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Scope; 6] = [
        Scope::OrdersRead,
        Scope::OrdersWrite,
        Scope::InventoryRead,
        Scope::InventoryWrite,
        Scope::EmailsRead,
        Scope::Ops,
    ];

    /// The word in the `scope` claim.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::OrdersRead => "orders:read",
            Scope::OrdersWrite => "orders:write",
            Scope::InventoryRead => "inventory:read",
            Scope::InventoryWrite => "inventory:write",
            Scope::EmailsRead => "emails:read",
            Scope::Ops => "ops",
        }
    }
}

/// Who calls. As an extractor: any caller with a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The token's `sub`; empty when it has none.
    pub subject: String,
    /// The scopes that are ours; others are ignored.
    pub scopes: Vec<Scope>,
    /// Whose own token it is, if it is a customer's.
    pub customer_id: Option<Uuid>,
}

impl Caller {
    /// Who calls where nobody is asked.
    pub(super) fn anyone() -> Self {
        Caller { subject: "anyone".to_owned(), scopes: Scope::ALL.to_vec(), customer_id: None }
    }

    /// From a verified token; the error says in words what is wrong with it.
    pub(super) fn from_claims(claims: Claims) -> Result<Self, &'static str> {
        let subject = claims.sub.unwrap_or_default();
        if subject.chars().count() > MAX_SUBJECT || subject.chars().any(char::is_control) {
            return Err("its sub is too long or has control characters");
        }
        let customer_id = match claims.customer_id {
            None => None,
            Some(id) => {
                let id = id.as_str().and_then(|id| Uuid::try_parse(id).ok());
                Some(id.ok_or("its customer_id is not a UUID")?)
            }
        };
        let words: Vec<&str> = claims.scope.split_whitespace().collect();
        let scopes = Scope::ALL.into_iter().filter(|scope| words.contains(&scope.as_str())).collect();
        Ok(Caller { subject, scopes, customer_id })
    }

    /// 403 unless the token has this scope.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        let scope = scope.as_str();
        Err(Problem::forbidden(format!("The token lacks the scope {scope}."))
            .with_challenge(challenge(Some(&format!("error=\"insufficient_scope\", scope=\"{scope}\"")))))
    }

    /// 403 for a customer's own token.
    pub fn staff(&self) -> Result<(), Problem> {
        match self.customer_id {
            None => Ok(()),
            Some(_) => Err(Problem::forbidden("A customer's own token does not permit this.")),
        }
    }

    /// Whether the caller may know of what belongs to this customer: staff of everything, a customer of its own. Where it may not, the answer is 404.
    pub fn may_see(&self, customer: Uuid) -> bool {
        self.customer_id.is_none_or(|own| own == customer)
    }
}

/// The token is verified once per request, however many arguments ask for the caller.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if let Some(caller) = parts.extensions.get::<Caller>() {
            return Ok(caller.clone());
        }
        let Some(authenticator) = parts.extensions.get::<Authenticator>() else {
            tracing::error!("a route asks for its caller but was not given to http::finish");
            return Err(Problem::internal());
        };
        let caller = authenticator.authenticate(parts.headers.get(AUTHORIZATION))?;
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}
