use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, post};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use super::*;
use crate::health::Health;
use crate::http::extract::{self, NoQuery};
use crate::http::{Plumbing, finish};
use crate::metrics::Metrics;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const CUSTOMER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
/// The public half of `test_keys/eddsa.der`, which jsonwebtoken does not derive.
const ED25519_X: &str = "8kIP4ECKl9qaFS44RmIDKo-aoKW58XXAqFYcuVqW3D0";

fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

/// Claims that are accepted, with some of them replaced; `null` takes one away.
fn claims(changes: Value) -> Value {
    let mut claims = json!({"sub": "somebody", "scope": "orders:read other inventory:write", "exp": now() + 60});
    for (name, value) in changes.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    claims
}

fn sign(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let header = Header { alg: algorithm, kid: kid.map(str::to_owned), ..Header::default() };
    jsonwebtoken::encode(&header, claims, key).expect("signed")
}

fn hs256(claims: &Value) -> String {
    sign(Algorithm::HS256, None, &EncodingKey::from_secret(SECRET), claims)
}

fn authenticate(authenticator: &Authenticator, token: &str) -> Result<Caller, String> {
    let header = HeaderValue::try_from(format!("Bearer {token}")).expect("a header value");
    authenticator.authenticate(Some(&header)).map_err(|problem| {
        assert_eq!((problem.status(), problem.kind()), (StatusCode::UNAUTHORIZED, "unauthorized"));
        problem.to_string()
    })
}

fn ours() -> Authenticator {
    Authenticator::hs256(SECRET, None, None)
}

#[test]
fn a_good_token_says_who_calls() {
    let caller = authenticate(&ours(), &hs256(&claims(json!({})))).expect("good");
    assert_eq!(
        caller,
        Caller {
            subject: "somebody".to_owned(),
            scopes: vec![Scope::OrdersRead, Scope::InventoryWrite],
            customer_id: None
        }
    );
    let own = authenticate(&ours(), &hs256(&claims(json!({"customer_id": CUSTOMER, "scope": null, "sub": null}))))
        .expect("good");
    assert_eq!(own.customer_id, Some(CUSTOMER.parse().expect("a UUID")));
    assert!(own.scopes.is_empty() && own.subject.is_empty());
    assert!(own.may_see(CUSTOMER.parse().expect("a UUID")) && !own.may_see(Uuid::nil()) && caller.may_see(Uuid::nil()));
}

#[test]
fn times_are_honoured_with_some_leeway() {
    for good in [json!({"exp": now() - 20}), json!({"nbf": now() + 20}), json!({"exp": now() as f64 + 5.5})] {
        assert!(authenticate(&ours(), &hs256(&claims(good.clone()))).is_ok(), "{good}");
    }
    for (bad, says) in [
        (json!({"exp": now() - 40}), "expired"),
        (json!({"nbf": now() + 40}), "not valid yet"),
        (json!({"exp": null}), "lacks exp"),
        (json!({"exp": "tomorrow"}), "lacks exp"),
    ] {
        let error = authenticate(&ours(), &hs256(&claims(bad.clone()))).expect_err("bad");
        assert!(error.contains(says), "{bad}: {error}");
    }
}

#[test]
fn bad_tokens_are_refused() {
    let good = hs256(&claims(json!({})));
    let (message, _) = good.rsplit_once('.').expect("three parts");
    let unsigned = "eyJhbGciOiJub25lIn0.eyJleHAiOjk5OTk5OTk5OTl9.";
    let other_key = sign(Algorithm::HS256, None, &EncodingKey::from_secret(b"other"), &claims(json!({})));
    let other_alg = sign(Algorithm::HS512, None, &EncodingKey::from_secret(SECRET), &claims(json!({})));
    for bad in ["", "x", "a.b.c", unsigned, &format!("{message}."), &other_key, &other_alg, &good[1..]] {
        assert!(authenticate(&ours(), bad).is_err(), "{bad}");
    }
    for bad in [
        json!({"customer_id": "7"}),
        json!({"customer_id": 7}),
        json!({"sub": "a\u{0}"}),
        json!({"sub": "x".repeat(256)}),
        json!({"scope": ["ops"]}),
    ] {
        assert!(authenticate(&ours(), &hs256(&claims(bad.clone()))).is_err(), "{bad}");
    }
    let mut null = claims(json!({}));
    null["customer_id"] = Value::Null;
    assert!(authenticate(&ours(), &hs256(&null)).is_err(), "a customer's token without the customer");
    for header in ["", "Basic dTpw", "Bearer", "Bearer "] {
        assert!(ours().authenticate(Some(&HeaderValue::from_static(header))).is_err());
    }
    assert!(ours().authenticate(Some(&HeaderValue::try_from(format!("bearer  {good}")).expect("a value"))).is_ok());
}

#[test]
fn issuer_and_audience_are_required_when_configured() {
    let strict = Authenticator::hs256(SECRET, Some("https://issuer"), Some("warren"));
    let of = |iss, aud| hs256(&claims(json!({"iss": iss, "aud": aud})));
    assert!(authenticate(&strict, &of(json!("https://issuer"), json!("warren"))).is_ok());
    assert!(authenticate(&strict, &of(json!("https://issuer"), json!(["other", "warren"]))).is_ok());
    assert!(authenticate(&ours(), &of(json!("anybody"), json!("anything"))).is_ok());
    for (iss, aud) in [
        (json!("other"), json!("warren")),
        (json!("https://issuer"), json!("other")),
        (Value::Null, json!("warren")),
        (json!("https://issuer"), Value::Null),
    ] {
        assert!(authenticate(&strict, &of(iss, aud)).is_err());
    }
}

