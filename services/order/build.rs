//! A migration that is added must reach the binary, which embeds them all.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations/order");
}
