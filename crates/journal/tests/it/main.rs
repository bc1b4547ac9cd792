//! What the journal and its disks promise, one module per promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

mod bit_flips;
mod crash_sweep;
mod disk_full;
mod faults;
mod fixture;
mod group_commit;
mod model;
mod read_bytes;
mod real_disk;
mod sim_disk;
mod support;
