//! The ledger: the journal of commits of a data folder.

mod options;
mod pipe;
mod settlement;

use std::path::Path;
use std::sync::Arc;

use event::{Clock, Epoch, LedgerId};
use journal::Disk;

pub use self::options::{LedgerOptions, PipeDeclaration, Random, ScopeDeclaration};
pub use self::pipe::{PendingCommit, PipeLedger};
pub use self::settlement::{
    CounterChange, MessageIdChange, ParkedChange, PositionChange, Settlement,
};
pub use crate::error::LedgerError;
pub use crate::state::{LedgerState, MinuteBucket, Tally};

/// The journal of commits of a data folder.
pub struct Ledger {}

impl Ledger {
    /// Opens the ledger of data folder `dir`, or makes one. Writes a record of the new epoch that
    /// moves what the last run left in flight to `returned`.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing was changed that the next start can't put right.
    pub fn open(
        _disk: Arc<dyn Disk>,
        _dir: &Path,
        _options: LedgerOptions,
        _clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, LedgerError> {
        Err(LedgerError::Closed)
    }

    /// The ledger's id.
    #[must_use]
    pub fn id(&self) -> LedgerId {
        LedgerId(0)
    }

    /// How often the ledger was opened, this time included.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(0)
    }

    /// Declares a pipe that starts now, and loads its scope's keys. A pipe is declared once per
    /// open ledger.
    ///
    /// # Errors
    /// [`LedgerError`]: another definition or other options of the scope, the wall clock set back,
    /// the pipe declared twice, a key run missing or damaged, or the record not written.
    pub fn pipe(
        self: &Arc<Self>,
        _declaration: PipeDeclaration,
    ) -> Result<Arc<PipeLedger>, LedgerError> {
        Err(LedgerError::Closed)
    }

    /// What is committed, for reports.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn state(&self) -> LedgerState {
        LedgerState::new(LedgerId(0))
    }

    /// Moves keys into key runs, forgets expired runs, and lets go of old journal segments. Also
    /// happens by itself, in the background, past `checkpoint_journal_bytes`.
    ///
    /// # Errors
    /// [`LedgerError::DiskFull`]: nothing was lost, and it is tried again later. Any other stops
    /// the ledger.
    pub fn checkpoint(&self) -> Result<(), LedgerError> {
        Err(LedgerError::Closed)
    }

    /// Ends orderly: a last record with what was published, and the journal closed. Commits that
    /// are under way are waited for; later ones fail.
    ///
    /// # Errors
    /// [`LedgerError`]; what was committed stays committed.
    pub fn close(&self) -> Result<(), LedgerError> {
        Ok(())
    }
}

/// What is committed, without the lock: up to the last whole record, also while another process
/// writes.
///
/// # Errors
/// [`LedgerError`]; nothing is ever changed.
pub fn read_only(_disk: &dyn Disk, _dir: &Path) -> Result<LedgerState, LedgerError> {
    Err(LedgerError::Closed)
}
