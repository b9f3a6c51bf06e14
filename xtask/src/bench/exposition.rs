//! Reads what services show to Prometheus: how far they are, at next to no cost for them.

use anyhow::{Result, bail};

use crate::net;

/// What a service says of itself.
pub(super) struct Exposition(String);

impl Exposition {
    /// Asks a service.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) fn of(address: &str) -> Result<Exposition> {
        let answer = net::http("GET", address, "/metrics", None, None)?;
        if answer.status != 200 {
            bail!("{address}/metrics answers {}", answer.status);
        }
        Ok(Exposition(answer.body))
    }

    /// The sum over the samples of that name with all of these labels, each written `name="value"`.
    pub(super) fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        let matching = |line: &&str| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']));
            rest.is_some_and(|rest| labels.iter().all(|label| rest.contains(label)))
        };
        let values = self.0.lines().filter(matching).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        values.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_chosen_by_name_and_labels() {
        let text = "# HELP warren_mails Mails\n\
                    warren_mails_total{template=\"a\",outcome=\"sent\"} 3\n\
                    warren_mails_total{template=\"b\",outcome=\"sent\"} 4\n\
                    warren_mails_total{template=\"b\",outcome=\"failed\"} 5\n\
                    warren_mails_total_created 9\n\
                    warren_open 2\n";
        let exposition = Exposition(text.to_owned());
        assert_eq!(exposition.sum("warren_mails_total", &["outcome=\"sent\""]), 7);
        assert_eq!(exposition.sum("warren_mails_total", &["template=\"b\"", "outcome=\"sent\""]), 4);
        assert_eq!(exposition.sum("warren_open", &[]), 2);
        assert_eq!(exposition.sum("warren_none", &[]), 0);
    }
}
