//! The statements behind idempotency keys.

use std::time::Duration;

use axum::http::StatusCode;
use sqlx::{PgConnection, PgPool};

use super::{Answer, Claim, Key, in_use, reused};
use crate::http::problem::Problem;

/// Rows forgotten per statement: few enough that its locks and its log are small.
const PRUNE_BATCH: i64 = 1_000;

/// Claims the key for the transaction that `db` is in. Without a key everything is [`Claim::New`].
///
/// 409 `idempotency-key-in-use` while another transaction holds it, 422 `idempotency-key-reused` when it was for another body.
pub async fn claim(db: &mut PgConnection, key: Option<&Key>) -> Result<Claim, Problem> {
    let Some(key) = key else { return Ok(Claim::New) };
    let mut claims = claim_many(db, std::slice::from_ref(key)).await?;
    claims.pop().expect("one key has one claim")
}

/// Keeps the answer to a claimed key, to be committed with the effect. Without a key it does nothing.
pub async fn keep(db: &mut PgConnection, key: Option<&Key>, answer: &Answer) -> Result<(), sqlx::Error> {
    match key {
        Some(key) => keep_many(db, &[(key, answer)]).await,
        None => Ok(()),
    }
}

/// [`claim`] for many requests that share a transaction: one result for each key, in their order.
///
/// Of equal keys the first is claimed and the others are in use, as they would be if each had a transaction of its own.
pub async fn claim_many(db: &mut PgConnection, keys: &[Key]) -> Result<Vec<Result<Claim, Problem>>, sqlx::Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let callers: Vec<&str> = keys.iter().map(|key| key.caller.as_str()).collect();
    let routes: Vec<&str> = keys.iter().map(|key| key.route.as_str()).collect();
    let texts: Vec<&str> = keys.iter().map(|key| key.key.as_str()).collect();
    let locks: Vec<i64> = keys.iter().map(Key::lock).collect();
    let rows = sqlx::query!(
        r#"select locked as "locked!", fingerprint, status, location, etag, body
           from claim_idempotency_keys($1, $2, $3, $4)"#,
        &callers as &[&str],
        &routes as &[&str],
        &texts as &[&str],
        &locks,
    )
    .fetch_all(db)
    .await?;
    let claims = keys.iter().zip(rows).enumerate().map(|(n, (key, row))| {
        // The lock of an equal key is ours already, and would be given to us again.
        let repeated = keys[..n].iter().any(|earlier| earlier.is_same_request(key));
        match (row.status, row.body) {
            (Some(_), Some(_)) if row.fingerprint.as_deref() != Some(&key.fingerprint[..]) => Err(reused()),
            (Some(status), Some(body)) => {
                let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
                Ok(Claim::Replay(Answer {
                    status: status.expect("a constraint keeps it between 200 and 299"),
                    location: row.location,
                    etag: row.etag,
                    body: body.into(),
                    replayed: true,
                }))
            }
            _ if row.locked && !repeated => Ok(Claim::New),
            _ => Err(in_use()),
        }
    });
    Ok(claims.collect())
}

/// [`keep`] for many requests that share a transaction.
pub async fn keep_many(db: &mut PgConnection, answers: &[(&Key, &Answer)]) -> Result<(), sqlx::Error> {
    if answers.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&Key) -> &str| -> Vec<&str> { answers.iter().map(|(key, _)| of(key)).collect() };
    let fingerprints: Vec<&[u8]> = answers.iter().map(|(key, _)| &key.fingerprint[..]).collect();
    let statuses: Vec<i16> = answers.iter().map(|(_, answer)| answer.status.as_u16().cast_signed()).collect();
    let locations: Vec<Option<&str>> = answers.iter().map(|(_, answer)| answer.location.as_deref()).collect();
    let etags: Vec<Option<&str>> = answers.iter().map(|(_, answer)| answer.etag.as_deref()).collect();
    let bodies: Vec<&[u8]> = answers.iter().map(|(_, answer)| &answer.body[..]).collect();
    sqlx::query!(
        "insert into idempotency (caller, route, key, fingerprint, status, location, etag, body)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::smallint[], $6::text[], $7::text[], $8::bytea[])",
        &column(|key| &key.caller) as &[&str],
        &column(|key| &key.route) as &[&str],
        &column(|key| &key.key) as &[&str],
        &fingerprints as &[&[u8]],
        &statuses,
        &locations as &[Option<&str>],
        &etags as &[Option<&str>],
        &bodies as &[&[u8]],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets the answers that are older than `retention`, in small batches; how many they were. Several copies may do it at the same time.
pub async fn prune(pool: &PgPool, retention: Duration) -> Result<u64, sqlx::Error> {
    let mut forgotten = 0;
    loop {
        let batch = sqlx::query!(
            "delete from idempotency
              where (caller, route, key) in (
                    select caller, route, key from idempotency
                     where created_at < now() - make_interval(secs => $1)
                     order by created_at
                     limit $2
                     for update skip locked)",
            retention.as_secs_f64(),
            PRUNE_BATCH
        )
        .execute(pool)
        .await?
        .rows_affected();
        forgotten += batch;
        if batch < PRUNE_BATCH.cast_unsigned() {
            return Ok(forgotten);
        }
    }
}
