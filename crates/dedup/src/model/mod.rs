//! The model of the protocol by which workers share a store (DESIGN §4, `crate::store`).
//!
//! It was written before the stores, and is checked over all interleavings of its steps within
//! small bounds: workers that crash at any moment, leases that run out at any moment (of a worker
//! that is merely slow, too), a queue that delivers again, calls that arrive late, and a store that
//! loses keys or batch records. What it promises stands in `properties.rs`.
//!
//! It deliberately knows nothing of Redis, DynamoDB, files, bodies and windows in milliseconds: a
//! window is an era here, and its end is one step.
//!
//! Start reading at `state.rs`; `action.rs` says what may happen when, `steps.rs` what it does,
//! `protocols.rs` the protocol's rules, each as the flaw that appears without it, and `tests.rs`
//! what was checked.

mod action;
mod properties;
mod protocols;
mod reach;
mod state;
mod steps;
mod symmetry;
mod tests;
