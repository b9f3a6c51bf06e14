//! The timeline as a picture for people. Pure.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use contracts::event::Service;

use super::lanes::{self, Lanes};
use super::story::{Item, Story};
use crate::output::{self, Paint};
use crate::stuck;

/// Before the lanes: the time of day, and the time since the line before.
const TIMES: usize = 12 + 10 + 2;

/// What the lines cannot be narrower than: below it a terminal has to break them.
const NARROWEST_TEXT: usize = 20;

impl Story {
    /// The picture, for a terminal of that width if it is one.
    pub(super) fn page(&self, now: DateTime<Utc>, paint: Paint, width: Option<usize>) -> String {
        let text_width = width.map(|width| width.saturating_sub(TIMES + lanes::WIDTH).max(NARROWEST_TEXT));
        let mut page = Page { paint, text_width, before: None, text: String::new() };
        let first = self.items.first().map_or(now, |item| item.told.at);
        let status = self.now.status.as_deref().unwrap_or("status unknown");
        let placed = first.to_rfc3339_opts(SecondsFormat::Millis, true);
        page.text += &format!("order {}  {placed}  {}\n\n", self.order, output::coloured(status, status, paint));
        page.text += &format!("{:TIMES$}{}\n", "", paint.dim(&Lanes::heading()));
        for item in &self.items {
            page.line(item.told.at, &Lanes::step(item), &words(item), item.is_open());
        }
        let open = self.standing();
        let summary = match (open.is_empty(), self.now.partial) {
            (false, _) => format!("here: {status}"),
            (true, true) => format!("{status}; who did not answer may know more"),
            (true, false) => format!("{status}: nothing is open"),
        };
        let is_open = !open.is_empty() || self.now.partial;
        page.line(now, &Lanes::here(self.place(), is_open), &summary, is_open);
        for reason in open {
            let lines = output::wrapped(&reason, width.map(|width| width.saturating_sub(2).max(NARROWEST_TEXT)));
            page.text += &format!("\n{}\n", paint.yellow(&lines.join("\n  ")));
        }
        page.text
    }

    /// In whose lane the order is: whoever is waited for.
    fn place(&self) -> Service {
        let stuck = self.now.stuck.iter().find_map(|item| match item.waits_for.as_str() {
            "mail server" | "recipient" => Some(Service::Email),
            _ => stuck::awaited(item),
        });
        let undelivered =
            || self.items.iter().flat_map(|item| &item.deliveries).find(|delivery| delivery.state != "done");
        let pending = || (self.now.status.as_deref() == Some("pending")).then_some(Service::Inventory);
        let mail = || self.open_mail().map(|_| Service::Email);
        stuck
            .or_else(|| undelivered().map(|delivery| delivery.consumer))
            .or_else(pending)
            .or_else(mail)
            .unwrap_or(Service::Order)
    }
}

/// A page that is being written.
struct Page {
    paint: Paint,
    text_width: Option<usize>,
    before: Option<DateTime<Utc>>,
    text: String,
}

impl Page {
    fn line(&mut self, at: DateTime<Utc>, lanes: &Lanes, words: &str, open: bool) {
        let since = self.before.map_or_else(String::new, |before| since(at - before));
        if self.before.is_some_and(|before| before.date_naive() != at.date_naive()) {
            self.text += &format!("{}\n", self.paint.dim(&at.format("%Y-%m-%d").to_string()));
        }
        self.before = Some(at);
        let time = at.format("%H:%M:%S%.3f").to_string();
        let mut times = format!("{time}{since:>10}  ");
        let mut lanes = lanes.text(self.paint);
        for words in output::wrapped(words, self.text_width) {
            let words = if open { self.paint.yellow(&words) } else { words };
            let line = format!("{times}{lanes}{words}");
            self.text += line.trim_end();
            self.text.push('\n');
            times = format!("{:TIMES$}", "");
            lanes = Lanes::idle().text(self.paint);
        }
    }
}

/// What happened: an event by its name, anything else by its kind; and who has not taken it.
fn words(item: &Item) -> String {
    let told = &item.told;
    let what = match told.kind.as_str() {
        "event" => told.detail.clone(),
        kind => format!("{kind}  {}", told.detail),
    };
    match item.not_taken() {
        open if open.is_empty() => what,
        open => format!("{what}  {open}"),
    }
}

