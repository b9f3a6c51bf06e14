//! The drawings, as SVG within the page: its colours are the page's, light or dark.

use std::fmt::Write as _;

use contracts::event::Service;
use messaging::topology::{EVENTS, dead_queue};

use super::super::entry::Entry;
use super::escaped;

/// The tip of every arrow.
const TIP: &str = "<defs><marker id=\"tip\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" \
    orient=\"auto-start-reverse\"><path class=\"tip\" d=\"M0 0L10 5L0 10z\"/></marker></defs>";

/// Who tells whom what: a lane for each service, and an arrow for each event.
pub(super) fn map(entries: &[Entry]) -> String {
    const ROW: usize = 38;
    const TOP: usize = 70;
    let lane =
        |service: Service| 66 + 214 * Service::ALL.iter().position(|known| *known == service).unwrap_or_default();
    let height = TOP + ROW * entries.len() + 10;
    let mut svg =
        start(560, height, "Every event as an arrow from the service that publishes it to those that read it");
    for service in Service::ALL {
        let x = lane(service);
        line(&mut svg, "lane", (x, 46), (x, height - 8));
        node(&mut svg, service.name(), (x - 60, 6), 120, service.name());
    }
    for (index, entry) in entries.iter().enumerate() {
        let (from, y) = (lane(entry.event.publisher), TOP + ROW * index + 16);
        let name = entry.event.name;
        let reached: Vec<usize> = entry.event.consumers.iter().map(|service| lane(*service)).collect();
        let far = reached.iter().copied().max_by_key(|x| x.abs_diff(from));
        put(&mut svg, &format!("<a href=\"events/{name}.html\">"));
        let label = match far {
            Some(far) => {
                let publisher = entry.event.publisher.name();
                line(&mut svg, &format!("arrow {publisher}"), (from, y), (far, y));
                for x in reached.iter().filter(|x| **x != far) {
                    put(&mut svg, &format!("<circle class=\"stop {publisher}\" cx=\"{x}\" cy=\"{y}\" r=\"5\"/>"));
                }
                let near = reached.iter().copied().min_by_key(|x| x.abs_diff(from)).unwrap_or(far);
                (from.midpoint(near), y - 7, "middle", name.to_owned())
            }
            None => (from + 14, y + 4, "start", name.to_owned()),
        };
        let publisher = entry.event.publisher.name();
        put(&mut svg, &format!("<circle class=\"dot {publisher}\" cx=\"{from}\" cy=\"{y}\" r=\"4.5\"/>"));
        let (x, y, anchor, text) = label;
        put(
            &mut svg,
            &format!(
                "<text class=\"event\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text></a>",
                escaped(&text)
            ),
        );
    }
    svg + "</svg>"
}

/// [`way`] from top to bottom, for narrow screens.
pub(super) fn tall(entry: &Entry, delays: &[String]) -> String {
    const READER: usize = 260;
    let height = 136 + READER * entry.readers.len();
    let mut svg = start(360, height, &format!("The way of {} over the broker", entry.event.name));
    let publisher = entry.event.publisher.name();
    node(&mut svg, publisher, (12, 8), 150, publisher);
    line(&mut svg, "arrow", (87, 48), (87, 84));
    node(&mut svg, "broker", (12, 84), 150, EVENTS);
    text(&mut svg, "note", (174, 108), "start", "exchange");
    if entry.readers.is_empty() {
        text(&mut svg, "note", (12, 132), "start", "Nobody is bound to it: it stays in the log.");
    }
    for (index, reader) in entry.readers.iter().enumerate() {
        let (y, service) = (140 + READER * index, reader.service.name());
        // each reader has a copy: the lines of the later ones pass by at the side
        let copy = match index {
            0 => format!("M87 124V{}", y + 10),
            _ => format!("M12 104H4V{}H12", y + 30),
        };
        arrow(&mut svg, "", &copy);
        node(&mut svg, "broker", (12, y + 10), 150, service);
        text(&mut svg, "note", (174, y + 20), "start", "queue");
        line(&mut svg, "arrow", (87, y + 50), (87, y + 102));
        node(&mut svg, service, (12, y + 102), 150, service);
        arrow(&mut svg, " faint", &format!("M162 {}H270V{}", y + 122, y + 94));
        node(&mut svg, "side", (186, y + 54), 168, &ladder(delays));
        arrow(&mut svg, " faint", &format!("M270 {}V{}H162", y + 54, y + 32));
        arrow(&mut svg, " faint", &format!("M87 {}V{}", y + 142, y + 190));
        text(&mut svg, "note", (98, y + 170), "start", "fails for good");
        node(&mut svg, "dead", (12, y + 190), 150, &dead_queue(reader.service));
    }
    // a mark within a drawing that is not shown is not drawn elsewhere either, so each drawing has its own
    svg.replace("#tip", "#tip-of-tall").replace("id=\"tip\"", "id=\"tip-of-tall\"") + "</svg>"
}

