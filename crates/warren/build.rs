//! Puts the committed schemas and fixtures of the events into the program, so that it shows them wherever it runs.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    let contracts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts");
    let mut code = String::new();
    for (constant, folder) in [("SCHEMAS", "schemas"), ("FIXTURES", "fixtures")] {
        let folder = contracts.join(folder).canonicalize().expect("contracts has schemas and fixtures");
        println!("cargo::rerun-if-changed={}", folder.display());
        let files = fs::read_dir(&folder).expect("they can be listed").filter_map(Result::ok).map(|file| file.path());
        let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
        files.sort();
        writeln!(code, "pub(crate) const {constant}: &[(&str, &str)] = &[").expect("a text takes all");
        for file in files {
            let name = file.file_stem().and_then(|name| name.to_str()).expect("names are ASCII");
            writeln!(code, "    ({name:?}, include_str!({:?})),", file.display().to_string())
                .expect("a text takes all");
        }
        code.push_str("];\n");
    }
    let out = env::var_os("OUT_DIR").expect("cargo says where");
    fs::write(Path::new(&out).join("documents.rs"), code).expect("the build folder can be written");
}
