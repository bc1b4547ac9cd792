//! Reports: what a data folder's ledger says happened, for people and for scripts.
//!
//! It is for looking, never for changing: everything here takes what others know (the ledger's
//! state, the sizes of folders, what the last run noted) and shows it. It deliberately knows
//! nothing of how pipes run, of configuration files and of the command line.
//!
//! Start reading at [`report::Report`]; [`markdown`] shows one to people, `serde_json` to scripts.

pub mod alarms;
pub mod delivery;
pub mod exposition;
pub mod last_run;
pub mod markdown;
pub mod metrics;
pub mod monitor;
pub mod now;
pub mod report;
pub mod show;
pub mod storage;
pub mod store;
pub mod table;
pub mod tables;
pub mod webhook;

pub use last_run::LastRun;
pub use report::Report;
pub use storage::Storage;
pub use table::Table;
