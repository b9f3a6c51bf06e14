//! The event log: outbox, audit trail and history in one append-only table.

use std::borrow::Cow;

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
