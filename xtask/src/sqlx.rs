//! `cargo xtask sqlx`: the data by which queries are checked where there is no database, made anew from real ones.
//!
//! sqlx writes what it learns of a query into the folder `SQLX_OFFLINE_DIR`. One build makes the data of all crates: a
//! wrapper around rustc names each crate's folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::infra::private::Life;
use crate::infra::{Choice, Infra, Server};
use crate::run::Run;
use crate::services::Service;
use crate::{files, interrupt, net, process, workspace};

/// A crate with queries: its folder, the variable that its `sqlx.toml` names, the database they are checked against.
/// The two libraries ask for tables that every service has.
const CRATES: [(&str, &str, Service); 5] = [
    ("crates/messaging", "MESSAGING_DATABASE_URL", Service::Order),
    ("crates/service-kit", "SERVICE_KIT_DATABASE_URL", Service::Order),
    ("services/order", "ORDER_DATABASE_URL", Service::Order),
    ("services/inventory", "INVENTORY_DATABASE_URL", Service::Inventory),
    ("services/email", "EMAIL_DATABASE_URL", Service::Email),
];

/// Makes the data anew, or checks that it is as it would be made.
///
/// # Errors
/// When a query does not fit the migrated databases, or, with `check`, when the data is not up to date.
pub(crate) fn sqlx(infra: Choice, check: bool) -> Result<()> {
    interrupt::listen()?;
    let run = Run::temporary()?;
    let mut infra = Infra::choose(run.dir(), infra, Life::Throwaway, &[Server::Database])?;
    infra.start(&[Server::Database])?;
    let databases = Databases::make(&infra)?;
    let made = run.dir().join("sqlx");
    generate(&databases, &made)?;
    drop(databases);

    let mut stale = Vec::new();
    for (folder, ..) in CRATES {
        let (committed, new) = (workspace::root().join(folder).join(".sqlx"), made.join(package(folder)));
        if read_all(&committed)? == read_all(&new)? {
            continue;
        }
        stale.push(folder);
        if !check {
            replace(&committed, &new)?;
        }
    }
    match (check, stale.as_slice()) {
        (_, []) => process::say("the query data is up to date"),
        (false, changed) => process::say(&format!("new query data in {}", changed.join(", "))),
        (true, stale) => bail!("the query data in {} is not up to date: run `cargo xtask sqlx`", stale.join(", ")),
    }
    Ok(())
}

/// Freshly migrated databases, one per service, under names that nobody else has.
struct Databases<'a> {
    infra: &'a Infra,
    suffix: String,
}

impl Databases<'_> {
    fn make(infra: &Infra) -> Result<Databases<'_>> {
        let databases = Databases { infra, suffix: net::random_hex::<4>()? };
        for service in Service::ALL {
            process::say(&format!("migrating a database like that of {}", service.name()));
            let name = databases.name(service);
            infra.create_database(&name)?;
            // By psql, not by the service, which cannot be compiled before its queries are known.
            for migration in migrations(service)? {
                let sql = fs::read_to_string(&migration)?;
                infra.sql(&name, &sql).with_context(|| format!("{} failed", migration.display()))?;
            }
        }
        Ok(databases)
    }

    fn name(&self, service: Service) -> String {
        format!("sqlx_{}_{}", service.name(), self.suffix)
    }
}

impl Drop for Databases<'_> {
    fn drop(&mut self) {
        for service in Service::ALL {
            // On a server of our own they would go anyway.
            let _ = self.infra.drop_database(&self.name(service));
        }
    }
}

fn migrations(service: Service) -> Result<Vec<PathBuf>> {
    let folder = workspace::root().join("migrations").join(service.name());
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    Ok(files)
}

