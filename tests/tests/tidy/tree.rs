//! The files of the checkout.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 5] = ["target", ".git", ".dev", ".sqlx", "node_modules"];

/// A package of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// The names of all its dependencies, those of its tests and build included.
    pub(crate) dependencies: BTreeSet<String>,
}

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are below the root").to_path_buf()
}

/// A path as people write it.
pub(crate) fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// All packages: each folder of `crates` and `services`, the tests and xtask.
pub(crate) fn packages() -> Vec<Package> {
    let mut folders = vec![root().join("tests"), root().join("xtask")];
    for parent in ["crates", "services"] {
        folders.extend(entries(&root().join(parent)));
    }
    let packages: Vec<Package> = folders.into_iter().filter_map(read_package).collect();
    assert!(packages.len() >= 9, "packages are missing: {packages:?}");
    packages
}

fn read_package(folder: PathBuf) -> Option<Package> {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
    let (mut section, mut name, mut dependencies) = ("", None, BTreeSet::new());
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            if let Some((_, dependency)) = section.rsplit_once("dependencies.") {
                dependencies.insert(dependency.to_owned());
            }
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            let key = key.trim().trim_matches('"');
            if section == "package" && key == "name" {
                name = Some(value.trim().trim_matches('"').to_owned());
            }
            if section.ends_with("dependencies") {
                dependencies.insert(key.split('.').next().unwrap_or(key).to_owned());
            }
        }
    }
    Some(Package { name: name?, folder, dependencies })
}

/// All Rust files below a folder.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = text_files(folder);
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files
}

/// All files below a folder that are ours; what is no text is recognised when it is read.
pub(crate) fn text_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in entries(folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !FOREIGN.contains(&name.as_str()) {
                files.extend(text_files(&path));
            }
        } else {
            files.push(path);
        }
    }
    files
}

/// The root files of a package's integration tests.
pub(crate) fn integration_tests(package: &Package) -> Vec<PathBuf> {
    let tests = entries(&package.folder.join("tests")).into_iter();
    let roots = tests.map(|path| if path.is_dir() { path.join("main.rs") } else { path });
    roots.filter(|path| path.exists() && path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// Whether a file holds tests alone.
pub(crate) fn is_test(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    name == "tests" || name.ends_with("_tests") || relative(path).contains("/tests/")
}

/// The names of all events, which their golden fixtures carry: `order.created.v2.json`.
pub(crate) fn event_names() -> BTreeSet<String> {
    let fixtures = entries(&root().join("crates/contracts/fixtures"));
    let name = |path: &PathBuf| Some(path.file_name()?.to_str()?.rsplit_once(".v")?.0.to_owned());
    fixtures.iter().filter_map(name).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}
