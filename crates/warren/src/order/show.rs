//! `warren order show`.

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use uuid::Uuid;

use super::model;
use crate::client::Client;
use crate::failure::Verdict;

const EXAMPLES: &str = "\
Examples:
  warren order show ID
  warren order show ID --version 1                   as it was created
  warren order show ID --at 2026-05-01T12:00:00Z     as it was then
  warren order show ID --json | jq .payment";

/// Options of `order show`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ShowArgs {
    /// The order
    id: Uuid,

    /// As it was in this version, counted from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..), conflicts_with = "at")]
    version: Option<i64>,

    /// As it was at this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = instant)]
    at: Option<DateTime<Utc>>,
}

fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .map(Into::into)
        .map_err(|_| "not a time of RFC 3339, such as 2026-05-01T12:00:00Z".to_owned())
}

pub(super) async fn run(args: &ShowArgs, client: &Client, json: bool) -> anyhow::Result<Verdict> {
    let version = args.version.map(|version| version.to_string());
    // nanoseconds where they were given: a rounded time could be that of another version
    let at = args.at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    let query: Vec<(&str, &str)> = [("version", version.as_deref()), ("at", at.as_deref())]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let answer = client.get(&format!("/v1/orders/{}", args.id), &query).await?;
    model::print(&answer, json)?;
    Ok(Verdict::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        let utc = instant("2026-05-01T14:00:00.5+02:00").unwrap();
        assert_eq!(utc.to_rfc3339_opts(SecondsFormat::AutoSi, true), "2026-05-01T12:00:00.500Z");
        for bad in ["", "yesterday", "2026-05-01", "2026-05-01T12:00:00"] {
            assert!(instant(bad).is_err(), "{bad}");
        }
    }
}
