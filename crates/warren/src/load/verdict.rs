//! Is the result right? Pure functions from what was found to what is wrong.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use uuid::Uuid;

use super::place::Placed;
use super::settle::{Mail, Seen};

/// How many examples are named of what is wrong.
const EXAMPLES: usize = 3;

/// Something that must hold, and whether it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What must hold.
    pub(super) name: &'static str,
    /// Whether it does.
    pub(super) ok: bool,
    /// What does not, with a few examples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
}

impl Check {
    fn of(name: &'static str, wrong: Option<String>) -> Self {
        Self { name, ok: wrong.is_none(), detail: wrong }
    }

    /// Fails for each of `wrong`, naming the first few.
    fn none(name: &'static str, wrong: &[impl ToString]) -> Self {
        let examples: Vec<String> = wrong.iter().take(EXAMPLES).map(ToString::to_string).collect();
        let more = if wrong.len() > EXAMPLES { ", …" } else { "" };
        Self::of(name, (!wrong.is_empty()).then(|| format!("{}: {}{more}", wrong.len(), examples.join(", "))))
    }
}

/// All checks. Without an email service there are no mails to look at.
pub(super) fn checks(placed: &Placed, seen: &[Seen], mails: Option<&[Mail]>, stock: &[String]) -> Vec<Check> {
    let mut checks = vec![answered(placed)];
    checks.extend(exist_once(placed, seen));
    let open: Vec<Uuid> = seen.iter().filter(|order| !order.is_final()).map(|order| order.id).collect();
    checks.push(Check::none("every order is final", &open));
    checks.push(Check::none("stock adds up, and nothing stays reserved", stock));
    if let Some(mails) = mails {
        checks.push(mailed(seen, mails));
    }
    checks
}

fn answered(placed: &Placed) -> Check {
    let refused: Vec<String> = placed.refused.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let unanswered = (placed.unanswered > 0).then(|| format!("{} unanswered", placed.unanswered));
    let wrong: Vec<String> = refused.into_iter().chain(unanswered).collect();
    Check::of("every order was accepted", (!wrong.is_empty()).then(|| wrong.join(", ")))
}

fn exist_once(placed: &Placed, seen: &[Seen]) -> [Check; 2] {
    let there: HashSet<Uuid> = seen.iter().map(|order| order.id).collect();
    let accepted: HashSet<Uuid> = placed.accepted.iter().copied().collect();
    let lost: Vec<Uuid> = accepted.difference(&there).copied().collect();
    let mut extra: Vec<Uuid> = there.difference(&accepted).copied().collect();
    // those that were given up may have been placed all the same, once each
    extra.truncate(extra.len().saturating_sub(placed.unanswered as usize));
    let mut seen_ids = HashSet::new();
    extra.extend(placed.accepted.iter().filter(|id| !seen_ids.insert(**id)));
    [Check::none("every accepted order exists", &lost), Check::none("no order was placed twice", &extra)]
}

fn mailed(seen: &[Seen], mails: &[Mail]) -> Check {
    let mut of_order: HashMap<Uuid, Vec<&Mail>> = HashMap::new();
    for mail in mails {
        if let Some(order_id) = mail.order_id {
            of_order.entry(order_id).or_default().push(mail);
        }
    }
    let wrong = |order: &Seen| {
        let due = order.due_mail()?;
        let found = of_order.get(&order.id).map_or(&[][..], Vec::as_slice);
        match found {
            [mail] if mail.template == due && mail.status == "sent" => None,
            [] => Some(format!("{} has none", order.id)),
            [mail] => Some(format!("{} has {}, {}", order.id, mail.template, mail.status)),
            _ => Some(format!("{} has {}", order.id, found.len())),
        }
    };
    let wrong: Vec<String> = seen.iter().filter_map(wrong).collect();
    Check::none("every final order has exactly one mail, and it is sent", &wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: Uuid, status: &str) -> Seen {
        let at = chrono::Utc::now();
        Seen {
            id,
            customer_id: id,
            status: status.to_owned(),
            lines: Vec::new(),
            cancel_reason: None,
            created_at: at,
            updated_at: at,
        }
    }

    fn mail(order: Uuid, template: &str, status: &str) -> Mail {
        Mail { order_id: Some(order), template: template.to_owned(), status: status.to_owned(), sent_at: None }
    }

    fn failed(placed: &Placed, seen: &[Seen], mails: Option<&[Mail]>) -> Vec<&'static str> {
        checks(placed, seen, mails, &[]).into_iter().filter(|check| !check.ok).map(|check| check.name).collect()
    }

    #[test]
    fn a_good_run_passes() {
        let ids: Vec<Uuid> = (0..2).map(|_| Uuid::now_v7()).collect();
        let placed = Placed { accepted: ids.clone(), ..Placed::default() };
        let seen = [order(ids[0], "confirmed"), order(ids[1], "cancelled")];
        let mails = [mail(ids[0], "order-confirmed", "sent"), mail(ids[1], "order-cancelled", "sent")];
        assert_eq!(failed(&placed, &seen, Some(&mails)), [""; 0]);
    }

    #[test]
    fn each_broken_promise_is_told() {
        let ids: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
        let placed = Placed { accepted: vec![ids[0], ids[1]], ..Placed::default() };
        let both = [order(ids[0], "confirmed"), order(ids[1], "pending")];
        assert_eq!(failed(&placed, &both[..1], None), ["every accepted order exists"]);
        assert_eq!(failed(&placed, &both, None), ["every order is final"]);
        let three = [order(ids[0], "confirmed"), order(ids[1], "confirmed"), order(ids[2], "confirmed")];
        assert_eq!(failed(&placed, &three, None), ["no order was placed twice"]);
        let given_up = Placed { accepted: vec![ids[0], ids[1]], unanswered: 1, ..Placed::default() };
        assert_eq!(failed(&given_up, &three, None), ["every order was accepted"]);
        let same_answer_twice = Placed { accepted: vec![ids[0], ids[0]], ..Placed::default() };
        assert_eq!(failed(&same_answer_twice, &three[..1], None), ["no order was placed twice"]);
    }

    #[test]
    fn mails_are_counted() {
        let id = Uuid::now_v7();
        let placed = Placed { accepted: vec![id], ..Placed::default() };
        let seen = [order(id, "confirmed")];
        for wrong in [
            vec![],
            vec![mail(id, "order-cancelled", "sent")],
            vec![mail(id, "order-confirmed", "in-doubt")],
            vec![mail(id, "order-confirmed", "sent"), mail(id, "order-confirmed", "sent")],
        ] {
            assert_eq!(
                failed(&placed, &seen, Some(&wrong)),
                ["every final order has exactly one mail, and it is sent"]
            );
        }
    }

    #[test]
    fn only_a_few_examples_are_named() {
        let check = Check::none("x", &[1, 2, 3, 4]);
        assert_eq!(check.detail.as_deref(), Some("4: 1, 2, 3, …"));
    }
}
