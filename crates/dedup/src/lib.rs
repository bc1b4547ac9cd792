//! Once: keys and their windows, and the ledger that makes each decision durable.
//!
//! It is for two things. A [`scope::Scope`] decides about every event: ours, a duplicate, or to
//! wait. A [`ledger::Ledger`] writes one atomic record per batch (keys, positions, staged output,
//! counters), and brings all of it back after a crash.
//!
//! It deliberately knows nothing of sources, sinks, payloads or configuration, and nothing of how
//! a file is made durable: that is `journal`'s.
//!
//! Start reading at `ledger/mod.rs`, then `ledger/pipe.rs`; `record/mod.rs` is what stands on disk,
//! `state/apply.rs` what it means.

#[doc(hidden)]
pub mod bench;
mod error;
mod folder;
mod index;
pub mod key;
pub mod ledger;
#[cfg(test)]
mod model;
mod record;
mod run;
pub mod scope;
pub mod sightings;
pub mod state;
pub mod store;
mod sync_points;
