//! Alerts and their runbooks: each alert has a page, each page an alert, and each link leads somewhere.

use std::collections::BTreeSet;
use std::fs;

use crate::{none, tree};

fn lines_with<'a>(text: &'a str, key: &str) -> BTreeSet<&'a str> {
    text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key)).map(str::trim).collect()
}

#[test]
fn every_alert_has_its_runbook() {
    let root = tree::root();
    let rules = fs::read_to_string(root.join("deploy/prometheus/alerts.yml")).expect("the rules");
    let tests = fs::read_to_string(root.join("deploy/prometheus/alerts_test.yml")).expect("their tests");
    let index = fs::read_to_string(root.join("docs/runbooks/README.md")).expect("the index of the runbooks");
    let (alerts, runbooks) = (lines_with(&rules, "alert:"), lines_with(&rules, "runbook:"));
    assert!(!alerts.is_empty() && !runbooks.is_empty());
    let mut faults = Vec::new();
    for alert in alerts {
        if !index.contains(&format!("| {alert} |")) {
            faults.push(format!("docs/runbooks/README.md does not list {alert}"));
        }
        if tests.matches(&format!("alertname: {alert}")).count() < 2 {
            faults.push(format!("alerts_test.yml does not show {alert} both silent and firing"));
        }
    }
    for runbook in &runbooks {
        if !root.join(runbook).is_file() {
            faults.push(format!("{runbook} is missing"));
        }
    }
    for entry in fs::read_dir(root.join("docs/runbooks")).expect("the runbooks") {
        let page = format!("docs/runbooks/{}", entry.expect("a file").file_name().display());
        if !page.ends_with("README.md") && !runbooks.contains(page.as_str()) {
            faults.push(format!("{page} is the page of no alert"));
        }
    }
    none("each alert has a runbook and two tests", faults);
}
