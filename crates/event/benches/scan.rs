//! Speed of the scanner.
fn main() {}
