//! The real program, from outside: what a user types, and what must come of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

mod archive;
mod bad_input;
mod broker_input;
mod data_dir;
mod dead;
mod dedup_explain;
mod dedup_moving;
mod dedup_simulate;
mod dedup_stats;
mod demo;
mod examples;
mod examples_served;
mod exit_codes;
mod fake_service;
mod generate;
mod generate_wire;
mod kill;
mod kit;
mod load_kill;
mod prove;
mod redis;
mod report;
mod serve;
mod served;
mod signals;
mod store_faults;
mod tap;
mod test_command;
mod tidy;
mod walks;
mod wikipedia;
mod workers;
