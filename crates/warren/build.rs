//! Puts what belongs to the program into it, so that it works wherever it runs: the committed schemas and fixtures of the
//! events, the pages of the console, and the runbooks that it shows.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    // asked now, not compiled in: a target folder that several clones share keeps this program for all of them
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where"));
    let mut documents = String::new();
    for (constant, folder) in [("SCHEMAS", "schemas"), ("FIXTURES", "fixtures")] {
        let folder = here.join("../contracts").join(folder);
        documents.push_str(&embed(constant, &folder, |file| file.strip_suffix(".json").map(str::to_owned)));
    }
    let known = |file: &str| [".js", ".css", ".svg"].iter().any(|end| file.ends_with(end)).then(|| file.to_owned());
    let web = embed("WEB", &here.join("src/console/web"), known);
    let page = |file: &str| file.strip_suffix(".md").map(str::to_owned);
    let web = web + &embed("RUNBOOKS", &here.join("../../docs/runbooks"), page);
    let out = env::var_os("OUT_DIR").expect("cargo says where");
    for (name, code) in [("documents.rs", documents), ("web.rs", web)] {
        fs::write(Path::new(&out).join(name), code).expect("the build folder can be written");
    }
}

/// The code of a constant with the files below a folder: the names that `name` gives them, and their texts.
fn embed(constant: &str, folder: &Path, name: impl Fn(&str) -> Option<String>) -> String {
    let folder = folder.canonicalize().expect("what is embedded is there");
    let mut files = Vec::new();
    list(&folder, &mut files);
    files.sort();
    let mut code = format!("pub(crate) const {constant}: &[(&str, &str)] = &[\n");
    for file in files {
        let relative = file.strip_prefix(&folder).ok().and_then(Path::to_str).expect("names are ASCII");
        if let Some(name) = name(relative) {
            writeln!(code, "    ({name:?}, include_str!({:?})),", file.display().to_string())
                .expect("a text takes all");
        }
    }
    code + "];\n"
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    // a folder counts as changed when a file comes or goes; a file that changes is noticed by rustc
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder).expect("it can be listed").filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() { list(&path, files) } else { files.push(path) }
    }
}
