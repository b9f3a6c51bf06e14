//! Where things are in this checkout, and how cargo is called in it.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process;

/// The package of the black-box tests.
pub(crate) const END_TO_END: &str = "end-to-end";

/// The root of the checkout. Cargo says it at run time; what was true when xtask was compiled is the second choice,
/// since a shared target folder may hold an xtask that another checkout made.
pub(crate) fn root() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).filter(|dir| dir.ends_with("xtask"));
    let manifest = manifest.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    manifest.parent().map(Path::to_path_buf).unwrap_or(manifest)
}

/// The folder of everything that runs from this checkout; git ignores it.
pub(crate) fn dev_dir() -> PathBuf {
    root().join(".dev")
}

/// Cargo, without the variables by which an outer cargo describes the package xtask: build scripts watch some of
/// them, and would run again each time that cargo is called by hand and by xtask in turn.
pub(crate) fn cargo() -> Command {
    const OF_A_PACKAGE: [&str; 5] =
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_PACKAGE"];
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    for (name, _) in env::vars_os() {
        if OF_A_PACKAGE.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// Builds the services and the command line, and returns the folder of the binaries.
///
/// # Errors
/// When cargo fails.
pub(crate) fn build(release: bool) -> Result<PathBuf> {
    process::say(if release { "building (release)" } else { "building (debug)" });
    let mut command = cargo();
    command.args(["build", "--workspace", "--bins"]);
    if release {
        // Nobody needs a fast xtask. In debug it stays in, as leaving it out would compile some crates twice.
        command.args(["--release", "--exclude", "xtask"]);
    }
    process::run(&mut command, "the build")?;
    bin_dir(release)
}

/// The folder in which cargo leaves the binaries.
///
/// # Errors
/// When cargo fails.
pub(crate) fn bin_dir(release: bool) -> Result<PathBuf> {
    Ok(metadata()?.target_directory.join(if release { "release" } else { "debug" }))
}

/// What cargo knows of this workspace.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Asks cargo.
///
/// # Errors
/// When cargo fails.
pub(crate) fn metadata() -> Result<Metadata> {
    let json = process::output(cargo().args(["metadata", "--no-deps", "--format-version", "1"]), None)?;
    serde_json::from_str(&json).context("cargo metadata is not as expected")
}

impl Metadata {
    /// The target folder of this workspace.
    pub(crate) fn target_directory(&self) -> &Path {
        &self.target_directory
    }

    /// The integration tests: the name of each, and the packages that have one of this name.
    pub(crate) fn integration_tests(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut tests: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in &self.packages {
            for target in package.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "test")) {
                tests.entry(&target.name).or_default().push(&package.name);
            }
        }
        tests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("xtask/Cargo.toml").is_file());
    }

    #[test]
    fn integration_tests_are_listed_by_name() {
        let json = r#"{"target_directory": "/t", "packages": [
            {"name": "a", "targets": [{"name": "a", "kind": ["lib"]}, {"name": "http", "kind": ["test"]}]},
            {"name": "b", "targets": [{"name": "http", "kind": ["test"]}]}]}"#;
        let metadata: Metadata = serde_json::from_str(json).unwrap();
        assert_eq!(metadata.integration_tests(), BTreeMap::from([("http", vec!["a", "b"])]));
    }
}
