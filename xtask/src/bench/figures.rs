//! What comes out: figures beside their goals, for a person and as JSON.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Goal {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Goal::AtLeast(least) => value >= least,
            Goal::AtMost(most) => value <= most,
        }
    }

    fn shown(self) -> String {
        match self {
            Goal::AtLeast(least) => format!("≥ {least}"),
            Goal::AtMost(most) => format!("≤ {most}"),
        }
    }
}

/// Something that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Figure {
    /// By which measurement.
    measurement: String,
    /// What.
    figure: String,
    /// None where it could not be measured here.
    value: Option<f64>,
    unit: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    goal: Option<Goal>,
    /// Whether the goal is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
    /// What must be reached in any case, where the goal is a direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    floor: Option<f64>,
}

/// Everything that was measured, in that order.
#[derive(Debug, Default)]
pub(super) struct Figures {
    measurement: String,
    all: Vec<Figure>,
}

impl Figures {
    /// What follows belongs to this measurement.
    pub(super) fn begin(&mut self, measurement: &str) {
        measurement.clone_into(&mut self.measurement);
    }

    /// Notes a figure without a goal.
    pub(super) fn note(&mut self, figure: &str, value: impl Into<Option<f64>>, unit: &str) {
        self.add(figure, value.into(), unit, None, None);
    }

    /// Notes a figure and its goal.
    pub(super) fn judge(&mut self, figure: &str, value: impl Into<Option<f64>>, unit: &str, goal: Goal) {
        self.add(figure, value.into(), unit, Some(goal), None);
    }

    /// Notes a figure whose goal is a direction, and what it must be in any case.
    pub(super) fn judge_with_floor(&mut self, figure: &str, value: Option<f64>, unit: &str, goal: f64, floor: f64) {
        self.add(figure, value, unit, Some(Goal::AtLeast(goal)), Some(floor));
    }

    fn add(&mut self, figure: &str, value: Option<f64>, unit: &str, goal: Option<Goal>, floor: Option<f64>) {
        let value = value.filter(|value| value.is_finite()).map(rounded);
        let met = goal.zip(value).map(|(goal, value)| goal.is_met(value));
        let (measurement, figure, unit) = (self.measurement.clone(), figure.to_owned(), unit.to_owned());
        self.all.push(Figure { measurement, figure, value, unit, goal, met, floor });
    }

    /// Prints a table, with ratios to the figures of an earlier run.
    pub(super) fn print(&self, earlier: Option<&Figures>) {
        let mut measurement = "";
        for figure in &self.all {
            if figure.measurement != measurement {
                measurement = &figure.measurement;
                println!("\n{measurement}");
            }
            println!("{}", figure.row(earlier.and_then(|earlier| earlier.value(figure))));
        }
        println!();
    }

    fn value(&self, of: &Figure) -> Option<f64> {
        let same = |figure: &&Figure| figure.measurement == of.measurement && figure.figure == of.figure;
        self.all.iter().find(same)?.value
    }

    /// Writes them as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(&self.all)? + "\n";
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Reads those of an earlier run.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub(super) fn read(file: &Path) -> Result<Figures> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let all = serde_json::from_str(&text).with_context(|| format!("{} holds no figures", file.display()))?;
        Ok(Figures { measurement: String::new(), all })
    }
}

impl Figure {
    fn row(&self, then: Option<f64>) -> String {
        let value = self.value.map_or_else(|| "not measured".to_owned(), |value| format!("{value} {}", self.unit));
        let goal = self.goal.map(Goal::shown).unwrap_or_default();
        let verdict = match (self.met, self.floor.zip(self.value)) {
            (Some(true), _) => "met",
            (Some(false), Some((floor, value))) if value >= floor => "missed, above the floor",
            (Some(false), _) => "missed",
            (None, _) => "",
        };
        let then = then.filter(|then| *then != 0.0);
        let ratio = self.value.zip(then).map(|(now, then)| format!("× {:.2}", now / then)).unwrap_or_default();
        let row = format!("  {:58} {value:>18}  {goal:9} {verdict:8} {ratio}", self.figure);
        row.trim_end().to_owned()
    }
}

/// Three decimals below ten, one below a thousand, none above: more would pretend a precision that no figure has.
fn rounded(value: f64) -> f64 {
    let factor = match value.abs() {
        small if small < 10.0 => 1000.0,
        middling if middling < 1000.0 => 10.0,
        _ => 1.0,
    };
    (value * factor).round() / factor
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rate: f64) -> Figures {
        let mut figures = Figures::default();
        figures.begin("full");
        figures.judge_with_floor("orders", Some(rate), "/s", 4000.0, 1500.0);
        figures.judge("POST, p99", 3.123_456, "ms", Goal::AtMost(4.0));
        figures.note("processor", None, "s");
        figures
    }

    #[test]
    fn a_figure_stands_beside_its_goal_and_its_ratio() {
        let (now, then) = (figures(2000.04), figures(1000.0));
        let rows: Vec<String> = now.all.iter().map(|figure| figure.row(then.value(figure))).collect();
        let words = |row: &str| row.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&rows[0]), "orders 2000 /s ≥ 4000 missed, above the floor × 2.00");
        assert_eq!(words(&rows[1]), "POST, p99 3.123 ms ≤ 4 met × 1.00");
        assert_eq!(words(&rows[2]), "processor not measured");
        assert_eq!(words(&figures(1499.0).all[0].row(None)), "orders 1499 /s ≥ 4000 missed");
    }

    #[test]
    fn figures_come_back_from_a_file() {
        let file = std::env::temp_dir().join(format!("xtask-figures-{}", std::process::id()));
        figures(5000.0).write(&file).unwrap();
        assert_eq!(Figures::read(&file).unwrap().all, figures(5000.0).all);
        fs::write(&file, "{}").unwrap();
        assert!(Figures::read(&file).unwrap_err().to_string().contains("holds no figures"));
        fs::remove_file(&file).unwrap();
    }
}
