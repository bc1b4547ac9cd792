//! What the pipe promises, one module per promise or feature.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

mod brokers;
mod config;
mod config_delivery;
mod crash;
mod defects;
mod delivery;
mod faults;
mod gate;
mod promises;
mod world;
