//! What is looked for: one file per check.

mod log;
mod pages;

mod agreement;
mod delivery;
mod endings;
mod history;
mod mails;
mod numbering;
mod payments;
mod reservations;
mod stock;

use clap::ValueEnum;

use super::Rules;
use super::databases::Databases;
use super::finding::Findings;

/// A check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Check {
    /// Orders that get nowhere.
    Endings,
    /// Orders and their events.
    History,
    /// Gaps in the logs.
    Numbering,
    /// Events and inboxes.
    Delivery,
    /// Stock and its ledger.
    Stock,
    /// Reservations and the ledger.
    Reservations,
    /// Orders and reservations.
    Agreement,
    /// Orders, payments and the provider's books.
    Payments,
    /// Orders and mails.
    Mails,
}

impl Check {
    /// All, in the order in which they are made.
    pub(super) const ALL: [Check; 9] = [
        Self::Endings,
        Self::History,
        Self::Numbering,
        Self::Delivery,
        Self::Stock,
        Self::Reservations,
        Self::Agreement,
        Self::Payments,
        Self::Mails,
    ];

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Endings => "endings",
            Self::History => "history",
            Self::Numbering => "numbering",
            Self::Delivery => "delivery",
            Self::Stock => "stock",
            Self::Reservations => "reservations",
            Self::Agreement => "agreement",
            Self::Payments => "payments",
            Self::Mails => "mails",
        }
    }

    /// What holds if nothing is found.
    pub(super) const fn promise(self) -> &'static str {
        match self {
            Self::Endings => "every order is final, or waits for something",
            Self::History => "every order is what its events say, and none is lost",
            Self::Numbering => "the events of each subject are numbered without a gap",
            Self::Delivery => "every published event has taken effect at all of its consumers",
            Self::Stock => "nothing was ever oversold, and the ledger adds up to the stock",
            Self::Reservations => "the ledger moved for each reservation what its state says",
            Self::Agreement => "reservations agree with their orders",
            Self::Payments => "nobody was charged twice or for nothing, and what is owed goes back",
            Self::Mails => "there is one mail for each confirmed and each cancelled order",
        }
    }

    /// Looks.
    ///
    /// # Errors
    /// When a database cannot be read.
    pub(super) async fn look(self, db: &mut Databases, rules: &Rules, found: &mut Findings) -> sqlx::Result<()> {
        match self {
            Self::Endings => endings::look(db, rules, found).await,
            Self::History => history::look(db, found).await,
            Self::Numbering => numbering::look(db, found).await,
            Self::Delivery => delivery::look(db, rules, found).await,
            Self::Stock => stock::look(db, found).await,
            Self::Reservations => reservations::look(db, found).await,
            Self::Agreement => agreement::look(db, rules, found).await,
            Self::Payments => payments::look(db, rules, found).await,
            Self::Mails => mails::look(db, rules, found).await,
        }
    }
}
