//! The services' logs, put together.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::services::Program;
use crate::{interrupt, supervisor};

/// Reads what is new in the logs and prints it line by line, each with the name of its service once.
pub(crate) struct Follower {
    sources: BTreeMap<Program, Source>,
    colour: bool,
}

struct Source {
    file: PathBuf,
    position: u64,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
}

impl Follower {
    /// Follows the logs of these services from their beginning.
    pub(crate) fn new(dir: &Path, programs: &[Program]) -> Follower {
        let source = |program| Source { file: supervisor::log(dir, program), position: 0, rest: Vec::new() };
        let sources = programs.iter().map(|program| (*program, source(*program))).collect();
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Follower { sources, colour }
    }

    /// Prints what has come since the last time, in the order of the lines' times.
    ///
    /// # Errors
    /// When nobody reads what is printed any more, or a log cannot be read.
    pub(crate) fn print_new(&mut self) -> io::Result<()> {
        let mut new = Vec::new();
        for (service, source) in &mut self.sources {
            new.push((*service, source.read_new()?));
        }
        let mut out = io::stdout().lock();
        for (service, line) in merge(new) {
            writeln!(out, "{}", shown(service, &line, self.colour))?;
        }
        out.flush()
    }
}

/// The columns of a line as a service writes it for people: time, level, its own name, and the rest.
fn parts<'a>(name: &str, line: &'a str) -> Option<[&'a str; 4]> {
    time_of_day(line)?;
    let (time, rest) = line.split_at_checked(12)?;
    let (level, rest) = rest.split_at_checked(6)?;
    let (service, rest) = rest.split_at_checked(10)?;
    (service.trim() == name).then_some([time, level, service, rest])
}

/// A line that names its service itself stays as it is but for colours; any other gets the name in front.
fn shown(program: Program, line: &str, colour: bool) -> String {
    let (name, own) = (program.name(), 34 + program as u8);
    let paint = |code: u8, text: &str| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let Some([time, level, written, rest]) = parts(name, line) else {
        return format!("{} | {line}", paint(own, &format!("{name:9}")));
    };
    let loudness = match level.trim() {
        "ERROR" => 31,
        "WARN" => 33,
        _ => 32,
    };
    // what only programs follow
    let (told, id) = rest.split_at(rest.find(" correlation_id=").unwrap_or(rest.len()));
    let id = if id.is_empty() { String::new() } else { paint(2, id) };
    format!("{}{}{}{told}{id}", paint(2, time), paint(loudness, level), paint(own, written))
}

impl Source {
    fn read_new(&mut self) -> io::Result<Vec<String>> {
        let mut file = match File::open(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => file?,
        };
        if file.metadata()?.len() < self.position {
            // The system was started anew.
            self.position = 0;
            self.rest.clear();
        }
        file.seek(SeekFrom::Start(self.position))?;
        self.position += file.read_to_end(&mut self.rest)? as u64;
        let complete = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = self.rest.split_off(complete);
        let text = std::mem::replace(&mut self.rest, rest);
        Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
    }
}

/// Puts the lines of several logs into one order, each log keeping its own. A line without a time follows the one
/// before it.
fn merge(logs: Vec<(Program, Vec<String>)>) -> Vec<(Program, String)> {
    let mut logs: Vec<_> = logs.into_iter().map(|(service, lines)| (service, lines.into_iter().peekable())).collect();
    let mut merged = Vec::new();
    loop {
        let mut first: Option<(usize, u32)> = None;
        for (at, (_, lines)) in logs.iter_mut().enumerate() {
            let Some(line) = lines.peek() else { continue };
            let time = time_of_day(line).unwrap_or_default();
            if first.is_none_or(|(_, earliest)| is_earlier(time, earliest)) {
                first = Some((at, time));
            }
        }
        let Some((at, _)) = first else { return merged };
        let (service, lines) = &mut logs[at];
        merged.extend(lines.next().map(|line| (*service, line)));
        while let Some(line) = lines.next_if(|line| time_of_day(line).is_none()) {
            merged.push((*service, line));
        }
    }
}

const DAY: u32 = 24 * 60 * 60 * 1000;

/// Whether one time of day comes before another, midnight being between them if that makes them neighbours.
fn is_earlier(one: u32, other: u32) -> bool {
    one != other && (DAY + other - one) % DAY < DAY / 2
}

