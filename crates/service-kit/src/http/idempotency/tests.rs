use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::json;
use sqlx::{Connection, PgConnection, PgPool};

use super::*;
use crate::test_database::TestDatabase;

const TABLE: &str = include_str!("../../../idempotency.sql");
const CLAIM: &str = include_str!("../../../idempotency_claim.sql");

async fn database() -> TestDatabase {
    let database = TestDatabase::create().await;
    sqlx::raw_sql(TABLE).execute(&database.pool).await.expect("the table");
    sqlx::raw_sql(CLAIM).execute(&database.pool).await.expect("the function");
    database
}

fn key(key: &str, body: &[u8]) -> Key {
    Key::new("somebody", "POST /v1/orders", key, body)
}

fn answer(n: u32) -> Answer {
    Answer::json(StatusCode::CREATED, &json!({"n": n})).with_location(format!("/v1/orders/{n}")).with_etag(n.into())
}

fn replayed(n: u32) -> Claim {
    Claim::Replay(Answer { replayed: true, ..answer(n) })
}

/// Claims and keeps in one transaction, as a route does.
async fn answered(pool: &PgPool, key: &Key, n: u32) {
    let mut tx = pool.begin().await.expect("begun");
    assert_eq!(claim(&mut tx, Some(key)).await.expect("free"), Claim::New);
    keep(&mut tx, Some(key), &answer(n)).await.expect("kept");
    tx.commit().await.expect("committed");
}

fn kind(refused: Result<Claim, Problem>) -> (u16, &'static str) {
    let problem = refused.expect_err("refused");
    (problem.status().as_u16(), problem.kind())
}

const IN_USE: (u16, &str) = (409, "idempotency-key-in-use");
const REUSED: (u16, &str) = (422, "idempotency-key-reused");

