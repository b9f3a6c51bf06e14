//! The events of each subject are numbered without a gap. The oldest of those that are no order's history are forgotten, so
//! numbers need not begin at 1.

use contracts::event::Service;
use futures_util::TryStreamExt;

use crate::audit::databases::{Databases, column};
use crate::audit::finding::{Findings, Offender};

pub(super) async fn look(db: &mut Databases, found: &mut Findings) -> sqlx::Result<()> {
    for service in Service::ALL {
        let mut rows = sqlx::query(
            "select subject, count(*) as events, min(sequence) as first, max(sequence) as last
             from event group by subject having count(*) <> max(sequence) - min(sequence) + 1",
        )
        .fetch(db.of(service));
        while let Some(row) = rows.try_next().await? {
            let (events, first, last): (i64, i64, i64) =
                (column(&row, "events")?, column(&row, "first")?, column(&row, "last")?);
            let detail = format!("{service} has {events} events of it, numbered {first} to {last}");
            found.add(Offender::new("subject", column::<String>(&row, "subject")?, detail));
        }
    }
    Ok(())
}
