//! What goes to standard output: lines, tables, JSON. Nothing else does; progress and errors go to standard error.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{Table, presets};
use serde::Serialize;

/// Writes one line, or several, with a newline at the end.
///
/// # Errors
/// When standard output is closed, which [`crate::failure::report`] takes for the end of the reader's interest.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Writes a value as indented JSON.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print(&serde_json::to_string_pretty(value)?)?)
}

/// Columns under their headings, without lines: easy to read and to cut. On a terminal that is too narrow the last column
/// is broken into several lines; where too little would be left of it, it goes below its row.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    fitted(headings, rows.into_iter().collect(), width())
}

/// What the last column needs at least to stand beside the others.
const NARROWEST_COLUMN: usize = 24;

fn fitted<const N: usize>(headings: [&str; N], rows: Vec<[String; N]>, width: Option<usize>) -> String {
    let whole = columns(headings.map(str::to_uppercase).into(), rows.iter().cloned().map(Vec::from));
    let widest = whole.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let Some(width) = width.filter(|width| *width < widest && N > 1) else { return join(&whole) };
    let mut headings = headings.map(str::to_uppercase).to_vec();
    let last_heading = headings.pop().unwrap_or_default();
    let lasts: Vec<&String> = rows.iter().filter_map(|row| row.last()).collect();
    let others = columns(headings, rows.iter().map(|row| row[..N - 1].to_vec()));
    let indent = others.iter().map(|line| line.chars().count()).max().unwrap_or_default() + 2;
    let mut lines = Vec::new();
    let mut others = others.into_iter();
    let beside = width >= indent + NARROWEST_COLUMN;
    if !beside && width + 2 < indent {
        // the others do not fit either: a terminal breaks such lines as well as we could
        return join(&whole);
    }
    let heading = others.next().unwrap_or_default();
    lines.push(if beside { format!("{heading:<indent$}{last_heading}") } else { heading });
    for (line, last) in others.zip(lasts) {
        if beside {
            let parts = wrapped(last, Some(width - indent));
            let starts = std::iter::once(line).chain(std::iter::repeat(String::new()));
            lines.extend(starts.zip(parts).map(|(start, part)| format!("{start:<indent$}{part}")));
        } else {
            lines.push(line);
            lines.extend(wrapped(last, Some(width.saturating_sub(4))).into_iter().map(|part| format!("    {part}")));
        }
    }
    join(&lines)
}

fn join(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The lines of a table; cells are as wide as the widest of their column.
fn columns(headings: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings);
    for row in rows {
        table.add_row(row);
    }
    // the padding of the first and the last column would be blanks around
    table.to_string().lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()).collect()
}

/// How wide the terminal is on which people read what we print; none where it goes elsewhere.
pub(crate) fn width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0)
}

/// A text broken between words into lines of at most that width; a longer word stays whole, so that it can be copied.
pub(crate) fn wrapped(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return vec![text.to_owned()] };
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(' ') {
        let line = lines.last_mut().expect("there is always one");
        if !line.is_empty() && line.chars().count() + word.trim_end().chars().count() > width {
            lines.push(word.to_owned());
        } else {
            line.push_str(word);
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// A text about an order of that status, in the status's colour.
pub(crate) fn coloured(text: &str, status: &str, paint: Paint) -> String {
    match status {
        "confirmed" => paint.green(text),
        "cancelled" => paint.red(text),
        _ => paint.yellow(text),
    }
}

/// A span of time in its two largest units, which is what people remember: `3m 12s`; below a minute with milliseconds.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.3}s", duration.as_secs_f64()),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Colours, where a person sees them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    /// Colours if that stream is a terminal and `NO_COLOR` is not set (<https://no-color.org>).
    pub(crate) fn on(terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(terminal && !refused)
    }

    /// Colours for standard output.
    pub(crate) fn stdout() -> Self {
        Self::on(io::stdout().is_terminal())
    }

    /// Something wrong.
    pub(crate) fn red(self, text: &str) -> String {
        self.code("31", text)
    }

    /// Something right.
    pub(crate) fn green(self, text: &str) -> String {
        self.code("32", text)
    }

    /// Something under way.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.code("33", text)
    }

    /// Something that matters less.
    pub(crate) fn dim(self, text: &str) -> String {
        self.code("2", text)
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_plain_columns() {
        let text = table(["id", "note"], [["1".to_owned(), "one".to_owned()], ["22".to_owned(), String::new()]]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("ID") && lines[0].ends_with("NOTE"));
        assert_eq!(lines[2], "22");
    }

    #[test]
    fn a_narrow_terminal_breaks_the_last_column() {
        let rows = || vec![["1".to_owned(), "one and two and three and four and five".to_owned()]];
        assert_eq!(fitted(["id", "note"], rows(), Some(80)), fitted(["id", "note"], rows(), None));
        let narrow = "ID  NOTE\n1   one and two and three and\n    four and five\n";
        assert_eq!(fitted(["id", "note"], rows(), Some(30)), narrow);
        let below = "ID\n1\n    one and two and\n    three and four\n    and five\n";
        assert_eq!(fitted(["id", "note"], rows(), Some(19)), below);
    }

    #[test]
    fn durations_have_two_units() {
        let told = [0, 59, 60, 3_599, 3_600, 90_061].map(|seconds| duration(Duration::from_secs(seconds)));
        assert_eq!(told, ["0.000s", "59.000s", "1m 0s", "59m 59s", "1h 0m", "1d 1h"]);
    }

    #[test]
    fn colours_only_where_wanted() {
        assert_eq!(Paint(false).red("x"), "x");
        assert_eq!(Paint(true).red("x"), "\x1b[31mx\x1b[0m");
    }
}