/// Compiles the crates against the databases; each crate's data comes into a folder with the name of its package.
fn generate(databases: &Databases<'_>, made: &Path) -> Result<()> {
    let target = workspace::metadata()?;
    // At a fixed place, since cargo builds everything anew for another wrapper.
    let wrapper = target.target_directory().join("sqlx-rustc");
    files::make_dir(target.target_directory())?;
    files::write_shared(&wrapper, "#!/bin/sh\nSQLX_OFFLINE_DIR=\"$SQLX_MADE/$CARGO_PKG_NAME\" exec \"$@\"\n")?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;

    let mut cargo = workspace::cargo();
    cargo.args(["check", "--all-targets"]);
    cargo.env("RUSTC_WORKSPACE_WRAPPER", &wrapper).env("SQLX_OFFLINE", "false").env("SQLX_MADE", made);
    for (folder, variable, service) in CRATES {
        files::make_dir(&made.join(package(folder)))?;
        cargo.args(["--package", package(folder)]);
        cargo.env(variable, databases.infra.database_url(&databases.name(service)));
    }
    process::say("compiling the queries against the databases");
    let _touched = Touched::roots()?;
    process::run(&mut cargo, "cargo check")
}

fn package(folder: &str) -> &str {
    folder.rsplit('/').next().unwrap_or(folder)
}

/// Source files that look newly changed, so that cargo compiles them. Dropping it gives them back their times, so that
/// other builds need not.
struct Touched(Vec<(PathBuf, SystemTime)>);

impl Touched {
    /// The root file of every target of the crates.
    fn roots() -> Result<Touched> {
        let mut touched = Touched(Vec::new());
        for (folder, ..) in CRATES {
            let folder = workspace::root().join(folder);
            let mut roots = vec![folder.join("src/lib.rs"), folder.join("src/main.rs")];
            for targets in ["tests", "benches", "examples", "src/bin"] {
                let entries = fs::read_dir(folder.join(targets)).into_iter().flatten().flatten();
                roots.extend(entries.flat_map(|entry| [entry.path(), entry.path().join("main.rs")]));
            }
            for root in roots.into_iter().filter(|root| root.is_file()) {
                touched.0.push((root.clone(), fs::metadata(&root)?.modified()?));
                set_modified(&root, SystemTime::now())?;
            }
        }
        Ok(touched)
    }
}

impl Drop for Touched {
    fn drop(&mut self) {
        for (file, time) in &self.0 {
            // One that keeps its new time is only compiled once more.
            let _ = set_modified(file, *time);
        }
    }
}

fn set_modified(file: &Path, time: SystemTime) -> Result<()> {
    let set = || File::options().append(true).open(file)?.set_modified(time);
    set().with_context(|| format!("cannot touch {}", file.display()))
}

/// The files of a folder by name; none when there is no folder.
fn read_all(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    if folder.exists() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            all.insert(entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path())?);
        }
    }
    Ok(all)
}

/// Puts the files of one folder in place of another's.
fn replace(old: &Path, new: &Path) -> Result<()> {
    files::remove(old)?;
    let files = read_all(new)?;
    if !files.is_empty() {
        files::make_dir(old)?;
    }
    for (name, text) in files {
        fs::write(old.join(name), text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_names_its_variable() {
        for (folder, variable, _) in CRATES {
            let config = fs::read_to_string(workspace::root().join(folder).join("sqlx.toml")).unwrap();
            assert!(config.contains(&format!("database-url-var = \"{variable}\"")), "{folder}");
        }
    }

    #[test]
    fn replaced_data_is_the_new_data_alone() {
        let dir = std::env::temp_dir().join(format!("xtask-sqlx-{}", std::process::id()));
        let (old, new) = (dir.join("old"), dir.join("new"));
        for (folder, name) in [(&old, "stale"), (&new, "fresh")] {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join(name), name).unwrap();
        }
        replace(&old, &new).unwrap();
        assert_eq!(read_all(&old).unwrap(), BTreeMap::from([("fresh".to_owned(), "fresh".to_owned())]));
        fs::remove_dir_all(&dir).unwrap();
        assert!(read_all(&old).unwrap().is_empty());
    }
}
