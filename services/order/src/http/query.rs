//! Times and days in queries, no more kindly than RFC 3339 writes them: what a lenient parser takes beyond that, the
//! database may not.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Deserializer, de};

/// A point in time: `2026-01-31T12:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub DateTime<Utc>);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = DateTime::parse_from_rfc3339(&text).map_err(|_| de::Error::custom("must be a time of RFC 3339"))?;
        Ok(Self(time.to_utc()))
    }
}

/// A day: `2026-01-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(pub NaiveDate);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let day = text.parse().ok().filter(|day: &NaiveDate| text.len() == 10 && day.to_string() == text);
        day.map(Self).ok_or_else(|| de::Error::custom("must be a date such as 2026-01-31"))
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Error> {
        let text: StrDeserializer<'de, Error> = text.into_deserializer();
        T::deserialize(text)
    }

    #[test]
    fn times_are_those_of_the_standard() {
        let noon = read::<Time>("2026-01-31T12:00:00Z").unwrap();
        assert_eq!(read::<Time>("2026-01-31T13:00:00.000+01:00"), Ok(noon));
        assert!(read::<Time>("0000-01-01T00:00:00Z").is_ok() && read::<Time>("9999-12-31T23:59:59.999999Z").is_ok());
        for bad in ["", "now", "2026-01-31", "2026-01-31T12:00:00", "-5000-01-01T00:00:00Z", "+12026-01-31T12:00:00Z"] {
            assert!(read::<Time>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn days_have_ten_characters() {
        assert!(read::<Day>("2026-01-31").is_ok());
        for bad in ["", "today", "2026-1-31", " 2026-01-31", "2026-02-30", "-5000-01-01", "2026-01-31T00:00:00Z"] {
            assert!(read::<Day>(bad).is_err(), "{bad}");
        }
    }
}
