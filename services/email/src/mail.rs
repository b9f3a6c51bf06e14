//! What a mail is, apart from how it looks ([`crate::templates`]) and how it travels ([`crate::transport`]): plain values
//! and pure functions.

use std::borrow::Cow;
use std::time::Duration;

use contracts::event::Event;
use contracts::inventory::InventoryLow;
use contracts::money::Money;
use contracts::order::{CancelReason, ConfirmedLine, CustomerRegistered, OrderCancelled, OrderConfirmed};
use contracts::values::{EventId, Sku};
use serde::{Deserialize, Serialize};

/// Which mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Template {
    /// A customer exists from now on.
    Welcome,
    /// An order is confirmed: its lines and its total.
    OrderConfirmed,
    /// An order is cancelled: why.
    OrderCancelled,
    /// A product's stock fell below its threshold; for the operators.
    LowStock,
}

impl Template {
    /// All templates.
    pub const ALL: [Template; 4] =
        [Template::Welcome, Template::OrderConfirmed, Template::OrderCancelled, Template::LowStock];

    /// The name: in the log of mails, in the `Message-ID`, and of the files in `templates/`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::OrderConfirmed => "order-confirmed",
            Self::OrderCancelled => "order-cancelled",
            Self::LowStock => "low-stock",
        }
    }

    /// The template of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|template| template.as_str() == name)
    }

    /// The event that a mail of this template is about.
    pub const fn event(self) -> &'static str {
        match self {
            Self::Welcome => CustomerRegistered::TYPE,
            Self::OrderConfirmed => OrderConfirmed::TYPE,
            Self::OrderCancelled => OrderCancelled::TYPE,
            Self::LowStock => InventoryLow::TYPE,
        }
    }
}

/// What a mail says: what its event said, as far as the template needs it. Who it is for is not part of it, since that
/// is looked up when the mail goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content<'a> {
    /// Nothing beside the customer's name.
    Welcome,
    /// See [`Confirmed`].
    OrderConfirmed(Confirmed<'a>),
    /// See [`Cancelled`].
    OrderCancelled(Cancelled),
    /// See [`Low`].
    LowStock(Low<'a>),
}

/// What was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed<'a> {
    /// With the names as they were when it was ordered.
    pub lines: Cow<'a, [ConfirmedLine]>,
    /// The sum.
    pub total: Money,
}

/// Why an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// Never [`CancelReason::UnknownOrder`], about which nobody is mailed.
    pub reason: CancelReason,
}

/// Of what there is little left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Low<'a> {
    /// Which product.
    pub sku: Cow<'a, Sku>,
    /// What people call it.
    pub name: Cow<'a, str>,
    /// How many are left.
    pub available: i64,
    /// Below which number that is low.
    pub threshold: i64,
}

impl<'a> From<&'a OrderConfirmed> for Content<'a> {
    fn from(event: &'a OrderConfirmed) -> Self {
        Self::OrderConfirmed(Confirmed { lines: Cow::Borrowed(&event.lines), total: event.total })
    }
}

impl<'a> From<&'a InventoryLow> for Content<'a> {
    fn from(event: &'a InventoryLow) -> Self {
        Self::LowStock(Low {
            sku: Cow::Borrowed(&event.sku),
            name: Cow::Borrowed(&event.name),
            available: event.available,
            threshold: event.threshold,
        })
    }
}

impl Content<'_> {
    /// Which mail says this.
    pub const fn template(&self) -> Template {
        match self {
            Self::Welcome => Template::Welcome,
            Self::OrderConfirmed(_) => Template::OrderConfirmed,
            Self::OrderCancelled(_) => Template::OrderCancelled,
            Self::LowStock(_) => Template::LowStock,
        }
    }

    /// As it is stored with the mail: JSON without the template's name.
    pub fn to_json(&self) -> String {
        let json = match self {
            Self::Welcome => Ok("{}".to_owned()),
            Self::OrderConfirmed(confirmed) => serde_json::to_string(confirmed),
            Self::OrderCancelled(cancelled) => serde_json::to_string(cancelled),
            Self::LowStock(low) => serde_json::to_string(low),
        };
        json.expect("texts and numbers are always JSON")
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// When it is not of that template.
    pub fn from_json(template: Template, json: &str) -> serde_json::Result<Content<'static>> {
        Ok(match template {
            Template::Welcome => Content::Welcome,
            Template::OrderConfirmed => Content::OrderConfirmed(serde_json::from_str(json)?),
            Template::OrderCancelled => Content::OrderCancelled(serde_json::from_str(json)?),
            Template::LowStock => Content::LowStock(serde_json::from_str(json)?),
        })
    }
}

