//! Stores that workers share: where one machine is not enough (DESIGN §4).
//!
//! A [`Store`] keeps two things. *Keys*: each held by a batch (reserved), or committed with its
//! recorded time, window and body hash. *Batch records*: `open → committed | aborted`, changed by
//! compare-and-set, with the lease of an open one. The batch record is the commit point: a key that
//! is held by a committed batch counts as committed from that moment on, whether or not anybody has
//! told the key. So a commit is one small write, however many keys the batch holds.
//!
//! The way of a batch: [`Store::reserve`] (opens the batch's record with the first keys) → the
//! worker's ledger writes the batch as `prepared` → [`Store::commit`] → the ledger writes
//! `committed` → the source is acknowledged → [`Store::settle`] in the background. Taking over: a
//! key that is held by an open batch whose lease ran out is taken only after that batch was moved
//! to `aborted` by compare-and-set; if it turns out `committed`, the event is a duplicate.
//!
//! Time: what makes two events the same is decided from recorded times and windows alone, never
//! from a clock (two are the same when their recorded times differ by less than the *entry's*
//! window, in either direction). Leases go by the store's own clock, never by a worker's.
//!
//! Rules, each of which the model breaks once to see what it is for. For a store:
//! - What a batch's record says counts only if the key still names that batch afterwards, for
//!   "duplicate" as for "free": look at key, record, and key again (or at both in one atomic step).
//!   A take-over is two steps, and the second names the old holder.
//! - The record is opened before the first key is placed.
//! - A committed record goes when no key names it any more: all keys are told first. An open or
//!   aborted one that its owner may still ask about stays for longer than any call or batch lives.
//!
//! For a worker:
//! - A batch asks once: all keys in one call, which is repeated as a whole until it is answered. It
//!   never asks again for a key that it released.
//! - Output is staged, and the ledger's `prepared` durable, before `commit` is sent; `settle` and
//!   the acknowledgement come after the ledger's `committed`.
//! - A release is answered before the batch's `commit` is sent, and none is sent after it. If a
//!   `reserve` got no answer it may arrive yet: then an event that leaves takes its batch along.
//!
//! What the protocol can't make good: a store that forgets a commit (a failover) before the owner's
//! ledger has it, while the owner crashes and another worker has acknowledged the very same
//! message as a duplicate.
//!
//! `crate::model` holds the model of this protocol; it was written before the stores.

#[cfg(feature = "dynamodb")]
pub mod dynamodb;
mod error;
pub mod memory;
pub mod redis;

pub use error::{StoreError, StoreFault};

use std::fmt::Debug;

use event::{BatchNumber, Epoch, LedgerId};

/// A worker's batch, as a store knows it. The epoch is the fencing token: a worker that was
/// restarted never acts for a batch of an earlier epoch but to resolve it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchRef {
    /// The worker: the id of its ledger.
    pub worker: LedgerId,
    /// Its pipe, by number in that ledger.
    pub pipe: u16,
    /// How often the ledger was opened when the batch was decided.
    pub epoch: Epoch,
    /// The batch.
    pub number: BatchNumber,
}

/// The state of a batch's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchState {
    /// Its keys are reserved.
    Open,
    /// Its keys are committed.
    Committed,
    /// Its keys are free.
    Aborted,
    /// There is no record: it never asked for keys, it was resolved long ago, or the store lost it.
    /// Counts as aborted.
    Absent,
}

/// A key that a batch asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The key; with the type and the scope's secret in it.
    pub key: u128,
    /// The event's recorded time; ms since the Unix epoch.
    pub recorded_ms: i64,
    /// For how long it is to be remembered; ms, [`crate::scope::FOREVER_MS`] without end.
    pub window_ms: i64,
    /// Hash of the event's body.
    pub body_hash: u64,
}

/// What a store says to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The batch holds it now, or held it already.
    Reserved,
    /// A committed entry of the key reaches the event's recorded time.
    Duplicate {
        /// The entry's recorded time; ms since the Unix epoch.
        recorded_ms: i64,
        /// The entry's window; ms.
        window_ms: i64,
        /// Hash of its event's body.
        body_hash: u64,
    },
    /// A living open batch holds it, at a recorded time that reaches the event's.
    Busy {
        /// The holder.
        by: BatchRef,
        /// How long its lease lasts yet, by the store's clock; ms.
        lease_left_ms: u64,
    },
}

/// A scope as a worker brings it along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedScope {
    /// Its name.
    pub name: String,
    /// Number of key fields.
    pub fields: u32,
    /// Whether keys leave out the envelope's type.
    pub across_types: bool,
    /// A secret, if the store has none for this scope yet.
    pub secret: [u8; 16],
}

/// A scope as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The scope's secret: the one to make keys with.
    pub secret: [u8; 16],
    /// Drawn when the scope's record was made. Another one than last time: the store lost its data.
    pub incarnation: u128,
}

/// What a store knows of itself, for `dedup stats` and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Keys of the scope, about.
    pub keys: Option<u64>,
    /// Bytes that the store uses, for everything in it.
    pub bytes: Option<u64>,
    /// Kind and version of the server, for a person.
    pub server: String,
}

/// A store of keys that workers share. All calls block, may be made from any thread, and may be
/// made again after an error: nothing happens twice.
///
/// # Errors
/// Every call: [`StoreError`], with [`StoreError::fault`] telling whether it passes by itself.
pub trait Store: Debug + Send + Sync {
    /// Where it is, for messages; without credentials.
    fn place(&self) -> String;

    /// Joins the scope, or makes its record; called once before anything else and after each
    /// [`StoreFault::Lost`]. Checks that the store can be relied on (version, eviction policy,
    /// table).
    fn join(&self, scope: &SharedScope) -> Result<Joined, StoreError>;

    /// Asks for keys on behalf of `batch`, whose record is opened with a lease if there is none.
    /// One answer a key, in order. Keys that are `Reserved` are held from now on. A batch that is
    /// no longer open gets [`StoreFault::NotOpen`].
    ///
    /// Resolves what it meets: an entry of an aborted or absent batch is free; one of an open batch
    /// whose lease ran out is taken over, which aborts that batch first.
    fn reserve(
        &self,
        batch: BatchRef,
        lease_ms: u64,
        asked: &[Asked],
    ) -> Result<Vec<Answer>, StoreError>;

    /// Prolongs the leases of open batches, to `lease_ms` from now. One state a batch, in order.
    fn renew(&self, batches: &[BatchRef], lease_ms: u64) -> Result<Vec<BatchState>, StoreError>;

    /// Open → committed. Answers with the state afterwards: `Committed` (also when it was before),
    /// `Aborted`, or `Absent`, which counts as aborted.
    fn commit(&self, batch: BatchRef) -> Result<BatchState, StoreError>;

    /// Open → aborted. Answers with the state afterwards: `Aborted`, `Absent`, or `Committed`.
    fn abort(&self, batch: BatchRef) -> Result<BatchState, StoreError>;

    /// The batch's state.
    fn state(&self, batch: BatchRef) -> Result<BatchState, StoreError>;

    /// Lets go of keys that `batch` holds: their events left it. Keys that it doesn't hold stay.
    fn release(&self, batch: BatchRef, keys: &[Asked]) -> Result<(), StoreError>;

    /// Housekeeping after a commit: tells the keys that they are committed, so that the batch's
    /// record may go. May be left out, or fail: the record then stays until its keys are gone.
    fn settle(&self, batch: BatchRef, keys: &[Asked]) -> Result<(), StoreError>;

    /// What it knows of itself.
    fn stats(&self) -> Result<StoreStats, StoreError>;
}