fn arrow(svg: &mut String, class: &str, way: &str) {
    put(svg, &format!("<path class=\"arrow{class}\" marker-end=\"url(#tip)\" d=\"{way}\"/>"));
}

/// What the retry ladder does, in few words.
fn ladder(delays: &[String]) -> String {
    match (delays.first(), delays.last()) {
        (Some(first), Some(last)) if first != last => format!("again after {first} … {last}"),
        (Some(only), _) => format!("again after {only}"),
        _ => "no retries".to_owned(),
    }
}

/// The way of one event: from its publisher over the exchange into the queue of each consumer, and what happens when it
/// cannot be handled.
pub(super) fn way(entry: &Entry, delays: &[String]) -> String {
    const ROW: usize = 150;
    const TOP: usize = 48;
    let rows = entry.readers.len().max(1);
    let height = if entry.readers.is_empty() { 110 } else { ROW * rows + 20 };
    let middle = TOP + ROW * (rows - 1) / 2;
    let mut svg = start(800, height, &format!("The way of {} over the broker", entry.event.name));
    let publisher = entry.event.publisher.name();
    node(&mut svg, publisher, (10, middle - 20), 120, publisher);
    node(&mut svg, "broker", (210, middle - 20), 130, EVENTS);
    line(&mut svg, "arrow", (130, middle), (210, middle));
    text(&mut svg, "note", (275, middle + 36), "middle", "exchange");
    if entry.readers.is_empty() {
        text(&mut svg, "note", (370, middle + 4), "start", "Nobody is bound to it: it stays in the publisher's log.");
    }
    for (index, reader) in entry.readers.iter().enumerate() {
        let (y, service) = (TOP + ROW * index, reader.service.name());
        arrow(&mut svg, "", &format!("M340 {middle}C385 {middle} 385 {y} 430 {y}"));
        node(&mut svg, "broker", (430, y - 20), 140, service);
        text(&mut svg, "note", (500, y - 26), "middle", "queue");
        line(&mut svg, "arrow", (570, y), (660, y));
        node(&mut svg, service, (660, y - 20), 130, service);
        arrow(&mut svg, " faint", &format!("M690 {}V{}H575", y + 20, y + 62));
        node(&mut svg, "side", (380, y + 44), 190, &ladder(delays));
        arrow(&mut svg, " faint", &format!("M460 {}V{}", y + 44, y + 22));
        arrow(&mut svg, " faint", &format!("M750 {}V{}", y + 20, y + 66));
        node(&mut svg, "dead", (640, y + 68), 150, &dead_queue(reader.service));
        text(&mut svg, "note", (632, y + 56), "middle", "fails");
    }
    svg + "</svg>"
}

fn start(width: usize, height: usize, title: &str) -> String {
    let title = escaped(title);
    format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>{TIP}")
}

fn put(svg: &mut String, part: &str) {
    svg.push_str(part);
}

fn line(svg: &mut String, class: &str, (x1, y1): (usize, usize), (x2, y2): (usize, usize)) {
    let tip = if class.starts_with("arrow") { " marker-end=\"url(#tip)\"" } else { "" };
    // writing to a text cannot fail
    let _ = write!(svg, "<path class=\"{class}\"{tip} d=\"M{x1} {y1}L{x2} {y2}\"/>");
}

fn text(svg: &mut String, class: &str, (x, y): (usize, usize), anchor: &str, words: &str) {
    let words = escaped(words);
    let _ = write!(svg, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{words}</text>");
}

/// A box with a name, 40 high.
fn node(svg: &mut String, class: &str, (x, y): (usize, usize), width: usize, name: &str) {
    let _ = write!(svg, "<rect class=\"box {class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"40\" rx=\"8\"/>");
    text(svg, "name", (x + width / 2, y + 25), "middle", name);
}
