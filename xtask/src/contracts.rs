//! `cargo xtask contracts`: the committed JSON Schemas, written from the types, and checked against what others have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use crate::run::Run;
use crate::{process, workspace};

/// Where the schemas are committed.
const SCHEMAS: &str = "crates/contracts/schemas";

/// The branches that a change is compared with unless another is named: the first that there is.
const BASES: [&str; 4] = ["origin/main", "origin/master", "main", "master"];

/// What to do about the schemas.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Check that the schemas are those of the types, and that only additions were made since the base branch
    Check {
        /// Compare with this branch or commit [default: where this branch left origin/main or main]
        #[arg(long, value_name = "BRANCH")]
        base: Option<String>,
    },
    /// Write the schemas anew from the types
    Write,
}

/// Writes or checks.
///
/// # Errors
/// When a schema is stale, when a change is not additive, or when the base cannot be read.
pub(crate) fn contracts(task: &Task) -> Result<()> {
    let schemas = workspace::root().join(SCHEMAS);
    match task {
        Task::Write => process::run(program().arg("write").arg(&schemas), "writing the schemas"),
        Task::Check { base } => {
            let run = Run::temporary()?;
            let mut program = program();
            program.arg("check").arg(&schemas);
            match base_commit(base.as_deref())? {
                Some(commit) => {
                    let folder = run.dir().join("base");
                    let count = export(&commit, &folder)?;
                    process::say(&format!("comparing with {count} schemas of {commit}"));
                    program.arg(folder);
                }
                None => {
                    process::say("there is no base branch to compare with: the schemas are compared with the types")
                }
            }
            process::run(&mut program, "the check of the contracts")
        }
    }
}

/// The program that knows the types.
fn program() -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(["run", "--quiet", "--package", "contracts", "--features", "schema", "--example", "contracts", "--"]);
    cargo
}

/// The commit to compare with: where this branch left its base, so that what others did since is not held against it.
fn base_commit(named: Option<&str>) -> Result<Option<String>> {
    let exists = |name: &&str| git(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]).is_ok();
    let base = match named {
        Some(name) if exists(&name) => name,
        Some(name) => bail!("there is no branch or commit {name}"),
        None => match BASES.iter().find(|name| exists(name)) {
            Some(name) => name,
            None => return Ok(None),
        },
    };
    // histories without a common commit, as in a shallow clone, are compared as they are
    let common = git(&["merge-base", base, "HEAD"]).or_else(|_| git(&["rev-parse", base]));
    Ok(Some(common?.trim().to_owned()))
}

/// Writes the schemas of that commit into a new folder, and tells how many there were.
fn export(commit: &str, folder: &Path) -> Result<usize> {
    fs::create_dir_all(folder)?;
    let listed = git(&["ls-tree", "-r", "--name-only", "--full-name", commit, "--", SCHEMAS])?;
    let files: Vec<PathBuf> = listed.lines().map(PathBuf::from).collect();
    for file in &files {
        let name = file.file_name().context("git lists a file without a name")?;
        fs::write(folder.join(name), git(&["show", &format!("{commit}:{}", file.display())])?)?;
    }
    Ok(files.len())
}

fn git(arguments: &[&str]) -> Result<String> {
    let mut git = Command::new("git");
    git.current_dir(workspace::root()).args(arguments);
    process::output(&mut git, None)
}
