//! What there is to say of a lake's table, without changing anything.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use journal::{Disk, OpenError};
use serde::{Deserialize, Serialize};

use super::place::{self, Place};
use super::state::State;
use super::{CompactError, RescuedField, inputs};
use crate::table::Column;

/// The table of a lake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableState {
    /// Columns that came from events, in order; the table's own aren't among them.
    pub columns: Vec<Column>,
    /// What its folders are called before the `=`, outermost first.
    pub partition: Vec<String>,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Folders that have files.
    pub partitions: u64,
    /// Rows that all compactions wrote.
    pub rows: u64,
    /// Rows of them that have something in `_rescued`.
    pub rows_rescued: u64,
    /// What it is; the first 100 kinds.
    pub rescued: Vec<RescuedField>,
    /// Rows that repeated a key within its window when they were compacted.
    pub rows_duplicate: u64,
    /// How often it was compacted.
    pub compactions: u64,
    /// Whether a switch is going on, or was interrupted.
    pub switching: bool,
    /// Finished staging files.
    pub staging_files: u64,
    /// Their bytes.
    pub staging_bytes: u64,
}

/// Looks at the table of the lake in the folder `lake`; a compaction may go on meanwhile. `None`
/// when there is no lake.
///
/// # Errors
/// [`CompactError::Open`], [`CompactError::Io`].
pub fn table_state(disk: &Arc<dyn Disk>, lake: &Path) -> Result<Option<TableState>, CompactError> {
    let place = Place::new(lake);
    let own = disk.stat(&place.own).map_err(CompactError::io("look at", &place.own))?;
    if own.is_none() {
        return Ok(None);
    }
    let mut state = State::default();
    let read = journal::read_only(disk.as_ref(), &place.journal, &mut |_, record| {
        state = State::decode(record)?;
        Ok(())
    });
    match read {
        Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        read => drop(read?),
    }
    let mut table = TableState {
        columns: state.columns.columns,
        partition: state.partition.unwrap_or_default().into_iter().map(|level| level.key).collect(),
        rows: state.totals.rows,
        rows_rescued: state.totals.rows_rescued,
        rescued: state.rescued,
        rows_duplicate: state.totals.rows_duplicate,
        compactions: state.totals.compactions,
        switching: state.switch.is_some(),
        ..TableState::default()
    };
    let mut folders = BTreeSet::new();
    count(disk.as_ref(), &place.table, &mut table, &mut folders)?;
    table.partitions = folders.len() as u64;
    (table.staging_files, table.staging_bytes) = inputs::count(disk.as_ref(), &place)?;
    Ok(Some(table))
}

fn count(
    disk: &dyn Disk,
    folder: &Path,
    table: &mut TableState,
    folders: &mut BTreeSet<std::path::PathBuf>,
) -> Result<(), CompactError> {
    let entries = match disk.list(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(CompactError::io("list", folder)(error)),
    };
    for entry in entries {
        if entry.is_dir {
            count(disk, &folder.join(&entry.name), table, folders)?;
        } else if place::is_part(&entry.name) {
            table.files += 1;
            table.bytes += entry.bytes;
            folders.insert(folder.to_path_buf());
        }
    }
    Ok(())
}
