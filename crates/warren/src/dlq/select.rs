//! Which letters a command is about.

use std::collections::BTreeSet;

use contracts::event::Service;
use messaging::dead_letters::{DeadLetters, Letter};
use messaging::settings::AmqpUrls;

use super::{PATIENCE, group};

/// A choice of letters.
#[derive(Debug, Clone)]
pub(crate) enum Selection {
    /// Each.
    All,
    /// Those of the group of that name.
    Group(String),
    /// Those with these ids.
    Ids(BTreeSet<String>),
}

impl Selection {
    /// The letters with these ids, as people type them.
    pub(crate) fn ids(ids: &[String]) -> Self {
        // ids of events are written in small letters
        let written = |id: &String| id.parse::<uuid::Uuid>().map_or_else(|_| id.clone(), |id| id.to_string());
        Self::Ids(ids.iter().map(written).collect())
    }

    /// Whether a letter is among them.
    pub(crate) fn has(&self, letter: &Letter) -> bool {
        match self {
            Self::All => true,
            Self::Group(name) => *name == group::name_of(letter),
            Self::Ids(ids) => ids.contains(&letter.id),
        }
    }
}

/// Looks at every letter of these services, and changes nothing.
///
/// # Errors
/// When the broker cannot be asked.
pub(crate) async fn look(
    urls: &AmqpUrls,
    services: &[Service],
    mut at: impl FnMut(Letter) + Send,
) -> anyhow::Result<()> {
    for service in services {
        let mut letters = DeadLetters::open(urls, *service, PATIENCE).await?;
        while let Some(letter) = letters.next().await? {
            at(letter);
        }
        letters.close().await?;
    }
    Ok(())
}

/// Fails unless there is at least one letter of each of these ids.
///
/// # Errors
/// Which ids nobody has.
pub(super) fn all_found(wanted: &Selection, found: &BTreeSet<String>) -> anyhow::Result<()> {
    let Selection::Ids(ids) = wanted else { return Ok(()) };
    let missing: Vec<&str> = ids.difference(found).map(String::as_str).collect();
    match missing.as_slice() {
        [] => Ok(()),
        missing => anyhow::bail!("no dead letter has the id {}; nothing was changed", missing.join(", ")),
    }
}
