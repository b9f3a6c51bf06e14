//! What a check finds: who breaks a promise, and what else a person should know. Pure.

use std::collections::BTreeSet;

use serde::Serialize;

/// How many offenders of a check are remembered. There is no hope that more of them go away at a second look.
const MOST: usize = 10_000;

/// Who breaks a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Offender {
    /// `order`, `sku`, `mail`, `event` or `payment`.
    pub(super) kind: &'static str,
    /// Its id; a product's is its sku.
    pub(super) id: String,
    /// The consumer that an event has not reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) consumer: Option<&'static str>,
    /// How.
    pub(super) detail: String,
}

impl Offender {
    /// Something of that kind, with its id.
    pub(super) fn new(kind: &'static str, id: impl ToString, detail: impl Into<String>) -> Self {
        Self { kind, id: id.to_string(), consumer: None, detail: detail.into() }
    }

    fn key(&self) -> (&str, &str, Option<&str>) {
        (self.kind, &self.id, self.consumer)
    }
}

/// What a check found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    offenders: Vec<Offender>,
    beyond: u64,
    notes: Vec<String>,
}

impl Findings {
    /// Somebody breaks a promise.
    pub(super) fn add(&mut self, offender: Offender) {
        if self.offenders.len() < MOST {
            self.offenders.push(offender);
        } else {
            self.beyond += 1;
        }
    }

    /// All of them at once.
    pub(super) fn append(&mut self, other: Findings) {
        for offender in other.offenders {
            self.add(offender);
        }
        self.beyond += other.beyond;
        self.notes.extend(other.notes);
    }

    /// Something that breaks no promise, and that a person should know.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// `note`, if there is anything of it.
    pub(super) fn note_some(&mut self, count: u64, note: impl FnOnce(u64) -> String) {
        if count > 0 {
            self.notes.push(note(count));
        }
    }

    /// How many break a promise.
    pub(super) fn count(&self) -> u64 {
        self.offenders.len() as u64 + self.beyond
    }

    /// The first of them.
    pub(super) fn first(&self, most: usize) -> &[Offender] {
        &self.offenders[..most.min(self.offenders.len())]
    }

    /// What else is told.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What was found at an earlier look as well. Where that was more than is remembered, all of this one.
    pub(super) fn also_in(mut self, earlier: &Findings) -> Findings {
        if earlier.beyond == 0 {
            let known: BTreeSet<_> = earlier.offenders.iter().map(Offender::key).collect();
            self.offenders.retain(|offender| known.contains(&offender.key()));
            self.beyond = 0;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ids: impl IntoIterator<Item = usize>) -> Findings {
        let mut found = Findings::default();
        ids.into_iter().for_each(|id| found.add(Offender::new("order", id, "is wrong")));
        found
    }

    #[test]
    fn what_is_gone_at_the_second_look_is_not_told() {
        let second = found([2, 3, 4]).also_in(&found([1, 2, 4]));
        let ids: Vec<&str> = second.first(9).iter().map(|offender| offender.id.as_str()).collect();
        assert_eq!((ids, second.count()), (vec!["2", "4"], 2));
    }

    #[test]
    fn more_than_can_be_remembered_are_counted() {
        let many = found(0..MOST + 5);
        assert_eq!((many.count(), many.first(3).len()), (MOST as u64 + 5, 3));
        assert_eq!(found([7, 8]).also_in(&many).count(), 2);
    }
}
