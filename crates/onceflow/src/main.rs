//! The onceflow program.
fn main() {}
