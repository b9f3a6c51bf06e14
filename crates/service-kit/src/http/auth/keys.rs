//! The keys that verify tokens, and which of them fits which token.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

use crate::http::extract::given;

/// How far the clocks of who signs and who verifies may be apart, in seconds.
const LEEWAY_SECONDS: u64 = 30;

/// What we read of a token. Everything else in it is its issuer's business.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub(super) sub: Option<String>,
    #[serde(default)]
    pub(super) scope: String,
    /// Also where it is `null`: whoever writes the claim means a customer, and must not get somebody of the staff.
    #[serde(default, deserialize_with = "given")]
    pub(super) customer_id: Option<Value>,
}

pub(super) struct Keys {
    keys: Vec<Key>,
    issuer: Option<String>,
    audience: Option<String>,
}

struct Key {
    id: Option<String>,
    /// The algorithms that this key may be used with; a token that names another is refused, whoever signed it.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl Keys {
    pub(super) fn hs256(secret: &[u8], issuer: Option<&str>, audience: Option<&str>) -> Self {
        let key = Key { id: None, algorithms: vec![Algorithm::HS256], key: DecodingKey::from_secret(secret) };
        Keys::new(vec![key], issuer, audience)
    }

    pub(super) fn jwks(document: &[u8], issuer: Option<&str>, audience: Option<&str>) -> Result<Self, String> {
        let document: Document =
            serde_json::from_slice(document).map_err(|_| "expected a JWKS document: {\"keys\": […]}".to_owned())?;
        let keys: Vec<Key> = document.keys.into_iter().filter_map(Key::from_json).collect();
        if keys.is_empty() {
            return Err("holds no public key that can verify signatures (RSA, EC or Ed25519)".to_owned());
        }
        Ok(Keys::new(keys, issuer, audience))
    }

    fn new(keys: Vec<Key>, issuer: Option<&str>, audience: Option<&str>) -> Self {
        Keys { keys, issuer: issuer.map(str::to_owned), audience: audience.map(str::to_owned) }
    }

    /// The token's claims, or what is wrong with it in words for the caller.
    pub(super) fn verify(&self, token: &str) -> Result<Claims, &'static str> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| "it is not a JWT")?;
        let validation = self.validation(header.alg);
        let mut why = "no key fits its alg and kid";
        for key in self.keys.iter().filter(|key| key.fits(&header)) {
            match jsonwebtoken::decode::<Claims>(token, &key.key, &validation) {
                Ok(token) => return Ok(token.claims),
                Err(error) => why = in_words(error.kind()),
            }
        }
        Err(why)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.validate_aud = self.audience.is_some();
        let mut required = vec!["exp"];
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

impl Key {
    fn fits(&self, header: &jsonwebtoken::Header) -> bool {
        let same_id = match (&self.id, &header.kid) {
            (Some(own), Some(named)) => own == named,
            _ => true,
        };
        same_id && self.algorithms.contains(&header.alg)
    }

    /// A key of the document, unless it is of a kind that does not verify signatures: those are skipped, since the others are still good.
    fn from_json(json: Value) -> Option<Self> {
        let jwk: Jwk = match serde_json::from_value(json) {
            Ok(jwk) => jwk,
            Err(error) => {
                tracing::warn!(%error, "a key of the JWKS document is skipped");
                return None;
            }
        };
        let algorithms = algorithms(&jwk);
        let for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        match DecodingKey::from_jwk(&jwk) {
            Ok(key) if for_signatures && !algorithms.is_empty() => Some(Key { id: jwk.common.key_id, algorithms, key }),
            _ => {
                tracing::warn!(
                    kid = jwk.common.key_id,
                    "a key of the JWKS document does not verify signatures and is skipped"
                );
                None
            }
        }
    }
}

/// The algorithms of the key's kind, or the one that it names itself. None for a symmetric key: a published secret is no secret.
fn algorithms(jwk: &Jwk) -> Vec<Algorithm> {
    let of_kind: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => &[Algorithm::ES256],
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P384 => &[Algorithm::ES384],
        AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
        _ => &[],
    };
    let named = jwk.common.key_algorithm;
    of_kind.iter().copied().filter(|algorithm| named.is_none_or(|named| is_same(named, *algorithm))).collect()
}

fn is_same(named: KeyAlgorithm, algorithm: Algorithm) -> bool {
    named.to_string().parse() == Ok(algorithm)
}

fn in_words(error: &ErrorKind) -> &'static str {
    match error {
        ErrorKind::InvalidSignature => "its signature does not verify",
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not valid yet",
        ErrorKind::InvalidIssuer => "its iss is not ours",
        ErrorKind::InvalidAudience => "its aud is not ours",
        ErrorKind::MissingRequiredClaim(_) => "it lacks exp, iss or aud",
        ErrorKind::InvalidClaimFormat(_) => "its exp or nbf is not a time",
        _ => "it is malformed",
    }
}
