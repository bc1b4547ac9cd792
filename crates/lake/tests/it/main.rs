//! What the staging tier promises, each promise a module.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub
)]

mod compact;
mod compact_crash;
mod compact_rows;
mod crash;
mod fake_ledger;
mod json;
mod readers;
mod staging;
mod table;