/// The time of day in a line, in milliseconds: `03:04:05.678` or an RFC 3339 time, at its beginning or as the first
/// field of a JSON object.
fn time_of_day(line: &str) -> Option<u32> {
    let line = line.trim_start().trim_start_matches("{\"timestamp\":\"");
    let time = line.split([' ', '"']).next()?;
    let time = time.rsplit('T').next()?.trim_end_matches('Z');
    let mut parts = time.split(':');
    let (hours, minutes) = (parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?);
    let (seconds, fraction) = parts.next()?.split_once('.').unwrap_or((time.get(6..8)?, "0"));
    let seconds = seconds.parse::<u32>().ok()?;
    let milliseconds = format!("{fraction:0<3}").get(..3)?.parse::<u32>().ok()?;
    (hours < 24 && minutes < 60 && seconds < 61)
        .then_some(((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds)
}

/// Prints the logs of the services, and goes on with what comes if asked, until interrupted.
///
/// # Errors
/// When a log cannot be read.
pub(crate) fn print(dir: &Path, programs: &[Program], follow: bool) -> Result<()> {
    if follow {
        interrupt::listen()?;
    }
    if programs.iter().all(|program| fs::metadata(supervisor::log(dir, *program)).is_err()) {
        anyhow::bail!("there are no logs: `cargo xtask up` has not been here");
    }
    let mut follower = Follower::new(dir, programs);
    loop {
        match follower.print_new() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            printed => printed?,
        }
        if !follow || interrupt::pause(Duration::from_millis(200)).is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_once_and_whole() {
        let file = std::env::temp_dir().join(format!("xtask-log-{}", std::process::id()));
        let mut source = Source { file: file.clone(), position: 0, rest: Vec::new() };
        assert!(source.read_new().unwrap().is_empty());
        fs::write(&file, "one\ntw").unwrap();
        assert_eq!(source.read_new().unwrap(), ["one"]);
        fs::write(&file, "one\ntwo\nthree\n").unwrap();
        assert_eq!(source.read_new().unwrap(), ["two", "three"]);
        fs::write(&file, "new\n").unwrap();
        assert_eq!(source.read_new().unwrap(), ["new"]);
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn the_time_of_a_line() {
        let time = Some((((3 * 60) + 4) * 60 + 5) * 1000);
        assert_eq!(time_of_day("03:04:05.678  INFO order x"), time.map(|time| time + 678));
        assert_eq!(time_of_day("03:04:05 INFO"), time);
        assert_eq!(time_of_day("2026-01-02T03:04:05.678901Z  INFO x"), time.map(|time| time + 678));
        assert_eq!(time_of_day("{\"timestamp\":\"2026-01-02T03:04:05Z\",\"l\":1}"), time);
        for line in ["  at src/main.rs:1:2", "", "thread 'ä-ünïcödéé' panicked", "error: a:b:c", "1:2"] {
            assert_eq!(time_of_day(line), None, "{line}");
        }
    }

    #[test]
    fn a_line_names_its_service_once() {
        let line = "03:04:05.678  INFO order     order placed               order_id=1 correlation_id=2";
        assert_eq!(shown(Program::Order, line, false), line);
        assert_eq!(
            shown(Program::Order, line, true),
            "\x1b[2m03:04:05.678\x1b[0m\x1b[32m  INFO\x1b[0m\x1b[34m order    \x1b[0m order placed               order_id=1\x1b[2m correlation_id=2\x1b[0m"
        );
        assert_eq!(shown(Program::Email, "thread panicked", false), "email     | thread panicked");
        assert_eq!(shown(Program::Email, line, false), format!("email     | {line}"));
    }

    #[test]
    fn logs_are_merged_by_time() {
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let order = lines(&["23:59:59.000 a", "  more of a", "00:00:02.000 d"]);
        let email = lines(&["23:59:59.500 b", "00:00:01.000 c"]);
        let merged = merge(vec![(Program::Order, order), (Program::Email, email)]);
        let last: Vec<char> = merged.iter().filter_map(|(_, line)| line.chars().last()).collect();
        assert_eq!(last, ['a', 'a', 'b', 'c', 'd']);
    }
}
