use axum::http::HeaderValue;

use super::*;

fn token(claims: &str) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

fn with_cookie(value: &str) -> HeaderMap {
    HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(value).unwrap())])
}

/// `name=value` of a `Set-Cookie`.
fn pair(cookie: &str) -> String {
    cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn a_cookie_names_a_session_and_never_holds_the_token() {
    let sessions = Sessions::new(8090);
    let token = token(r#"{"sub": "ada", "scope": "orders:read ops"}"#);
    let cookie = sessions.enter(Session::of(Some(token.clone())).unwrap(), false);
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("Secure"),
        "{cookie}"
    );
    assert!(!cookie.contains(&token) && cookie.starts_with("warren-console-8090="), "{cookie}");
    let session = sessions.of(&with_cookie(&format!("other=1; {}", pair(&cookie)))).unwrap();
    assert_eq!((session.claims.subject(), session.claims.scopes()), ("ada".to_owned(), vec!["orders:read", "ops"]));
    assert!(sessions.of(&with_cookie("warren-console-8090=guessed")).is_err());
    assert!(sessions.of(&HeaderMap::new()).is_err());
    let gone = sessions.leave(&with_cookie(&pair(&cookie)));
    assert!(gone.contains("Max-Age=0"));
    assert!(sessions.of(&with_cookie(&pair(&cookie))).is_err(), "signing out forgets the token");
}

#[test]
fn a_cookie_over_tls_stays_there() {
    assert!(Sessions::new(1).enter(Session::of(None).unwrap(), true).ends_with("; Secure"));
}

#[test]
fn what_is_no_token_or_has_expired_is_refused_at_once() {
    for bad in ["", "abc", "a.b.c", "e30.!.x"] {
        assert!(Session::of(Some(bad.to_owned())).is_err(), "{bad}");
    }
    assert!(Session::of(Some(token(r#"{"exp": 1000}"#))).is_err());
    assert!(Session::of(Some(token(r#"{"exp": 99999999999}"#))).is_ok());
}

#[test]
fn sessions_are_bounded() {
    let sessions = Sessions::new(1);
    let first = sessions.enter(Session::of(None).unwrap(), false);
    for _ in 0..MOST {
        sessions.enter(Session::of(None).unwrap(), false);
    }
    assert_eq!(lock(&sessions.by_id).len(), MOST);
    assert!(sessions.of(&with_cookie(&pair(&first))).is_err(), "the one that was away for longest is gone");
}
