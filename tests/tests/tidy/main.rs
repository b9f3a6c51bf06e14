//! The rules of the source tree: who imports whom, what stays pure, what is there once. Reads files, needs no server.
//!
//! Each test is one rule and names every file that breaks it. `tree` finds the files, `lexer` tells code from comments
//! and strings.

use std::collections::BTreeSet;

use lexer::Source;
use tree::{Package, packages, relative, root, rust_files, text_files};

mod alerts;
mod dependencies;
mod lexer;
mod tree;

/// The most lines that a file may have. What is longer is more than one thing.
const MAX_LINES: usize = 400;

/// Who may import whom. Whoever is not named here imports none of ours. No service imports a service; `model` imports the
/// decisions of two of them to play them against each other, and nobody imports it.
const IMPORTS: [(&str, &[&str]); 6] = [
    ("messaging", &["contracts"]),
    ("order", &["contracts", "messaging", "service-kit"]),
    ("inventory", &["contracts", "messaging", "service-kit"]),
    ("email", &["contracts", "messaging", "service-kit"]),
    ("warren", &["contracts", "messaging"]),
    ("model", &["contracts", "messaging", "order", "inventory"]),
];

/// The files of messaging that never see a broker, and those that never see a database. The others are bridges.
const POSTGRESQL_HALF: [&str; 8] = ["tx", "event_log", "follower", "inbox", "outbox", "retention", "handler", "batch"];
const AMQP_HALF: [&str; 9] =
    ["topology", "connection", "message", "publisher", "schedule", "breaker", "dead_letters", "resend", "acknowledge"];

/// The pure files of a service: decisions, without anything that waits or stores.
const PURE: [&str; 4] = ["order.rs", "stock.rs", "reservation.rs", "mail.rs"];

/// The sandbox payment provider plays somebody outside, who has a store of his own.
const SANDBOX: &str = "services/order/src/payment/sandbox.rs";

/// Payment webhooks have types of their own, in the provider's language; two are spelled like events of ours.
const WEBHOOKS: &str = "services/order/src/http/payments.rs";

/// Fails with all of `faults`.
fn none(rule: &str, faults: Vec<String>) {
    assert!(faults.is_empty(), "{rule}:\n  {}", faults.join("\n  "));
}

/// The code of a package beside its tests.
fn sources(package: &Package) -> Vec<(String, Source)> {
    let files = rust_files(&package.folder.join("src")).into_iter().filter(|path| !tree::is_test(path));
    files.map(|path| (relative(&path), Source::read(&path).without_tests())).collect()
}

/// The package's file `src/NAME.rs` and what is in `src/NAME/`.
fn module(package: &Package, name: &str) -> Vec<(String, Source)> {
    let (file, folder) = (format!("/src/{name}.rs"), format!("/src/{name}/"));
    sources(package).into_iter().filter(|(path, _)| path.ends_with(&file) || path.contains(&folder)).collect()
}

fn package(name: &str) -> Package {
    packages().into_iter().find(|package| package.name == name).unwrap_or_else(|| panic!("no package {name}"))
}

fn services() -> Vec<Package> {
    ["order", "inventory", "email"].map(package).into()
}

#[test]
fn packages_import_only_whom_they_may() {
    let all = packages();
    let ours: BTreeSet<&str> = all.iter().map(|package| package.name.as_str()).collect();
    let mut faults = Vec::new();
    for package in &all {
        let allowed = IMPORTS.iter().find(|(name, _)| *name == package.name).map_or(&[][..], |(_, allowed)| allowed);
        for dependency in package.dependencies.iter().filter(|dependency| ours.contains(dependency.as_str())) {
            // For its own tests a package may name itself, to have a feature of it turned on.
            if !allowed.contains(&dependency.as_str()) && *dependency != package.name {
                faults.push(format!("{} imports {dependency}", package.name));
            }
        }
    }
    none("these imports go against the architecture", faults);
}

#[test]
fn only_messaging_speaks_amqp() {
    let all = packages();
    let speakers: Vec<&str> = all
        .iter()
        .filter(|package| package.dependencies.contains("lapin"))
        .map(|package| package.name.as_str())
        .collect();
    let others = speakers.into_iter().filter(|name| !["messaging", "end-to-end"].contains(name)).map(str::to_owned);
    none("lapin is imported by", others.collect());
}

#[test]
fn contracts_have_no_input_or_output() {
    let contracts = package("contracts");
    let io = ["tokio", "sqlx", "lapin", "reqwest", "axum", "futures-util", "tracing"];
    none(
        "contracts import",
        io.into_iter().filter(|name| contracts.dependencies.contains(*name)).map(str::to_owned).collect(),
    );
    let found =
        sources(&contracts).into_iter().filter(|(_, source)| source.has_word("async") || source.has_word("await"));
    none("contracts wait for something in", found.map(|(path, _)| path).collect());
}