#[tokio::test]
async fn the_first_answer_is_given_again() {
    let database = database().await;
    let key = key("k", b"{}");
    answered(&database.pool, &key, 7).await;
    let mut tx = database.pool.begin().await.expect("begun");
    let Claim::Replay(again) = claim(&mut tx, Some(&key)).await.expect("done") else { panic!("expected a replay") };
    let response = again.into_response();
    assert_eq!(response.status(), StatusCode::CREATED);
    for (name, value) in [
        ("location", "/v1/orders/7"),
        ("etag", "\"7\""),
        ("content-type", "application/json"),
        ("idempotent-replayed", "true"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
    assert_eq!(response.into_body().collect().await.expect("whole").to_bytes(), &b"{\"n\":7}"[..]);
    assert!(!answer(7).into_response().headers().contains_key("idempotent-replayed"));
}

#[tokio::test]
async fn other_callers_routes_and_keys_are_other_requests() {
    let database = database().await;
    answered(&database.pool, &key("k", b"{}"), 1).await;
    let mut tx = database.pool.begin().await.expect("begun");
    for other in [
        Key::new("another", "POST /v1/orders", "k", b"{}"),
        Key::new("somebody", "POST /v1/customers", "k", b"{}"),
        Key::new("somebody", "POST /v1/orders", "l", b"{}"),
    ] {
        assert_eq!(claim(&mut tx, Some(&other)).await.expect("free"), Claim::New);
    }
    assert_eq!(claim(&mut tx, None).await.expect("no key"), Claim::New);
    keep(&mut tx, None, &answer(1)).await.expect("nothing to keep");
}

#[tokio::test]
async fn another_body_is_a_mistake() {
    let database = database().await;
    answered(&database.pool, &key("k", b"{}"), 1).await;
    let mut tx = database.pool.begin().await.expect("begun");
    assert_eq!(kind(claim(&mut tx, Some(&key("k", b"{ }"))).await), REUSED);
}

#[tokio::test]
async fn while_the_first_is_under_way_the_key_is_in_use() {
    let database = database().await;
    let key = key("k", b"{}");
    let mut first = database.pool.begin().await.expect("begun");
    assert_eq!(claim(&mut first, Some(&key)).await.expect("free"), Claim::New);
    let mut second = database.pool.begin().await.expect("begun");
    assert_eq!(kind(claim(&mut second, Some(&key)).await), IN_USE);
    keep(&mut first, Some(&key), &answer(1)).await.expect("kept");
    first.commit().await.expect("committed");
    // The same transaction sees it now: each statement has a snapshot of its own.
    assert_eq!(claim(&mut second, Some(&key)).await.expect("done"), replayed(1));
}

#[tokio::test]
async fn a_crash_frees_the_key_and_keeps_nothing() {
    let database = database().await;
    let key = key("k", b"{}");
    let mut crashing = PgConnection::connect(&database.url).await.expect("connected");
    let mut tx = crashing.begin().await.expect("begun");
    assert_eq!(claim(&mut tx, Some(&key)).await.expect("free"), Claim::New);
    keep(&mut tx, Some(&key), &answer(1)).await.expect("kept");
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *tx).await.expect("a pid");
    // Waits until the server has let go of the session, for at most five seconds.
    let ended: bool = sqlx::query_scalar("select pg_terminate_backend($1, 5000)")
        .bind(pid)
        .fetch_one(&database.pool)
        .await
        .expect("ended");
    assert!(ended);
    answered(&database.pool, &key, 2).await;
}

#[tokio::test]
async fn errors_are_not_kept() {
    let database = database().await;
    let key = key("k", b"{}");
    let mut tx = database.pool.begin().await.expect("begun");
    assert_eq!(claim(&mut tx, Some(&key)).await.expect("free"), Claim::New);
    tx.rollback().await.expect("rolled back");
    answered(&database.pool, &key, 2).await;
}

#[tokio::test]
async fn a_batch_has_one_result_for_each_key() {
    let database = database().await;
    answered(&database.pool, &key("done", b"{}"), 1).await;
    let mut other = database.pool.begin().await.expect("begun");
    claim(&mut other, Some(&key("busy", b"{}"))).await.expect("free");
    let keys = [
        key("done", b"{}"),
        key("new", b"{}"),
        key("busy", b"{}"),
        key("new", b"{}"),
        key("done", b"other"),
        key("new", b"other"),
        key("newer", b""),
    ];
    let mut tx = database.pool.begin().await.expect("begun");
    let mut claims = claim_many(&mut tx, &keys).await.expect("claimed").into_iter();
    let mut next = || claims.next().expect("one each");
    assert_eq!(next().expect("done"), replayed(1));
    assert_eq!(next().expect("new"), Claim::New);
    assert_eq!(kind(next()), IN_USE);
    assert_eq!(kind(next()), IN_USE);
    assert_eq!(kind(next()), REUSED);
    assert_eq!(kind(next()), IN_USE);
    assert_eq!(next().expect("newer"), Claim::New);
    let plain = Answer::json(StatusCode::ACCEPTED, &json!(null));
    keep_many(&mut tx, &[(&keys[1], &answer(2)), (&keys[6], &plain)]).await.expect("kept");
    tx.commit().await.expect("committed");
    let mut tx = database.pool.begin().await.expect("begun");
    assert_eq!(claim(&mut tx, Some(&keys[1])).await.expect("done"), replayed(2));
    assert_eq!(claim(&mut tx, Some(&keys[6])).await.expect("done"), Claim::Replay(Answer { replayed: true, ..plain }));
    let empty = Answer::empty(StatusCode::NO_CONTENT);
    keep(&mut tx, Some(&key("empty", b"")), &empty).await.expect("kept");
    let again = claim(&mut tx, Some(&key("empty", b""))).await.expect("done");
    assert_eq!(again, Claim::Replay(Answer { replayed: true, ..empty.clone() }));
    assert!(empty.into_response().headers().is_empty(), "nothing is no JSON");
    assert!(claim_many(&mut tx, &[]).await.expect("nothing").is_empty());
    keep_many(&mut tx, &[]).await.expect("nothing");
}

#[tokio::test]
async fn of_many_at_once_one_has_the_effect() {
    let database = database().await;
    sqlx::raw_sql("create table effect (n int)").execute(&database.pool).await.expect("a table");
    let attempts: Vec<_> = (0..8)
        .map(|n| {
            let pool = database.pool.clone();
            tokio::spawn(async move {
                let key = key("k", b"{}");
                let mut tx = pool.begin().await.expect("begun");
                match claim(&mut tx, Some(&key)).await {
                    Ok(Claim::New) => {
                        sqlx::query("insert into effect values ($1)").bind(n).execute(&mut *tx).await.expect("done");
                        keep(&mut tx, Some(&key), &answer(1)).await.expect("kept");
                        tx.commit().await.expect("committed");
                    }
                    Ok(replay) => assert_eq!(replay, replayed(1)),
                    refused => assert_eq!(kind(refused), IN_USE),
                }
            })
        })
        .collect();
    for attempt in attempts {
        attempt.await.expect("no panic");
    }
    let effects: i64 =
        sqlx::query_scalar("select count(*) from effect").fetch_one(&database.pool).await.expect("a count");
    assert_eq!(effects, 1);
}

#[tokio::test]
async fn old_answers_are_forgotten_and_young_ones_kept() {
    let database = database().await;
    answered(&database.pool, &key("young", b"{}"), 1).await;
    sqlx::raw_sql(
        "insert into idempotency
         select 'somebody', 'POST /v1/orders', n::text, sha256(''), 200, null, null, '', now() - interval '2 days' from generate_series(1, 2500) n",
    )
    .execute(&database.pool)
    .await
    .expect("old ones");
    let day = Duration::from_secs(24 * 60 * 60);
    assert_eq!(prune(&database.pool, day).await.expect("pruned"), 2500);
    assert_eq!(prune(&database.pool, day).await.expect("pruned"), 0);
    let left: i64 =
        sqlx::query_scalar("select count(*) from idempotency").fetch_one(&database.pool).await.expect("a count");
    assert_eq!(left, 1);
}

async fn extract(values: &[&str]) -> Result<Option<Key>, Problem> {
    let mut request = Request::post("/v1/orders/7/cancel?x=1");
    for value in values {
        request = request.header("idempotency-key", *value);
    }
    let (mut parts, _) = request.body(Body::empty()).expect("a request").into_parts();
    let key = IdempotencyKey::from_request_parts(&mut parts, &()).await?;
    let caller = Caller { subject: "somebody".to_owned(), scopes: Vec::new(), customer_id: None };
    Ok(key.of(&caller, b"{}"))
}

#[tokio::test]
async fn the_header_is_optional_and_strict() {
    assert_eq!(extract(&[]).await.expect("none"), None);
    let expected = Key::new("somebody", "POST /v1/orders/7/cancel", "k-1", b"{}");
    assert_eq!(extract(&["k-1"]).await.expect("good"), Some(expected));
    assert!(extract(&[&"x".repeat(255)]).await.is_ok());
    for bad in [&[""][..], &["two words"], &[&"x".repeat(256)], &["a", "b"], &["é"]] {
        let problem = extract(bad).await.expect_err("bad");
        assert_eq!((problem.status().as_u16(), problem.kind()), (400, "invalid-header"), "{bad:?}");
    }
}

#[tokio::test]
async fn a_customers_own_requests_are_its_own() {
    let header = IdempotencyKey { key: Some("k".to_owned()), route: "POST /".to_owned() };
    let staff = Caller { subject: "s".to_owned(), scopes: Vec::new(), customer_id: None };
    let customer = Caller { customer_id: Some(uuid::Uuid::nil()), ..staff.clone() };
    assert_ne!(header.clone().of(&staff, b""), header.of(&customer, b""));
}

/// A copy is simpler than an abstraction, as long as somebody looks.
#[test]
fn the_services_migrations_are_these() {
    for service in ["order", "inventory"] {
        for (file, original) in [("0002_idempotency.sql", TABLE), ("0004_idempotency_claim.sql", CLAIM)] {
            let path = format!("{}/../../migrations/{service}/{file}", env!("CARGO_MANIFEST_DIR"));
            assert_eq!(std::fs::read_to_string(&path).expect("the migration"), original, "{path}");
        }
    }
}
