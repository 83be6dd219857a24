//! The `alive` program.
fn main() {}