/// `+0.012s`; clocks of different databases may differ by a little, so it may be negative.
fn since(span: TimeDelta) -> String {
    let sign = if span < TimeDelta::zero() { '-' } else { '+' };
    format!("{sign}{}", output::duration(span.abs().to_std().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use contracts::event::Event;
    use contracts::order::{OrderConfirmed, OrderCreated};
    use uuid::Uuid;

    use super::super::story::{Delivery, Now, Told};
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn item(service: Service, time: &str, kind: &str, detail: &str, deliveries: &[(Service, &str)]) -> Item {
        let event_id = (kind == "event").then(Uuid::nil);
        let told = Told { at: at(time), kind: kind.to_owned(), event_id, detail: detail.to_owned() };
        let deliveries =
            deliveries.iter().map(|(consumer, state)| Delivery { consumer: *consumer, state: (*state).to_owned() });
        Item { deliveries: deliveries.collect(), ..Item::new(service, told) }
    }

    fn story(items: Vec<Item>, status: &str) -> Story {
        Story::new(Uuid::nil(), items, Now { status: Some(status.to_owned()), ..Now::default() })
    }

    #[test]
    fn a_picture_has_a_lane_per_service_and_the_time_between() {
        let created = item(
            Service::Order,
            "2026-01-02T03:04:05.5Z",
            "event",
            OrderCreated::TYPE,
            &[(Service::Inventory, "done")],
        );
        let held = item(Service::Inventory, "2026-01-02T03:04:05.512Z", "reservation-held", "2 tea", &[]);
        let told = [(Service::Inventory, "failed"), (Service::Email, "unknown")];
        let confirmed = item(Service::Order, "2026-01-02T03:04:05.6Z", "event", OrderConfirmed::TYPE, &told);
        let page = story(vec![created, held, confirmed], "confirmed").page(
            at("2026-01-02T03:07:17.6Z"),
            Paint::on(false),
            None,
        );
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines[0], "order 00000000-0000-0000-0000-000000000000  2026-01-02T03:04:05.500Z  confirmed");
        assert_eq!(lines[2], "                        order     inventory email");
        assert_eq!(lines[3], "03:04:05.500              ●─────────▶         │   order.created");
        assert_eq!(lines[4], "03:04:05.512   +0.012s    │         ●         │   reservation-held  2 tea");
        assert_eq!(
            lines[5],
            "03:04:05.600   +0.088s    ●─────────✗┄┄┄┄┄┄┄┄┄▷   order.confirmed  dead letter of inventory, not yet in email"
        );
        assert_eq!(lines[6], "03:07:17.600   +3m 12s    │         ◉         │   here: confirmed");
        assert!(page.contains("order.confirmed is a dead letter of inventory: warren dlq show 0000"), "{page}");
        assert!(page.ends_with("order.confirmed has not taken effect in email\n"), "{page}");
    }

    #[test]
    fn a_narrow_terminal_breaks_words_and_keeps_the_lanes() {
        let held = item(
            Service::Inventory,
            "2026-01-02T03:04:05Z",
            "reservation-held",
            "2 tea, 3 hay-bale, 1 burrow-lamp",
            &[],
        );
        let page = story(vec![held], "reserved").page(at("2026-01-03T03:04:05Z"), Paint::on(false), Some(80));
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines[3], "03:04:05.000              │         ●         │   reservation-held  2 tea, 3");
        assert_eq!(lines[4], "                          │         │         │   hay-bale, 1 burrow-lamp");
        assert_eq!(lines[5], "2026-01-03");
        assert!(page.ends_with("waits for its payment\n"), "{page}");
    }

    #[test]
    fn an_order_of_which_nothing_is_open_is_said_to_be_so() {
        let confirmed =
            item(Service::Order, "2026-01-02T03:04:05Z", "event", OrderCreated::TYPE, &[(Service::Inventory, "done")]);
        let page = story(vec![confirmed], "confirmed").page(at("2026-01-02T03:04:06Z"), Paint::on(false), None);
        assert!(page.ends_with("◉         │         │   confirmed: nothing is open\n"), "{page}");
    }
}
