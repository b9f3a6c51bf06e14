//! What becomes of the claims of senders that are no more, and of mails that nobody let go.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::Instant;

use super::tally::Tally;
use crate::store::delivery;

/// How often to look.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a sender has to be absent until it is taken for dead: one that lost its connection comes back before.
const GRACE: Duration = Duration::from_secs(2);

/// The longest that any sender holds a mail, even one whose session lasts: its process may be frozen. Well above the time
/// after which a sender no longer begins with a mail, together with the longest that the mail server is waited for.
const LEASE: Duration = Duration::from_mins(10);

/// How often to look for claims older than that.
const LEASE_INTERVAL: Duration = Duration::from_mins(1);

/// Looks after others' claims.
#[derive(Debug, Default)]
pub(super) struct Claims {
    absent: HashMap<i32, Instant>,
    looked: Option<Instant>,
    looked_at_leases: Option<Instant>,
}

impl Claims {
    /// Looks, if it is time to, and says whether it was.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub(super) async fn look_after(&mut self, conn: &mut PgConnection, tally: &Tally) -> sqlx::Result<bool> {
        let now = Instant::now();
        if self.looked.is_some_and(|looked| now < looked + INTERVAL) {
            return Ok(false);
        }
        delivery::release_waiting(conn).await?;
        let absent = delivery::absent_senders(conn).await?;
        let dead = self.dead(&absent, now);
        self.looked = Some(now);
        let leases = self.looked_at_leases.is_none_or(|looked| now >= looked + LEASE_INTERVAL);
        if leases || !dead.is_empty() {
            self.looked_at_leases = Some(now);
            for mail in delivery::take_over(conn, &dead, LEASE).await? {
                tally.left_behind(&mail);
            }
        }
        Ok(true)
    }

    /// Those that were absent at every look since they were first found to be, for long enough. When nobody has looked for a
    /// while, because the database was away, others had no session either: that is no reason to take them for dead.
    fn dead(&mut self, absent: &[i32], now: Instant) -> Vec<i32> {
        if self.looked.is_some_and(|looked| now > looked + 2 * INTERVAL) {
            self.absent.clear();
        }
        self.absent.retain(|sender, _| absent.contains(sender));
        for sender in absent {
            self.absent.entry(*sender).or_insert(now);
        }
        self.absent.iter().filter(|(_, since)| now >= **since + GRACE).map(|(sender, _)| *sender).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_stays_away_is_dead() {
        let mut claims = Claims::default();
        let start = Instant::now();
        assert!(claims.dead(&[1, 2], start).is_empty());
        assert!(claims.dead(&[1, 2], start + GRACE / 2).is_empty());
        assert_eq!(claims.dead(&[1], start + GRACE), [1]);
        assert_eq!(claims.dead(&[1, 2], start + GRACE), [1], "2 had come back in between");
    }

    #[test]
    fn a_time_in_which_nobody_looked_does_not_count() {
        let start = Instant::now();
        let mut claims = Claims { looked: Some(start), ..Claims::default() };
        assert!(claims.dead(&[1], start).is_empty());
        let back = start + 10 * GRACE;
        assert!(claims.dead(&[1], back).is_empty(), "it may be about to come back as well");
        claims.looked = Some(back + GRACE / 2);
        assert_eq!(claims.dead(&[1], back + GRACE), [1]);
    }
}