#[test]
fn the_halves_of_messaging_do_not_mix() {
    let messaging = package("messaging");
    let mut faults = Vec::new();
    for (half, foreign) in [(&POSTGRESQL_HALF[..], "lapin"), (&AMQP_HALF[..], "sqlx")] {
        for name in half {
            let files = module(&messaging, name);
            if files.is_empty() {
                faults.push(format!("there is no {name}: bring this rule up to date"));
            }
            faults.extend(
                files
                    .into_iter()
                    .filter(|(_, source)| source.has_word(foreign))
                    .map(|(path, _)| format!("{path} sees {foreign}")),
            );
        }
    }
    none("the PostgreSQL half never imports lapin, the AMQP half never sqlx", faults);
}

#[test]
fn acknowledging_happens_in_one_place() {
    let mut found = Vec::new();
    for package in packages().iter().filter(|package| package.name != "end-to-end") {
        for (path, source) in sources(package) {
            found.extend(vec![path; source.code().matches(".ack(").count()]);
        }
    }
    assert_eq!(found.len(), 1, "`.ack(` has to stand once: {found:?}");
}

#[test]
fn decisions_are_pure() {
    let mut faults = Vec::new();
    for service in services() {
        for (path, source) in sources(&service) {
            if !PURE.iter().any(|name| path == format!("services/{}/src/{name}", service.name)) {
                continue;
            }
            for word in ["async", "await", "sqlx", "tokio", "PgConnection", "Tx", "axum", "Instant", "SystemTime"] {
                if source.has_word(word) {
                    faults.push(format!("{path} knows {word}"));
                }
            }
        }
    }
    none("these files decide, and do nothing else", faults);
}

#[test]
fn sql_stands_in_stores() {
    let mut faults = Vec::new();
    for service in services() {
        for (path, source) in sources(&service) {
            let store = path.ends_with("/src/store.rs") || path.contains("/src/store/") || path == SANDBOX;
            let asks = ["query!", "query_as!", "query_scalar!", "query(", "query_as(", "query_scalar(", "raw_sql("];
            let found = asks.into_iter().find(|call| source.code().contains(&format!("sqlx::{call}")));
            if let (false, Some(call)) = (store, found) {
                faults.push(format!("{path} calls sqlx::{call}"));
            }
        }
    }
    none("all SQL of a service is in its store", faults);
}

/// The command line works from outside; only what compares the databases with each other sees them.
#[test]
fn the_audit_alone_sees_databases() {
    let files = sources(&package("warren")).into_iter().filter(|(_, source)| source.has_word("sqlx"));
    let faults = files.map(|(path, _)| path).filter(|path| !path.contains("/src/audit/")).collect();
    none("these files of the command line see a database", faults);
}

#[test]
fn event_names_stand_in_contracts() {
    let names: BTreeSet<String> = tree::event_names();
    assert!(names.contains("order.created"), "the fixtures name the events: {names:?}");
    let mut faults = Vec::new();
    for name in ["order", "inventory", "email", "messaging", "service-kit", "warren"] {
        for (path, source) in sources(&package(name)).into_iter().filter(|(path, _)| path != WEBHOOKS) {
            let literals = source.strings().iter().filter(|literal| names.contains(literal.trim_matches('\'')));
            faults.extend(literals.map(|literal| format!("{path} says {literal:?}")));
        }
    }
    none("an event is named by its type, E::TYPE", faults);
}

#[test]
fn copies_of_migrations_are_copies() {
    let migrations = |name: &str| -> Vec<(String, String)> {
        let copies = ["order", "inventory", "email"].map(|service| root().join(format!("migrations/{service}/{name}")));
        let there = copies.into_iter().filter(|path| path.exists());
        there.map(|path| (relative(&path), std::fs::read_to_string(&path).expect("a migration can be read"))).collect()
    };
    let messaging = migrations("0001_messaging.sql");
    assert_eq!(messaging.len(), 3, "every service has the tables of messaging");
    // that they are those of service-kit is a test of its own there
    let idempotency = migrations("0002_idempotency.sql");
    let claim = migrations("0004_idempotency_claim.sql");
    assert_eq!((idempotency.len(), claim.len()), (2, 2), "services with POST routes have idempotency keys");
    for copies in [messaging, idempotency, claim] {
        let (first, text) = &copies[0];
        let different = copies.iter().filter(|(_, other)| other != text).map(|(path, _)| format!("{path} and {first}"));
        none("these copies differ", different.collect());
    }
}

