//! The corpus of the fuzzer (`fuzz/run`), replayed: what it once came up with is refused or understood as it should be.

use std::fs;
use std::path::Path;

#[path = "../fuzz/decoder.rs"]
mod decoder;

#[test]
fn the_corpus_of_the_fuzzer_breaks_no_promise() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for corpus in ["fuzz/corpus", "fixtures"] {
        for entry in fs::read_dir(folder.join(corpus)).unwrap() {
            decoder::decode(&fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
    }
    assert!(count > 50, "only {count} inputs: where is the corpus?");
}
