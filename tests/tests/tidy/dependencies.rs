//! What may come into the dependency tree: `deny.toml`, read as `cargo deny check bans licenses sources` reads it. That
//! program takes longer to compile than all of this workspace, so what it would find is found here; its third part, the
//! advisories, needs a database from the network.

use std::collections::BTreeSet;
use std::fs;
use std::iter::Peekable;
use std::process::Command;
use std::str::SplitWhitespace;

use serde_json::Value;

use super::none;
use super::tree::root;

/// The only place that packages come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The parts of `deny.toml` that are kept here.
struct Policy {
    licences: BTreeSet<String>,
    bans: Vec<Ban>,
}

#[derive(Default)]
struct Ban {
    name: String,
    /// Who may depend on it all the same.
    wrappers: Vec<String>,
}

impl Policy {
    fn read() -> Self {
        let text = fs::read_to_string(root().join("deny.toml")).expect("deny.toml is there");
        let (mut section, mut policy) = (String::new(), Policy { licences: BTreeSet::new(), bans: Vec::new() });
        for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
            let words = || line.split('"').skip(1).step_by(2).map(str::to_owned);
            if line.starts_with('[') {
                section = line.trim_matches(['[', ']']).to_owned();
                if section == "bans.deny" {
                    policy.bans.push(Ban::default());
                }
            } else if section == "licenses" {
                policy.licences.extend(words());
            } else if let (Some(ban), Some((key, _))) = (policy.bans.last_mut(), line.split_once('='))
                && section == "bans.deny"
            {
                match key.trim() {
                    "name" => ban.name = words().next().unwrap_or_default(),
                    "wrappers" => ban.wrappers = words().collect(),
                    _ => {}
                }
            }
        }
        assert!(policy.licences.contains("MIT") && policy.bans.len() >= 5, "deny.toml cannot be read");
        policy
    }

    /// Whether an SPDX expression can be fulfilled with what is allowed. `/` is how older packages write `OR`.
    fn allows(&self, licence: &str) -> bool {
        let spaced = licence.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let mut words = spaced.split_whitespace().peekable();
        let allowed = self.any_of(&mut words);
        allowed && words.next().is_none()
    }

    fn any_of(&self, words: &mut Words<'_>) -> bool {
        let mut allowed = self.all_of(words);
        while words.next_if_eq(&"OR").is_some() {
            // Both sides are read, whichever of them is enough.
            allowed |= self.all_of(words);
        }
        allowed
    }

    fn all_of(&self, words: &mut Words<'_>) -> bool {
        let mut allowed = self.one(words);
        while words.next_if_eq(&"AND").is_some() {
            allowed &= self.one(words);
        }
        allowed
    }

    fn one(&self, words: &mut Words<'_>) -> bool {
        match words.next() {
            Some("(") => {
                let allowed = self.any_of(words);
                words.next() == Some(")") && allowed
            }
            Some(name) if words.next_if_eq(&"WITH").is_some() => {
                let exception = words.next().unwrap_or_default();
                self.licences.contains(&format!("{name} WITH {exception}"))
            }
            Some(name) => self.licences.contains(name),
            None => false,
        }
    }
}

/// The words of an expression that are not read yet.
type Words<'a> = Peekable<SplitWhitespace<'a>>;

/// A package of `Cargo.lock`, whatever platform it is for.
#[derive(Default)]
struct Locked {
    name: String,
    source: Option<String>,
    dependencies: Vec<String>,
}

fn locked() -> Vec<Locked> {
    let text = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is there");
    let mut packages = Vec::<Locked>::new();
    for line in text.lines().map(str::trim) {
        let value = || line.split('"').nth(1).unwrap_or_default().to_owned();
        match (line.split(' ').next(), packages.last_mut()) {
            (Some("[[package]]"), _) => packages.push(Locked::default()),
            (Some("name"), Some(package)) => package.name = value(),
            (Some("source"), Some(package)) => package.source = Some(value()),
            (Some(word), Some(package)) if word.starts_with('"') => {
                package.dependencies.push(value().split(' ').next().unwrap_or_default().to_owned());
            }
            _ => {}
        }
    }
    assert!(packages.len() > 100, "Cargo.lock cannot be read");
    packages
}

/// What cargo knows of the packages that are built on this platform.
fn built() -> Vec<Value> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(["metadata", "--locked", "--format-version", "1", "--filter-platform", &platform]);
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

#[test]
fn nothing_banned_is_in_the_tree_and_all_comes_from_the_registry() {
    let (policy, packages) = (Policy::read(), locked());
    let mut faults = Vec::new();
    for ban in &policy.bans {
        if packages.iter().any(|package| package.name == ban.name) && ban.wrappers.is_empty() {
            faults.push(format!("{} is banned", ban.name));
        }
        let users = packages.iter().filter(|package| package.dependencies.contains(&ban.name));
        let others = users.filter(|user| !ban.wrappers.contains(&user.name));
        faults.extend(others.map(|user| format!("{} depends on {}, which is banned", user.name, ban.name)));
    }
    for package in &packages {
        if let Some(source) = package.source.as_deref().filter(|source| *source != REGISTRY) {
            faults.push(format!("{} comes from {source}", package.name));
        }
    }
    none("deny.toml does not allow", faults);
}

#[test]
fn every_licence_is_allowed_and_every_version_is_named() {
    let policy = Policy::read();
    let mut faults = Vec::new();
    for package in built() {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or("none");
        if !policy.allows(licence) {
            faults.push(format!("{name} has the licence {licence}"));
        }
        // Packages of ours have no source.
        let ours = package["source"].is_null();
        for dependency in package["dependencies"].as_array().into_iter().flatten().filter(|_| ours) {
            if dependency["req"] == "*" && dependency["path"].is_null() {
                faults.push(format!("{name} takes any version of {}", dependency["name"]));
            }
        }
    }
    none("deny.toml does not allow", faults);
}

#[test]
fn licences_are_read_as_spdx_writes_them() {
    let policy = Policy { licences: ["MIT", "ISC", "Zlib"].map(str::to_owned).into(), bans: Vec::new() };
    for allowed in
        ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/MIT", "MIT AND ISC", "(GPL-3.0 OR MIT) AND (ISC)", "MIT OR GPL-3.0 AND ISC"]
    {
        assert!(policy.allows(allowed), "{allowed}");
    }
    for refused in
        ["", "none", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "MIT WITH exception", "MIT ISC", "(MIT"]
    {
        assert!(!policy.allows(refused), "{refused}");
    }
}