fn jwk(key: &EncodingKey, algorithm: Algorithm, kid: &str) -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).expect("a public half")).expect("JSON");
    jwk["kid"] = kid.into();
    jwk["use"] = "sig".into();
    jwk
}

#[test]
fn a_jwks_document_verifies_by_kind_and_id() {
    let rsa = EncodingKey::from_rsa_der(include_bytes!("test_keys/rs256.der"));
    let ec = EncodingKey::from_ec_der(include_bytes!("test_keys/es256.der"));
    let ed = EncodingKey::from_ed_der(include_bytes!("test_keys/eddsa.der"));
    let document = json!({"keys": [
        jwk(&rsa, Algorithm::RS256, "rsa"),
        jwk(&ec, Algorithm::ES256, "ec"),
        {"kty": "OKP", "crv": "Ed25519", "x": ED25519_X, "kid": "ed"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"},
        {"kty": "what", "kid": "unknown"},
    ]});
    let keys = Authenticator::jwks(document.to_string().as_bytes(), None, None).expect("usable");
    let ours = claims(json!({}));
    for token in [
        sign(Algorithm::RS256, Some("rsa"), &rsa, &ours),
        sign(Algorithm::ES256, Some("ec"), &ec, &ours),
        sign(Algorithm::EdDSA, Some("ed"), &ed, &ours),
        sign(Algorithm::ES256, None, &ec, &ours),
    ] {
        assert_eq!(authenticate(&keys, &token).expect("good").subject, "somebody");
    }
    // The public key as an HMAC secret: the classic confusion of algorithms.
    let n = document["keys"][0]["n"].as_str().expect("a modulus");
    for token in [
        sign(Algorithm::RS256, Some("ec"), &rsa, &ours),
        sign(Algorithm::RS512, Some("rsa"), &rsa, &ours),
        sign(Algorithm::HS256, Some("rsa"), &EncodingKey::from_secret(n.as_bytes()), &ours),
        sign(Algorithm::HS256, Some("symmetric"), &EncodingKey::from_secret(b"secret"), &ours),
    ] {
        assert!(authenticate(&keys, &token).is_err());
    }
}

#[test]
fn a_document_without_usable_keys_is_refused() {
    for bad in ["", "{}", "[]", "{\"keys\": []}", "{\"keys\": [{\"kty\": \"oct\", \"k\": \"c2VjcmV0\"}]}"] {
        assert!(Authenticator::jwks(bad.as_bytes(), None, None).is_err(), "{bad}");
    }
}

#[derive(serde::Deserialize)]
struct Nothing {}

impl extract::Validate for Nothing {
    fn validate(&self, _: &mut extract::Errors) {}
}

fn app(auth: Authenticator) -> Router {
    let routes = Router::new()
        .route(
            "/orders/{id}",
            get(async |_: Authorized<scope::OrdersRead>, _: extract::Path<Uuid>, _: NoQuery| "order"),
        )
        .route("/orders", post(async |_: Authorized<scope::OrdersWrite>, _: extract::Body<Nothing>| "made"))
        .route("/stock", post(async |caller: Staff<scope::InventoryWrite>| caller.subject.clone()));
    finish(routes, Plumbing { auth, health: Health::new(), metrics: Metrics::new() })
}

async fn call(auth: Authenticator, method: &str, path: &str, token: Option<Value>) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(changes) = token {
        request = request.header("authorization", format!("Bearer {}", hs256(&claims(changes))));
    }
    app(auth).oneshot(request.body(Body::from("nonsense")).expect("a request")).await.expect("infallible")
}

fn challenged(response: &Response<Body>) -> (u16, &str) {
    let challenge = response.headers().get("www-authenticate").map_or("", |value| value.to_str().expect("text"));
    (response.status().as_u16(), challenge)
}

#[tokio::test]
async fn no_token_is_401_before_anything_else() {
    for (method, path) in [("GET", "/orders/nonsense?what"), ("POST", "/orders"), ("POST", "/stock")] {
        assert_eq!(challenged(&call(ours(), method, path, None).await), (401, "Bearer realm=\"warren\""));
        let expired = call(ours(), method, path, Some(json!({"exp": 1}))).await;
        assert_eq!(
            challenged(&expired),
            (401, "Bearer realm=\"warren\", error=\"invalid_token\", error_description=\"it has expired\"")
        );
    }
}

#[tokio::test]
async fn a_missing_scope_is_403_before_the_body() {
    let response = call(ours(), "POST", "/orders", Some(json!({}))).await;
    assert_eq!(
        challenged(&response),
        (403, "Bearer realm=\"warren\", error=\"insufficient_scope\", scope=\"orders:write\"")
    );
    assert_eq!(call(ours(), "POST", "/orders", Some(json!({"scope": "orders:write"}))).await.status(), 415);
}

#[tokio::test]
async fn a_customers_own_token_is_not_staff() {
    assert_eq!(call(ours(), "POST", "/stock", Some(json!({}))).await.status(), 200);
    assert_eq!(call(ours(), "POST", "/stock", Some(json!({"customer_id": CUSTOMER}))).await.status(), 403);
    let own = call(ours(), "GET", &format!("/orders/{CUSTOMER}"), Some(json!({"customer_id": CUSTOMER}))).await;
    assert_eq!(own.status(), 200);
}

#[tokio::test]
async fn disabled_means_everybody_may_do_everything() {
    for (method, path, status) in [
        ("GET", format!("/orders/{CUSTOMER}"), 200),
        ("POST", "/stock".to_owned(), 200),
        ("POST", "/orders".to_owned(), 415),
    ] {
        assert_eq!(call(Authenticator::disabled(), method, &path, None).await.status(), status);
    }
}
