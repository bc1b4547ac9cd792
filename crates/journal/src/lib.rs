//! The durable ground of Onceflow: [`Disk`], real and simulated, and the append-only log on it.
//!
//! It is for everything that must survive a crash: whoever writes, syncs, renames or unlinks a
//! durable file does so through [`Disk`], so that a simulation can crash it after any operation.
//! [`Journal`] is a checksummed, segmented log with group commit (docs/formats/journal.md).
//!
//! It deliberately knows nothing of events, keys or pipes: a record is a run of bytes. It takes no
//! lock either: whoever owns the data folder holds its lock.
//!
//! Start reading at `disk/mod.rs`, then `log/journal.rs`, `log/writer.rs` and `log/recovery.rs`.

pub mod disk;
mod log;

pub use disk::fault::{FaultDisk, FaultPlan, OpFault};
pub use disk::real::RealDisk;
pub use disk::sim::{Fault, SimDisk};
pub use disk::{DirEntry, Disk, DiskFile, FileStat, PendingSync, SyncPoint, mkdir_all_synced};
pub use log::{
    AppendError, Journal, JournalConfig, OpenError, PendingAppend, Position, ReadError, Reader,
    Replay, ReplayError, Then, read_only,
};
