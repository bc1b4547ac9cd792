//! What a report says of the tables of lakes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::Disk;
use serde::Serialize;

use crate::last_run::LastRun;
use crate::show;

/// Rescued fields that a report names, for each table.
const RESCUED_SHOWN_MAX: usize = 20;

/// The table of a lake.
#[derive(Clone, Debug, Serialize)]
pub struct TableReport {
    /// The lake's folder.
    pub lake: PathBuf,
    /// How its folders are called, from the outside in.
    pub partition: Vec<String>,
    /// Columns that came from events.
    pub columns: u64,
    /// Rows that compactions wrote.
    pub rows: u64,
    /// Parquet files.
    pub files: u64,
    /// Folders that have files.
    pub partitions: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Rows that have something in `_rescued`.
    pub rows_rescued: u64,
    /// Rows that repeated a key within its window: an imbalance.
    pub rows_duplicate: u64,
    /// Finished NDJSON files that wait.
    pub staging_files: u64,
    /// What somebody should look at.
    pub remarks: Vec<String>,
}

/// Looks at the tables of all lakes that the last run delivered into. One that can't be read is
/// left out, and a line says why.
#[must_use]
pub fn look(disk: &Arc<dyn Disk>, last_run: Option<&LastRun>) -> (Vec<TableReport>, Vec<String>) {
    let mut lakes: Vec<&Path> = Vec::new();
    for sink in last_run.iter().flat_map(|run| &run.pipes).flat_map(|pipe| &pipe.sinks) {
        if let Some(path) = sink.path.as_deref().filter(|_| sink.kind == "lake")
            && !lakes.contains(&path)
        {
            lakes.push(path);
        }
    }
    let (mut tables, mut problems) = (Vec::new(), Vec::new());
    for lake in lakes {
        match lake::table_state(disk, lake) {
            Ok(Some(state)) => tables.push(table(lake, &state)),
            Ok(None) => {}
            Err(error) => problems.push(format!("the table in {}: {error}", lake.display())),
        }
    }
    (tables, problems)
}

fn table(lake: &Path, state: &lake::TableState) -> TableReport {
    let mut remarks = Vec::new();
    for field in state.rescued.iter().take(RESCUED_SHOWN_MAX) {
        remarks.push(format!(
            "table in {}: {}: {} in _rescued ({}), like {}",
            lake.display(),
            field.column,
            show::counted(field.rows, "value"),
            field.found,
            field.example,
        ));
    }
    TableReport {
        lake: lake.to_owned(),
        partition: state.partition.clone(),
        columns: state.columns.len() as u64,
        rows: state.rows,
        files: state.files,
        partitions: state.partitions,
        bytes: state.bytes,
        rows_rescued: state.rows_rescued,
        rows_duplicate: state.rows_duplicate,
        staging_files: state.staging_files,
        remarks,
    }
}
