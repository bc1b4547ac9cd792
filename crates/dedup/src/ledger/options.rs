//! The limits of a ledger, and what a pipe declares.

use std::sync::Arc;
use std::time::Duration;

use journal::JournalConfig;

use crate::scope::ScopeOptions;
use crate::store::Store;

/// The limits of a ledger. They may differ from one open to the next.
#[derive(Clone, Debug)]
pub struct LedgerOptions {
    /// Bytes of journal after which keys move into key runs, in the background. Default 128 MiB.
    pub checkpoint_journal_bytes: u64,
    /// Balanced minutes that are kept before they fold into hours. Default 1440.
    pub counter_minutes_max: u32,
    /// Event types that are counted by name; what comes after them counts as `other`. Default 1000.
    pub types_max: u32,
    /// Key runs of a scope past which those of one window class and expiry bucket are merged.
    /// Default 16.
    pub key_runs_probed_max: u32,
    /// Bytes of sightings that are kept; the oldest go first. 0: none are written. Default 256 MiB.
    pub sightings_bytes_max: u64,
    /// The journal's limits.
    pub journal: JournalConfig,
    /// Version of the program, for messages of a program that can't read this folder.
    pub onceflow_version: String,
    /// Whether to lock the data folder against other processes. `false` only on a simulated disk,
    /// which no other process sees.
    pub lock: bool,
    /// Where ids and secrets come from.
    pub random: Random,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self {
            checkpoint_journal_bytes: 128 << 20,
            counter_minutes_max: 1440,
            types_max: 1000,
            key_runs_probed_max: 16,
            sightings_bytes_max: 256 << 20,
            // A checkpoint is one record, with all parked events and open letters in it.
            journal: JournalConfig {
                record_bytes_max: JournalConfig::RECORD_BYTES_MAX,
                ..JournalConfig::default()
            },
            onceflow_version: env!("CARGO_PKG_VERSION").into(),
            lock: true,
            random: Random::System,
        }
    }
}

/// Where random bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Random {
    /// The operating system.
    System,
    /// A seed, for tests that must come out the same each time.
    Seeded(u64),
}

/// A pipe as its config declares it.
#[derive(Clone, Debug)]
pub struct PipeDeclaration {
    /// Its name.
    pub pipe: String,
    /// [`event::source::Source::name`].
    pub source: String,
    /// [`event::sink::Sink::name`] of each sink; [`super::Settlement::staged`] counts in this
    /// order.
    pub sinks: Vec<String>,
    /// Its scope; `None` without dedup.
    pub scope: Option<ScopeDeclaration>,
    /// Fingerprint of the config (the plan of DESIGN §3).
    pub config_fingerprint: u64,
    /// The store that its scope's keys are in, where workers share one; `None`: this ledger.
    pub store: Option<SharedStore>,
}

/// A store that workers share, as a pipe uses it.
#[derive(Clone, Debug)]
pub struct SharedStore {
    /// The store.
    pub store: Arc<dyn Store>,
    /// For how long a batch holds its keys without a sign of life. Renewed every third of it.
    pub lease: Duration,
}

impl SharedStore {
    /// Default of [`SharedStore::lease`].
    pub const LEASE: Duration = Duration::from_secs(60);
}

/// A scope as a pipe's config declares it.
#[derive(Clone, Debug)]
pub struct ScopeDeclaration {
    /// Its name.
    pub name: String,
    /// Number of key fields.
    pub fields: u32,
    /// Whether keys leave out the envelope's type.
    pub across_types: bool,
    /// The key's paths, as in the config. They may differ by pipe; the ledger keeps them for the
    /// day on which the definition changes.
    pub paths: Vec<String>,
    /// Whether the definition may be another one than the ledger's (`run --new-key`).
    pub new_key: Option<NewKey>,
    /// Clock and lateness; one for all pipes of the scope.
    pub options: ScopeOptions,
}

/// Another definition of a scope's keys is agreed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewKey {
    /// The paths of the old key, for a data folder that never recorded them.
    pub old_paths: Option<Vec<String>>,
    /// Keys of old definitions that are remembered for ever are forgotten with the last of those
    /// that end.
    pub forget_forever: bool,
}
