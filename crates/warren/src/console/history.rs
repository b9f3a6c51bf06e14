//! What the figures were: every two seconds of the last quarter of an hour, every minute of the last day. The memory for it
//! is fixed: some 300 KiB.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The series. What ends in `_per_second` is averaged over a minute, of the others the largest value is kept.
pub(super) const SERIES: [&str; 23] = [
    "placed_per_second",
    "completed_per_second",
    "mails_per_second",
    "failures_per_second",
    "completion_p95",
    "latency_p95",
    "stuck",
    "behind",
    "depth_order",
    "depth_inventory",
    "depth_email",
    "retrying_order",
    "retrying_inventory",
    "retrying_email",
    "dead_order",
    "dead_inventory",
    "dead_email",
    "age_order",
    "age_inventory",
    "age_email",
    "outbox_order",
    "outbox_inventory",
    "oldest",
];

/// How many points are kept, and how many of the fine ones make a coarse one.
const FINE: usize = 450;
const COARSE: usize = 1440;
const FINE_PER_COARSE: usize = 30;

/// Which part of the history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Range {
    /// The last quarter of an hour.
    #[default]
    Minutes,
    /// The last day.
    Day,
}

/// All series at one moment; what is not known is NaN.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    at: i64,
    values: [f32; SERIES.len()],
}

impl Point {
    /// Nothing is known yet of that moment, which is in milliseconds.
    pub(super) fn at(at: i64) -> Self {
        Self { at, values: [f32::NAN; SERIES.len()] }
    }

    /// Notes a value.
    pub(super) fn set(&mut self, series: &str, value: Option<f64>) {
        let at = SERIES.iter().position(|known| *known == series);
        debug_assert!(at.is_some(), "{series} is no series");
        if let (Some(at), Some(value)) = (at, value) {
            self.values[at] = value as f32;
        }
    }

    /// A value, if it is known.
    #[cfg(test)]
    pub(super) fn get(&self, series: &str) -> Option<f64> {
        let at = SERIES.iter().position(|known| *known == series)?;
        Some(f64::from(self.values[at])).filter(|value| value.is_finite())
    }
}

/// The points.
#[derive(Debug, Default)]
pub(super) struct History {
    fine: VecDeque<Point>,
    coarse: VecDeque<Point>,
    minute: Vec<Point>,
}

impl History {
    /// Adds a point; the oldest goes.
    pub(super) fn add(&mut self, point: Point) {
        push(&mut self.fine, point, FINE);
        self.minute.push(point);
        if self.minute.len() == FINE_PER_COARSE {
            push(&mut self.coarse, together(&self.minute), COARSE);
            self.minute.clear();
        }
    }

    /// The points after `since`, series by series.
    pub(super) fn value(&self, range: Range, since: i64) -> Value {
        let points = match range {
            Range::Minutes => &self.fine,
            Range::Day => &self.coarse,
        };
        let points: Vec<&Point> = points.iter().filter(|point| point.at > since).collect();
        let mut series = Map::new();
        series.insert("at".to_owned(), points.iter().map(|point| json!(point.at)).collect());
        for (index, name) in SERIES.iter().enumerate() {
            let values = points.iter().map(|point| Some(point.values[index]).filter(|value| value.is_finite()));
            series.insert((*name).to_owned(), values.map(|value| json!(value)).collect());
        }
        Value::Object(series)
    }
}

fn push(points: &mut VecDeque<Point>, point: Point, most: usize) {
    if points.len() == most {
        points.pop_front();
    }
    points.push_back(point);
}

fn together(points: &[Point]) -> Point {
    let mut whole = Point::at(points.last().map_or(0, |point| point.at));
    for (index, name) in SERIES.iter().enumerate() {
        let known: Vec<f32> =
            points.iter().map(|point| point.values[index]).filter(|value| value.is_finite()).collect();
        if !known.is_empty() {
            whole.values[index] = match name.ends_with("_per_second") {
                true => known.iter().sum::<f32>() / known.len() as f32,
                false => known.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            };
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_a_minute_keeps_what_matters() {
        let mut history = History::default();
        for number in 0..(FINE_PER_COARSE * (COARSE + 3)) as i64 {
            let mut point = Point::at(number * 2000);
            point.set("placed_per_second", Some((number % 30) as f64));
            point.set("stuck", (number % 30 == 7).then_some(9.0));
            history.add(point);
        }
        assert_eq!((history.fine.len(), history.coarse.len(), history.minute.len()), (FINE, COARSE, 0));
        let minute = history.coarse.back().unwrap();
        assert_eq!(
            (minute.get("placed_per_second"), minute.get("stuck"), minute.get("behind")),
            (Some(14.5), Some(9.0), None)
        );
    }

    #[test]
    fn a_page_asks_for_what_it_does_not_have() {
        let mut history = History::default();
        for at in [1000, 3000, 5000] {
            let mut point = Point::at(at);
            point.set("depth_order", Some(at as f64));
            history.add(point);
        }
        let value = history.value(Range::Minutes, 1000);
        assert_eq!(value["at"], json!([3000, 5000]));
        assert_eq!(value["depth_order"], json!([3000.0, 5000.0]));
        assert_eq!(value["stuck"], json!([null, null]));
        assert_eq!(history.value(Range::Day, 0)["at"], json!([]));
    }
}
