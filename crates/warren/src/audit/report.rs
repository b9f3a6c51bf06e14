//! What is told of an audit: one line per check, then who breaks it.

use contracts::event::Service;
use serde_json::{Value, json};

use super::checks::Check;
use super::finding::Findings;
use crate::output::{self, Paint};

type Results = [(Check, Findings)];

/// Prints the results, and who is behind the first `show` of each.
///
/// # Errors
/// When standard output is closed.
pub(super) fn print(results: &Results, dead: &[(Service, u32)], show: usize, json: bool) -> anyhow::Result<()> {
    if json {
        return output::print_json(&value(results, dead, show));
    }
    Ok(output::print(&page(results, dead, show, Paint::stdout()))?)
}

fn value(results: &Results, dead: &[(Service, u32)], show: usize) -> Value {
    let check = |(check, found): &(Check, Findings)| {
        json!({"check": check.name(), "promise": check.promise(), "ok": found.count() == 0, "broken": found.count(),
               "offenders": found.first(show), "notes": found.notes()})
    };
    let dead = dead.iter().map(|(service, count)| (service.name().to_owned(), json!(count)));
    json!({
        "ok": results.iter().all(|(_, found)| found.count() == 0),
        "checks": results.iter().map(check).collect::<Vec<_>>(),
        "dead_letters": dead.collect::<serde_json::Map<_, _>>(),
    })
}

fn page(results: &Results, dead: &[(Service, u32)], show: usize, paint: Paint) -> String {
    let mut page = String::new();
    for (check, found) in results {
        let verdict = match found.count() {
            0 => paint.green("ok"),
            broken => paint.red(&format!("{broken} broken")),
        };
        page += &format!("{:<13} {}: {verdict}\n", check.name(), check.promise());
        for offender in found.first(show) {
            let consumer = offender.consumer.map_or_else(String::new, |consumer| format!(" (to {consumer})"));
            page += &format!("              {} {}{consumer}: {}\n", offender.kind, offender.id, offender.detail);
        }
        let more = found.count() - found.first(show).len() as u64;
        if more > 0 {
            page += &format!("              and {more} more\n");
        }
        for note in found.notes() {
            page += &format!("              {}\n", paint.dim(note));
        }
    }
    for (service, count) in dead {
        page += &paint.yellow(&format!("{count} dead letters of {service}: warren dlq list --queue {service}"));
        page.push('\n');
    }
    page
}

#[cfg(test)]
mod tests {
    use super::super::finding::Offender;
    use super::*;

    #[test]
    fn each_check_is_a_line_and_offenders_follow() {
        let mut broken = Findings::default();
        for id in 1..=3 {
            let consumer = Some(Service::Inventory.name());
            broken.add(Offender { consumer, ..Offender::new("event", id, "has not arrived") });
        }
        let results = [(Check::Delivery, broken), (Check::Stock, Findings::default())];
        let dead = [(Service::Email, 2)];
        let page = page(&results, &dead, 2, Paint::on(false));
        let lines: Vec<&str> = page.lines().collect();
        assert!(lines[0].starts_with("delivery ") && lines[0].ends_with(": 3 broken"), "{page}");
        assert_eq!(lines[1].trim(), "event 1 (to inventory): has not arrived");
        assert_eq!(lines[3].trim(), "and 1 more");
        assert!(lines[4].starts_with("stock ") && lines[4].ends_with(": ok"), "{page}");
        assert_eq!(lines[5], "2 dead letters of email: warren dlq list --queue email");
        let value = value(&results, &dead, 2);
        assert_eq!((&value["ok"], &value["checks"][0]["broken"]), (&json!(false), &json!(3)));
        assert_eq!(value["checks"][0]["offenders"][1]["consumer"], "inventory");
        assert_eq!(value["dead_letters"], json!({"email": 2}));
    }
}
