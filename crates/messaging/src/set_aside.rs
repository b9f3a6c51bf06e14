//! Events that no queue took although the catalogue names consumers: a binding is missing. They and the later ones of
//! their subjects wait in order and are tried again; all other subjects go on.
//!
//! A service may put an event here as well, to have it published once more: so the table is looked at also when the relay
//! itself has set nothing aside.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use sqlx::PgConnection;
use tracing::{info, warn};

use crate::event_log::{LoggedEvent, logged_event};

/// How often the oldest waiting event of each type is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(2);

/// How many events of each type are tried at once while some get through; else one, as a probe.
const MOST_AT_ONCE: i64 = 100;

/// The subjects with events that are set aside, as the leading relay knows them.
#[derive(Debug)]
pub(crate) struct SetAside {
    /// The subjects of which events wait.
    waiting: HashSet<String>,
    /// The types among them that were reported since there were none.
    reported: HashSet<String>,
    tried: Instant,
    /// Whether the last try got an event through.
    flowing: bool,
}

impl SetAside {
    /// What an earlier leader set aside.
    pub(crate) async fn load(conn: &mut PgConnection) -> sqlx::Result<Self> {
        let waiting = sqlx::query_scalar!("select distinct subject from set_aside").fetch_all(conn).await?;
        Ok(Self {
            waiting: waiting.into_iter().collect(),
            reported: HashSet::new(),
            tried: Instant::now(),
            flowing: false,
        })
    }

    /// Whether events of `subject` have to queue up here.
    pub(crate) fn holds(&self, subject: &str) -> bool {
        self.waiting.contains(subject)
    }

    /// Sets events aside. The caller's transaction must commit, or this value is to be loaded anew.
    pub(crate) async fn add(&mut self, conn: &mut PgConnection, events: &[LoggedEvent]) -> sqlx::Result<()> {
        let positions: Vec<i64> = events.iter().map(|event| event.position).collect();
        let subjects: Vec<String> = events.iter().map(|event| event.subject.clone()).collect();
        sqlx::query!(
            "insert into set_aside (position, subject) select * from unnest($1::bigint[], $2::text[])
             on conflict (position) do nothing",
            &positions,
            &subjects,
        )
        .execute(&mut *conn)
        .await?;
        self.look_again(conn, subjects).await?;
        for event in events {
            if self.reported.insert(event.event_type.clone()) {
                warn!(
                    event = event.event_type,
                    "no queue takes such events or earlier ones of their subject; set aside, tried again every 2s"
                );
            }
        }
        Ok(())
    }

    /// Looks anew which of these subjects wait: a service that has an event published once more adds a row that this value
    /// does not know of.
    async fn look_again(&mut self, conn: &mut PgConnection, subjects: Vec<String>) -> sqlx::Result<()> {
        let waiting = sqlx::query_scalar!("select distinct subject from set_aside where subject = any($1)", &subjects);
        let waiting = waiting.fetch_all(conn).await?;
        for subject in subjects {
            self.waiting.remove(&subject);
        }
        self.waiting.extend(waiting);
        Ok(())
    }

    /// Whether it is time to look again.
    pub(crate) fn is_due(&self) -> bool {
        self.flowing || self.tried.elapsed() >= RETRY_EVERY
    }

    /// What to try again: of the oldest waiting event of each subject, the oldest of each type. A type whose binding is
    /// still missing does not keep the others back.
    pub(crate) async fn due(&mut self, conn: &mut PgConnection) -> sqlx::Result<Vec<LoggedEvent>> {
        let rows = sqlx::query!(
            r#"select position, id, subject, sequence, type as event_type, version, time, correlation_id, causation_id,
                      traceparent, data::text as "data!"
               from (select *, row_number() over (partition by type order by position) as place from event
                     where position in (select min(position) from set_aside group by subject)) as oldest
               where place <= $1
               order by position"#,
            if self.flowing { MOST_AT_ONCE } else { 1 },
        )
        .fetch_all(conn)
        .await?;
        Ok(rows.into_iter().map(|row| logged_event!(row)).collect())
    }

    /// These got through, of those that were due.
    pub(crate) async fn published(&mut self, conn: &mut PgConnection, events: Vec<LoggedEvent>) -> sqlx::Result<()> {
        self.tried = Instant::now();
        self.flowing = !events.is_empty();
        if events.is_empty() {
            return Ok(());
        }
        let positions: Vec<i64> = events.iter().map(|event| event.position).collect();
        sqlx::query!("delete from set_aside where position = any($1)", &positions).execute(&mut *conn).await?;
        self.look_again(conn, events.into_iter().map(|event| event.subject).collect()).await?;
        if self.waiting.is_empty() && !self.reported.is_empty() {
            self.reported.clear();
            info!("all events that were set aside are published");
        }
        Ok(())
    }
}
