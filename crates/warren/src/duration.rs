//! Durations on the command line.

use std::time::Duration;

/// Nobody waits longer for a command, and times further off could not be added to a clock.
const DAY: Duration = Duration::from_hours(24);

/// A clap value parser: `500ms`, `90s`, `5m`, up to a day.
pub(crate) fn up_to_a_day(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= DAY => Ok(duration),
        _ => Err("not a duration of at most a day, such as 500ms, 90s or 5m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_have_a_unit_and_a_bound() {
        assert_eq!(up_to_a_day("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(up_to_a_day("0s"), Ok(Duration::ZERO));
        for bad in ["", "5", "25h", "999999999years", "-1s"] {
            assert!(up_to_a_day(bad).is_err(), "{bad}");
        }
    }
}