#[test]
fn failpoints_are_for_tests_alone() {
    let mut faults = Vec::new();
    for package in packages() {
        let manifest = std::fs::read_to_string(package.folder.join("Cargo.toml")).expect("a manifest can be read");
        let sections = manifest.split("\n[").filter(|section| !section.starts_with("dev-dependencies]"));
        let turned_on = sections.flat_map(str::lines).filter(|line| {
            let declared = package.name == "messaging" && *line == "failpoints = []";
            line.contains("failpoints") && !line.trim_start().starts_with('#') && !declared
        });
        faults.extend(turned_on.map(|line| format!("{}: {line}", package.name)));
    }
    let source = std::fs::read_to_string(root().join("crates/messaging/src/failpoint.rs")).expect("it can be read");
    let guards = source.lines().filter(|line| line.contains("#[cfg(") && line.contains("failpoints"));
    let unguarded = guards.filter(|line| !line.contains("all(feature = \"failpoints\", debug_assertions)"));
    faults.extend(unguarded.map(|line| format!("not only without optimisation: {line}")));
    for file in ["Dockerfile", "docker-compose.yml"] {
        let text = std::fs::read_to_string(root().join(file)).expect("it can be read");
        faults.extend(text.contains("failpoints").then(|| file.to_owned()));
    }
    none("failpoints are turned on by dev-dependencies alone, and never in a release", faults);
}

#[test]
fn no_package_is_a_drawer() {
    let drawers = ["common", "utils", "util", "types", "models", "helpers", "misc", "lib", "core"];
    let all = packages();
    none(
        "packages named after nothing",
        all.iter()
            .filter(|package| drawers.contains(&package.name.as_str()))
            .map(|package| package.name.clone())
            .collect(),
    );
}

#[test]
fn nothing_is_left_undone_or_skipped() {
    let mut faults = Vec::new();
    for path in rust_files(&root()) {
        let source = Source::read(&path);
        let code = source.code();
        for mark in ["#[ignore", "todo!(", "unimplemented!(", "dbg!("] {
            if code.contains(mark) {
                faults.push(format!("{} has {mark}", relative(&path)));
            }
        }
        let words = ["TODO", "FIXME", "XXX", "HACK"];
        if let Some(word) = words
            .into_iter()
            .find(|word| source.comments().split(|c: char| !c.is_alphanumeric()).any(|seen| seen == *word))
        {
            faults.push(format!("{} has a comment with {word}", relative(&path)));
        }
    }
    none("unfinished or skipped", faults);
}

#[test]
fn tests_do_not_sleep() {
    let mut faults = Vec::new();
    for path in rust_files(&root()).into_iter().filter(|path| relative(path).split('/').any(|part| part == "tests")) {
        let source = Source::read(&path);
        let helper = source.code().contains("fn eventually");
        if !helper && source.has_word("sleep") {
            faults.push(relative(&path));
        }
    }
    none("wait for something with `eventually` instead of sleeping", faults);
}

#[test]
fn nothing_panics_by_carelessness() {
    let mut faults = Vec::new();
    for package in packages().iter().filter(|package| package.name != "end-to-end") {
        for (path, source) in sources(package) {
            if source.code().contains(".unwrap()") {
                faults.push(path);
            }
        }
    }
    none("`.unwrap()` outside of tests: handle it, or `expect` with the reason why it cannot fail", faults);
}

#[test]
fn files_are_short() {
    let long = rust_files(&root()).into_iter().filter_map(|path| {
        let lines = Source::read(&path).lines();
        (lines > MAX_LINES).then(|| format!("{} has {lines} lines", relative(&path)))
    });
    none(&format!("at most {MAX_LINES} lines"), long.collect());
}

#[test]
fn every_crate_says_what_it_is() {
    let mut faults = Vec::new();
    for package in packages() {
        let mut roots: Vec<_> = ["src/lib.rs", "src/main.rs"].map(|name| package.folder.join(name)).into();
        roots.extend(tree::integration_tests(&package));
        for path in roots.into_iter().filter(|path| path.exists()) {
            let text = std::fs::read_to_string(&path).expect("a source can be read");
            let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
            if !first.is_some_and(|line| line.starts_with("//! ") && line.len() > 20) {
                faults.push(relative(&path));
            }
        }
    }
    none("crates without a front page", faults);
}

#[test]
fn the_project_stands_by_itself() {
    // Put together here, so that this file does not name it either.
    let elsewhere = ["..", "shared"].join("/");
    let found = text_files(&root()).into_iter().filter(|path| {
        let exempt = relative(path) == ".ci/run";
        !exempt && std::fs::read_to_string(path).is_ok_and(|text| text.contains(&elsewhere))
    });
    none("these refer to files outside of the project", found.map(|path| relative(&path)).collect());
}
