//! Every published event has taken effect at each consumer that the catalogue names. This is how a lost binding shows.
//!
//! What waits in a consumer's queue or on its ladder is not lost; the broker tells only how many messages those are. So as
//! many missing events as there are messages are taken to be under way. Dead letters wait for a person, and are counted.

use contracts::catalogue::CATALOGUE;
use contracts::event::Service;
use sqlx::Row;
use uuid::Uuid;

use super::log::{self, Wanted};
use crate::audit::Rules;
use crate::audit::databases::Databases;
use crate::audit::finding::{Findings, Offender};

pub(super) async fn look(db: &mut Databases, rules: &Rules, found: &mut Findings) -> sqlx::Result<()> {
    for publisher in Service::ALL {
        if CATALOGUE.iter().any(|event| event.publisher == publisher) {
            let (count, since) = log::unpublished(db.of(publisher), rules.grace).await?;
            let since = since.unwrap_or_default();
            found
                .note_some(count, |count| format!("{count} events of {publisher} wait to be published, since {since}"));
        }
    }
    for consumer in Service::ALL {
        let mut missing = Missing::default();
        for publisher in Service::ALL {
            missing.look(db, rules, publisher, consumer).await?;
        }
        found.note_some(missing.dead, |count| {
            format!("{count} events are dead letters of {consumer}: warren dlq list --queue {consumer}")
        });
        let queue = rules.queues.as_ref().and_then(|queues| queues.get(&consumer));
        let under_way = queue.map_or(0, crate::queues::Waiting::under_way);
        match (missing.found.count(), queue) {
            (count, Some(queue)) if count > 0 && count <= under_way => {
                found.note(format!("{count} events are on their way: {}", queue.line(consumer)));
            }
            _ => found.append(missing.found),
        }
    }
    Ok(())
}

/// The events that one consumer has not had.
#[derive(Debug, Default)]
struct Missing {
    found: Findings,
    dead: u64,
}

impl Missing {
    async fn look(
        &mut self,
        db: &mut Databases,
        rules: &Rules,
        publisher: Service,
        consumer: Service,
    ) -> sqlx::Result<()> {
        let events =
            CATALOGUE.iter().filter(|event| event.publisher == publisher && event.consumers.contains(&consumer));
        let types: Vec<&str> = events.map(|event| event.name).collect();
        if types.is_empty() {
            return Ok(());
        }
        let wanted = Wanted { types: &types, grace: rules.grace, retention: rules.inbox_retention };
        let mut position = 0;
        while let Some((mut events, last)) = log::page(db.of(publisher), &wanted, position).await? {
            position = last;
            events.retain(|event| !event.old);
            let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
            let rows = sqlx::query(
                "select e.number, exists (select from dead_letter d where d.id = e.id) as dead
                 from unnest($1::uuid[]) with ordinality as e (id, number)
                 where not exists (select from inbox i where i.id = e.id)",
            )
            .bind(&ids)
            .fetch_all(db.of(consumer))
            .await?;
            for row in rows {
                let number: i64 = row.try_get("number")?;
                let Some(event) = usize::try_from(number - 1).ok().and_then(|index| events.get(index)) else {
                    continue;
                };
                if row.try_get("dead")? {
                    self.dead += 1;
                } else {
                    let detail =
                        format!("{} about {} has not taken effect in {consumer}", event.event_type, event.subject);
                    self.found
                        .add(Offender { consumer: Some(consumer.name()), ..Offender::new("event", event.id, detail) });
                }
            }
        }
        Ok(())
    }
}
