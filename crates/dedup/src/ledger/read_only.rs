//! What is committed, without the lock.

use std::path::Path;

use journal::Disk;

use super::LedgerOptions;
use super::open::limits;
use super::replay::{Replayed, journal_error};
use crate::error::{FolderIo, LedgerError, NoLedger};
use crate::folder::Folder;
use crate::state::LedgerState;

/// What is committed, without the lock: up to the last whole record, also while another process
/// writes.
///
/// # Errors
/// [`LedgerError`]; nothing is ever changed.
pub fn read_only(disk: &dyn Disk, dir: &Path) -> Result<LedgerState, LedgerError> {
    let folder = Folder::new(dir);
    let stat = disk.stat(&folder.journal);
    let there = stat.map_err(|error| FolderIo::new("look at", &folder.journal, error))?.is_some();
    if !there {
        return Err(NoLedger { dir: folder.data }.into());
    }
    let mut replayed = Replayed::new(&folder, limits(&LedgerOptions::default()));
    let read = journal::read_only(disk, &folder.journal, &mut |position, bytes| {
        Ok(replayed.record(position, bytes)?)
    });
    read.map_err(journal_error)?;
    replayed.finish()?.ok_or_else(|| NoLedger { dir: folder.data }.into())
}
