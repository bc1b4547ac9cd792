//! What sources and sinks promise, each a module.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub
)]

#[path = "../../../lake/tests/it/fake_ledger.rs"]
mod fake_ledger;

mod archive;
mod bad_input;
mod compressed;
mod dead;
mod endpoint;
mod glob;
mod http;
mod in_place;
mod kit;
mod rejected;
mod resume;
mod sink_crash;
mod spool_format;
mod stdin;