/// The `Message-ID` (RFC 5322, section 3.6.4): the same for every sending of the mail that `template` makes of `event`.
pub fn message_id(event: EventId, template: Template, domain: &str) -> String {
    format!("<{event}.{}@{domain}>", template.as_str())
}

/// Why an order was cancelled, to go after "because"; `None` where nobody is to be told.
pub const fn in_words(reason: CancelReason) -> Option<&'static str> {
    match reason {
        CancelReason::OutOfStock => Some("something in it is no longer in stock"),
        CancelReason::PaymentFailed => Some("the payment was declined"),
        CancelReason::PaymentTimeout => Some("the payment did not arrive in time"),
        CancelReason::Requested => Some("this was asked for"),
        CancelReason::UnknownOrder => None,
    }
}

/// An address as operators may see it: `a***@example.com`.
pub fn masked(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => {
            let first = local.chars().next().map(String::from).unwrap_or_default();
            format!("{first}***@{domain}")
        }
        None => "***".to_owned(),
    }
}

/// A text of other people's that can stand in a header, a line or a page: characters that would break the line or turn
/// the direction of writing (U+2028, U+2029 and the bidirectional controls of UAX #9 beside the control characters) are
/// blanks.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    if text.contains(is_harmful) { Cow::Owned(text.replace(is_harmful, " ")) } else { Cow::Borrowed(text) }
}

/// How long a mail waits after each of its attempts that did not settle it. Short at first, for a server that is only
/// busy or lets strangers wait (greylisting, some minutes); in all two days, for one that is full or misconfigured.
const RETRY_DELAYS: [Duration; 11] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(1),
    Duration::from_hours(2),
    Duration::from_hours(4),
    Duration::from_hours(8),
    Duration::from_hours(12),
    Duration::from_hours(20),
];

/// How long to wait after that many attempts; `None` when it was the last.
pub fn retry_after(attempts: i16) -> Option<Duration> {
    let index = usize::try_from(attempts).ok()?.checked_sub(1)?;
    RETRY_DELAYS.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_leads_back_to_its_template() {
        for template in Template::ALL {
            assert_eq!(Template::named(template.as_str()), Some(template));
        }
        assert_eq!(Template::named("order-created"), None);
    }

    #[test]
    fn content_survives_being_stored() {
        let low = Low { sku: Cow::Owned("A-1".parse().unwrap()), name: "Tea".into(), available: 2, threshold: 5 };
        let cancelled = Cancelled { reason: CancelReason::PaymentFailed };
        let total = Money::new(0, contracts::money::Currency::EUR).unwrap();
        let confirmed = Confirmed { lines: Cow::Owned(vec![]), total };
        for content in [
            Content::Welcome,
            Content::LowStock(low),
            Content::OrderCancelled(cancelled),
            Content::OrderConfirmed(confirmed),
        ] {
            assert_eq!(Content::from_json(content.template(), &content.to_json()).unwrap(), content);
        }
    }

    #[test]
    fn a_message_id_depends_on_event_template_and_domain_alone() {
        let event: EventId = "01990000-0000-7000-8000-000000000001".parse().unwrap();
        let id = message_id(event, Template::OrderConfirmed, "shop.example");
        assert_eq!(id, "<01990000-0000-7000-8000-000000000001.order-confirmed@shop.example>");
    }

    #[test]
    fn every_reason_but_one_has_words() {
        use CancelReason::*;
        for reason in [OutOfStock, PaymentFailed, PaymentTimeout, Requested] {
            assert!(in_words(reason).is_some());
        }
        assert_eq!(in_words(UnknownOrder), None);
    }

    #[test]
    fn addresses_are_masked() {
        for (address, expected) in [
            ("ada@example.com", "a***@example.com"),
            ("a@example.com", "a***@example.com"),
            ("\"x@y\"@example.com", "\"***@example.com"),
            ("ärger@example.com", "ä***@example.com"),
            ("@example.com", "***@example.com"),
            ("nonsense", "***"),
            ("", "***"),
        ] {
            assert_eq!(masked(address), expected);
        }
    }

    #[test]
    fn harmful_characters_become_blanks() {
        assert_eq!(harmless("Zoë O'Neill"), "Zoë O'Neill");
        assert_eq!(harmless("a\r\nBcc: b\0\u{85}\u{202E}c\u{2028}"), "a  Bcc: b   c ");
    }

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<_> = (1..).map_while(retry_after).collect();
        assert_eq!(waits.len(), RETRY_DELAYS.len());
        assert!(waits.is_sorted());
        assert_eq!(retry_after(0), None);
        assert_eq!(retry_after(12), None);
    }
}
