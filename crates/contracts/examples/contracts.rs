//! Writes and checks the committed schemas; `cargo xtask contracts` runs it. The crate itself does no input or output.
//!
//! `contracts write FOLDER`, `contracts check FOLDER [BASE_FOLDER]`, where FOLDER holds the schemas as committed and
//! BASE_FOLDER those that others have already.
#![allow(clippy::print_stdout, reason = "a command line talks to people")]

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use contracts::compatibility::review::{Files, against_base, against_types};
use contracts::schema;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["write", folder] => write(Path::new(folder)).map(|()| true),
        ["check", folder] => check(Path::new(folder), None),
        ["check", folder, base] => check(Path::new(folder), Some(Path::new(base))),
        _ => Err(io::Error::other("write FOLDER or check FOLDER [BASE_FOLDER]")),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("contracts: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> io::Result<()> {
    let schemas = schema::all();
    fs::create_dir_all(folder)?;
    for file in read(folder)?.into_keys().filter(|file| !schemas.iter().any(|schema| schema.file() == *file)) {
        fs::remove_file(folder.join(&file))?;
        println!("removed {file}, which belongs to no type");
    }
    for schema in &schemas {
        fs::write(folder.join(schema.file()), schema.text())?;
    }
    println!("{} schemas are as the types say", schemas.len());
    Ok(())
}

fn check(folder: &Path, base: Option<&Path>) -> io::Result<bool> {
    let schemas = schema::all();
    let stale = against_types(&schemas, &read(folder)?);
    let broken = base.map(read).transpose()?.map(|base| against_base(&base, &schemas)).unwrap_or_default();
    for fault in stale.iter().chain(&broken) {
        println!("{fault}\n");
    }
    match (stale.len(), broken.len()) {
        (0, 0) => println!("{} schemas are as the types say, and only additions were made", schemas.len()),
        (0, broken) => println!("{broken} changes are not additive"),
        (_, 0) => println!("`cargo xtask contracts write` writes the schemas anew"),
        (_, broken) => println!("{broken} changes are not additive; do not write the schemas anew before they are"),
    }
    Ok(stale.is_empty() && broken.is_empty())
}

/// The schemas in a folder.
fn read(folder: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".json")) {
            files.insert(name.to_owned(), fs::read_to_string(&path)?);
        }
    }
    Ok(files)
}
