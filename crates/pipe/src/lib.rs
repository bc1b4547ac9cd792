//! Pipes: from config to plan to a running pipe.
//!
//! A pipe reads batches of events from a source, decides about each event, and lets one ledger
//! record per batch settle all of it. This crate deliberately knows nothing of wire protocols,
//! file formats or how keys are stored: sources and sinks come from `connect` and `lake`, keys and
//! commits from `dedup`.
//!
//! Start reading at [`run`], then [`plan`] (config becomes parts) and [`engine`] (the five steps
//! that a batch goes through); what is decided from one event alone is in [`prepare`] and
//! [`stage`].

mod broker_parts;
pub mod config;
pub mod engine;
mod life;
pub mod plan;
pub mod prepare;
pub mod previous_key;
pub mod replay;
pub mod run;
pub mod stage;
pub mod status;
pub mod stores;
pub mod tables;
pub mod tap;
pub mod trial;
pub mod types;
pub mod unsettled;

pub use run::{PipeSummary, RunError, RunOptions, RunSummary, Session, Tuning, run};
pub use status::{CircuitState, DeliveryStatus, Phase, PipeStatus, SinkStatus};
