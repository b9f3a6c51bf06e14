//! `warren token`: development tokens, signed with the services' own secret (JWT, RFC 7519, HS256).

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use uuid::Uuid;

use crate::failure::{Usage, Verdict};
use crate::output;
use crate::settings::Settings;

/// All scopes that the services know.
const SCOPES: [&str; 6] = ["orders:read", "orders:write", "inventory:read", "inventory:write", "emails:read", "ops"];

/// The `sub` of tokens that are nobody's own: it is this program that calls.
const SUBJECT: &str = "warren";

/// The longest life of a token. A token cannot be taken back, so one for ever is a mistake.
const MAX_TTL: Duration = Duration::from_hours(24 * 3660);

const EXAMPLES: &str = "\
Examples:
  warren token                                       everything, for an hour
  warren token --ttl 30d --scope \"orders:read ops\"   two scopes, for a month
  warren token --customer 0199c2b0-5a3e-7c11-9d51-2f4b8a6e0c77
                                                     a customer's own: that customer's orders alone
  curl -H \"Authorization: Bearer $(warren token)\" $ORDER_URL/v1/orders";

/// Options of `token`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TokenArgs {
    /// What it permits, separated by spaces: orders:read orders:write inventory:read inventory:write emails:read ops
    /// [default: all of them]
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,

    /// Make it this customer's own token
    #[arg(long, value_name = "ID")]
    customer: Option<Uuid>,

    /// How long it is valid: 90s, 15m, 1h, 30d
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = ttl)]
    ttl: Duration,
}

fn ttl(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(ttl) if ttl >= Duration::from_secs(1) && ttl <= MAX_TTL => Ok(ttl),
        _ => Err("not a duration from 1s to ten years, such as 90s, 15m, 1h or 30d".to_owned()),
    }
}

/// The claims of a token, as the services read them.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Claims {
    sub: String,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    iat: i64,
    exp: i64,
}

impl Claims {
    /// Claims from now on. No scopes mean all; a customer's own token has the customer as its subject.
    ///
    /// # Errors
    /// [`Usage`] for a scope that no service knows.
    pub(crate) fn new(scopes: &[&str], customer: Option<Uuid>, ttl: Duration, signer: &Signer) -> Result<Self, Usage> {
        Self::at(Utc::now(), scopes, customer, ttl, signer)
    }

    fn at(
        now: DateTime<Utc>,
        scopes: &[&str],
        customer: Option<Uuid>,
        ttl: Duration,
        signer: &Signer,
    ) -> Result<Self, Usage> {
        if let Some(unknown) = scopes.iter().find(|scope| !SCOPES.contains(scope)) {
            return Err(Usage(format!("no service knows the scope {unknown:?}; there are: {}", SCOPES.join(" "))));
        }
        let scopes = if scopes.is_empty() { &SCOPES[..] } else { scopes };
        let iat = now.timestamp();
        Ok(Self {
            sub: customer.map_or_else(|| SUBJECT.to_owned(), |customer| customer.to_string()),
            scope: scopes.join(" "),
            customer_id: customer,
            iss: signer.issuer.clone(),
            aud: signer.audience.clone(),
            iat,
            // at most ten years, so it fits
            exp: iat.saturating_add_unsigned(ttl.as_secs()),
        })
    }
}

/// What tokens are signed with, and what they say about their origin.
pub(crate) struct Signer {
    /// The secret, whose bytes are the key.
    pub(crate) secret: String,
    /// `iss`, where the services check it.
    pub(crate) issuer: Option<String>,
    /// `aud`, where the services check it.
    pub(crate) audience: Option<String>,
}

impl Signer {
    /// The signed token.
    ///
    /// # Errors
    /// When signing fails, which needs a broken build.
    pub(crate) fn sign(&self, claims: &Claims) -> anyhow::Result<String> {
        let key = EncodingKey::from_secret(self.secret.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).context("cannot sign a token")
    }
}

#[derive(Serialize)]
struct Made<'a> {
    token: &'a str,
    #[serde(flatten)]
    claims: &'a Claims,
    expires_at: String,
}

/// Makes a token and prints it.
///
/// # Errors
/// [`Usage`] when there is no secret or no such scope.
pub(crate) fn run(args: &TokenArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    let scopes: Vec<&str> = args.scope.as_deref().unwrap_or_default().split_whitespace().collect();
    if args.scope.is_some() && scopes.is_empty() {
        return Err(Usage("--scope names no scope; leave it out for all of them".to_owned()).into());
    }
    let signer = settings.signer()?;
    let claims = Claims::new(&scopes, args.customer, args.ttl, &signer)?;
    let token = signer.sign(&claims)?;
    if json {
        let expires_at = DateTime::from_timestamp(claims.exp, 0).unwrap_or_default();
        let expires_at = expires_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        output::print_json(&Made { token: &token, claims: &claims, expires_at })?;
    } else {
        output::print(&token)?;
    }
    Ok(Verdict::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(issuer: Option<&str>) -> Signer {
        Signer { secret: "raw bytes of the secret".to_owned(), issuer: issuer.map(str::to_owned), audience: None }
    }

    #[test]
    fn no_scope_means_all_and_the_token_expires() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let claims = Claims::at(now, &[], None, Duration::from_secs(3600), &signer(Some("me"))).unwrap();
        let json = serde_json::to_value(&claims).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"sub": "warren", "scope": SCOPES.join(" "), "iss": "me", "iat": 1_000_000, "exp": 1_003_600})
        );
    }

    #[test]
    fn a_customers_own_token_names_the_customer() {
        let customer = Uuid::now_v7();
        let claims = Claims::new(&["orders:read"], Some(customer), Duration::from_secs(1), &signer(None)).unwrap();
        assert_eq!(
            (claims.sub, claims.customer_id, claims.scope.as_str()),
            (customer.to_string(), Some(customer), "orders:read")
        );
    }

    #[test]
    fn an_unknown_scope_is_refused() {
        let error = Claims::new(&["orders:delete"], None, Duration::from_secs(1), &signer(None)).unwrap_err();
        assert!(error.to_string().contains("orders:delete"), "{error}");
    }

    #[test]
    fn the_signature_is_by_the_secrets_bytes() {
        let signer = signer(None);
        let token = signer.sign(&Claims::new(&[], None, Duration::from_secs(60), &signer).unwrap()).unwrap();
        let key = jsonwebtoken::DecodingKey::from_secret(b"raw bytes of the secret");
        let validation = jsonwebtoken::Validation::new(Algorithm::HS256);
        let read = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation).unwrap();
        assert_eq!(read.claims["sub"], "warren");
    }

    #[test]
    fn lifetimes_have_bounds() {
        assert_eq!(ttl("30d"), Ok(Duration::from_hours(720)));
        for bad in ["", "1", "0s", "500ms", "11years", "-1h"] {
            assert!(ttl(bad).is_err(), "{bad}");
        }
    }
}
