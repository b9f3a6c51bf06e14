//! The event log: outbox, audit trail and history in one append-only table.

use std::borrow::Cow;
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contracts::envelope::{Envelope, schema_urn};
use contracts::event::Service;
use contracts::values::EventId;
use serde_json::value::RawValue;
use sqlx::PgConnection;

/// One row of the log.
#[derive(Debug, Clone)]
pub struct LoggedEvent {
    /// Where it stands in the log; orders the events of one subject.
    pub position: i64,
    /// Its id.
    pub id: EventId,
    /// The aggregate that it is about.
    pub subject: String,
    /// Its number among the events of its subject, from 1.
    pub sequence: i64,
    /// Its type.
    pub event_type: String,
    /// Its schema version.
    pub version: u16,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// See [`crate::context::Context`].
    pub correlation_id: String,
    /// See [`crate::context::Context`].
    pub causation_id: Option<String>,
    /// See [`crate::context::Context`].
    pub traceparent: Option<String>,
    /// The event itself, JSON.
    pub data: String,
}

impl LoggedEvent {
    /// The event as it travels.
    ///
    /// # Errors
    /// When the row does not hold JSON, which the database rules out.
    pub fn envelope(&self, service: Service) -> serde_json::Result<Envelope<'_>> {
        Ok(Envelope {
            specversion: Cow::Borrowed("1.0"),
            id: self.id,
            source: Cow::Owned(service.source()),
            event_type: Cow::Borrowed(&self.event_type),
            dataschema: Cow::Owned(schema_urn(&self.event_type, self.version)),
            subject: Cow::Borrowed(&self.subject),
            sequence: self.sequence,
            time: self.time,
            datacontenttype: Cow::Borrowed("application/json"),
            correlationid: Cow::Borrowed(&self.correlation_id),
            causationid: self.causation_id.as_deref().map(Cow::Borrowed),
            traceparent: self.traceparent.as_deref().map(Cow::Borrowed),
            data: Cow::Borrowed(serde_json::from_str::<&RawValue>(&self.data)?),
        })
    }
}

/// Reads rows of a query over `event` that selects all columns under the field names of [`LoggedEvent`].
macro_rules! logged_event {
    ($row:expr) => {
        $crate::event_log::LoggedEvent {
            position: $row.position,
            id: contracts::values::EventId($row.id),
            subject: $row.subject,
            sequence: $row.sequence,
            event_type: $row.event_type,
            version: u16::try_from($row.version).unwrap_or(u16::MAX),
            time: $row.time,
            correlation_id: $row.correlation_id,
            causation_id: $row.causation_id,
            traceparent: $row.traceparent,
            data: $row.data,
        }
    };
}
pub(crate) use logged_event;

/// Appends events in the given order, in one statement.
pub(crate) async fn append(conn: &mut PgConnection, events: Vec<LoggedEvent>) -> sqlx::Result<()> {
    let count = events.len();
    let mut ids = Vec::with_capacity(count);
    let mut subjects = Vec::with_capacity(count);
    let mut sequences = Vec::with_capacity(count);
    let mut types = Vec::with_capacity(count);
    let mut versions = Vec::with_capacity(count);
    let mut times = Vec::with_capacity(count);
    let mut correlations = Vec::with_capacity(count);
    let mut causations = Vec::with_capacity(count);
    let mut traces = Vec::with_capacity(count);
    let mut data = Vec::with_capacity(count);
    for event in events {
        ids.push(event.id.0);
        subjects.push(event.subject);
        sequences.push(event.sequence);
        types.push(event.event_type);
        versions.push(i16::try_from(event.version).unwrap_or(i16::MAX));
        times.push(event.time);
        correlations.push(event.correlation_id);
        causations.push(event.causation_id);
        traces.push(event.traceparent);
        data.push(event.data);
    }
    sqlx::query!(
        "insert into event (id, subject, sequence, type, version, time, correlation_id, causation_id, traceparent, data)
         select id, subject, sequence, type, version, time, correlation_id, causation_id, traceparent, data::json
         from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::smallint[], $6::timestamptz[], $7::text[],
                     $8::text[], $9::text[], $10::text[]) with ordinality
              as e (id, subject, sequence, type, version, time, correlation_id, causation_id, traceparent, data, ordinal)
         order by ordinal",
        &ids,
        &subjects,
        &sequences,
        &types,
        &versions,
        &times,
        &correlations,
        &causations as &[Option<String>],
        &traces as &[Option<String>],
        &data,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The whole history of a subject, oldest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn history(conn: &mut PgConnection, subject: &str) -> sqlx::Result<Vec<LoggedEvent>> {
    history_after(conn, subject, 0).await
}

/// The history of a subject after a sequence, oldest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn history_after(conn: &mut PgConnection, subject: &str, sequence: i64) -> sqlx::Result<Vec<LoggedEvent>> {
    let rows = sqlx::query!(
        r#"select position, id, subject, sequence, type as event_type, version, time, correlation_id, causation_id,
                  traceparent, data::text as "data!"
           from event where subject = $1 and sequence > $2 order by sequence"#,
        subject,
        sequence,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| logged_event!(row)).collect())
}

/// The whole histories of some subjects, each oldest first; a subject that is named twice has one history.
///
/// # Errors
/// When the database cannot be asked.
pub async fn histories(
    conn: &mut PgConnection,
    subjects: &[String],
) -> sqlx::Result<HashMap<String, Vec<LoggedEvent>>> {
    let mut subjects = subjects.to_vec();
    subjects.sort_unstable();
    subjects.dedup();
    let rows = sqlx::query!(
        r#"select e.position, e.id, e.subject, e.sequence, e.type as event_type, e.version, e.time, e.correlation_id,
                  e.causation_id, e.traceparent, e.data::text as "data!"
           from unnest($1::text[]) as s (subject) cross join lateral (select * from event where subject = s.subject) as e
           order by e.subject, e.sequence"#,
        &subjects,
    )
    .fetch_all(conn)
    .await?;
    let mut histories = HashMap::<String, Vec<LoggedEvent>>::new();
    for row in rows {
        histories.entry(row.subject.clone()).or_default().push(logged_event!(row));
    }
    Ok(histories)
}

/// An event that somebody asks for by its id.
#[derive(Debug, Clone)]
pub struct Found {
    /// The event.
    pub event: LoggedEvent,
    /// Whether it is published: the relay has read it, and a queue has taken it where the catalogue names consumers.
    pub published: bool,
}

/// The event with that id. There is one index on ids that costs nothing to keep, and tells in which part of the log an id
/// can stand; so this takes milliseconds, and is nothing for a hot path.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find(conn: &mut PgConnection, id: EventId) -> sqlx::Result<Option<Found>> {
    let row = sqlx::query!(
        r#"select position, id, subject, sequence, type as event_type, version, time, correlation_id, causation_id,
                  traceparent, data::text as "data!",
                  coalesce((select pg_visible_in_snapshot(e.xid, f.prev) from follower f where f.name = $2), false)
                  and not exists (select from set_aside s where s.position = e.position) as "published!"
           from event e where id = $1 limit 1"#,
        id.0,
        crate::relay::NAME,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Found { published: row.published, event: logged_event!(row) }))
}
