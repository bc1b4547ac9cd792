//! Compaction: finished staging files become Parquet files of the table. On disk:
//! docs/formats/table.md and lake-journal.md.
//!
//! The way of a row: `inputs` (which files) → `chunk` (text, sidecar, time, partition) → `sort`
//! (runs, in memory or spilled) → `merge` → `table::shred` (columns) → `output` (Parquet) →
//! `switch`.

mod chunk;
mod error;
mod inputs;
mod keys;
mod lock;
mod merge;
mod options;
mod output;
mod partitions;
mod place;
mod report;
mod run;
mod sort;
mod state;
mod store;
mod switch;
mod table_state;
mod work;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use event::Clock;
use event::source::Stop;
use journal::{Disk, SyncPoint};

pub use error::CompactError;
pub use lock::CompactLock;
pub use options::{CompactOptions, PartitionField};
pub use report::{
    Compaction, DuplicateKey, LISTED_MAX, OtherPartition, Phase, Progress, Quiet, RescuedField,
};
pub use table_state::{TableState, table_state};

use crate::table::Limits;
use place::Place;
use sort::Sorted;
use state::{Level, State, Switch, Taken};
use store::Store;
use work::Job;
use write::{Writing, Written};

/// Compacts the finished staging files of the lake in the folder `lake`, on the real disk.
///
/// `published` says of a file of staging, by the name that the ledger has for it, whether the
/// ledger surely won't look for it again. `clock` is for what is logged only: what is decided is
/// decided from the rows.
///
/// # Errors
/// See [`CompactError`]; each one leaves staging and table so that every row is in one of them, and
/// the next compaction goes on from there.
pub fn compact(
    disk: &Arc<dyn Disk>,
    lake: &Path,
    options: &CompactOptions,
    clock: &dyn Clock,
    published: &dyn Fn(&str) -> bool,
    progress: &dyn Progress,
    stop: &Stop,
) -> Result<Compaction, CompactError> {
    let _lock = CompactLock::take(lake)?;
    compact_locked(disk, lake, options, clock, published, progress, stop)
}

/// [`compact`] for whoever holds the lake's lock, or simulates the disk.
///
/// # Errors
/// As [`compact`].
pub fn compact_locked(
    disk: &Arc<dyn Disk>,
    lake: &Path,
    options: &CompactOptions,
    _clock: &dyn Clock,
    published: &dyn Fn(&str) -> bool,
    progress: &dyn Progress,
    stop: &Stop,
) -> Result<Compaction, CompactError> {
    check(options)?;
    let place = Place::new(lake);
    let own = disk.stat(&place.own).map_err(CompactError::io("look at", &place.own))?;
    if own.is_none() {
        return Err(CompactError::NoLake { lake: lake.into() });
    }
    let job = Job { disk, place: &place, options, progress, stop, failed: AtomicBool::new(false) };
    let mut store = Store::open(disk, &place)?;
    let mut done = Compaction { recovered: store.recover(&job)?, ..Compaction::default() };
    let inputs = inputs::find(disk.as_ref(), &place, published)?;
    done.waiting = inputs.waiting;
    if inputs.taken.is_empty() {
        done.nothing_to_do = true;
        store.close()?;
        return Ok(done);
    }
    let levels = levels(&store.state, options, lake)?;
    store.begin(&job, &levels)?;
    match write_table(&job, &store, inputs.taken, &levels) {
        Ok((state, written)) => {
            fill(&mut done, &store.state, &state, &written);
            store.switch(&job, state)?;
            store.close()?;
            Ok(done)
        }
        Err(error) => {
            // For the room that it takes; the next start would do it as well.
            let _ = switch::remove_spilled(disk.as_ref(), &place);
            let _ = switch::remove_unfinished(disk.as_ref(), &place.table);
            Err(error)
        }
    }
}

fn check(options: &CompactOptions) -> Result<(), CompactError> {
    let refuse = |what: String| Err(CompactError::Option { what });
    let (target, most) = (options.file_bytes_target, CompactOptions::FILE_BYTES_TARGET_MAX);
    if target == 0 || target > most {
        return refuse(format!("file_bytes_target is {target}; it must be 1 to {most}"));
    }
    let (memory, least) = (options.memory_bytes_max, CompactOptions::MEMORY_BYTES_MIN);
    if memory < least {
        return refuse(format!("compact_memory_bytes_max is {memory}; the least is {least}"));
    }
    if options.threads == 0 {
        return refuse("compaction needs at least one thread".into());
    }
    for (at, field) in options.partition.iter().enumerate() {
        if options.partition.get(..at).is_some_and(|before| before.contains(field)) {
            return refuse(format!("the table is partitioned twice by {}", field.spec()));
        }
    }
    Ok(())
}

/// The table's folders, as the journal has them or as they are to be.
fn levels(
    state: &State,
    options: &CompactOptions,
    lake: &Path,
) -> Result<Vec<Level>, CompactError> {
    let names = |levels: &[String]| {
        if levels.is_empty() { "nothing".to_owned() } else { levels.join(", ") }
    };
    let config: Vec<String> = options.partition.iter().map(PartitionField::spec).collect();
    if let Some(known) = &state.partition {
        let table: Vec<String> = known.iter().map(|level| level.field.clone()).collect();
        if table != config {
            let (table, config) = (names(&table), names(&config));
            return Err(CompactError::Partition { lake: lake.into(), table, config });
        }
        return Ok(known.clone());
    }
    let mut levels: Vec<Level> = Vec::new();
    for field in &options.partition {
        let mut key = field.key();
        while levels.iter().any(|level| level.key.eq_ignore_ascii_case(&key)) {
            key.push_str("_partition");
        }
        levels.push(Level { field: field.spec(), key });
    }
    Ok(levels)
}

/// Everything up to the switch: the state after it, and what was written for it.
fn write_table(
    job: &Job<'_>,
    store: &Store,
    taken: Vec<Taken>,
    levels: &[Level],
) -> Result<(State, Written), CompactError> {
    let limits = Limits::DEFAULT;
    let mut state = store.state.clone();
    let days = std::mem::take(&mut state.days);
    let mut sorted = sort::sort(job, &taken, levels, days, &limits)?;
    let keys: Vec<String> = levels.iter().map(|level| level.key.clone()).collect();
    let columns_added = state.columns.grow(&sorted.learned, &limits, &keys);
    let writing = Writing {
        job,
        number: state.next - 1,
        runs: &sorted.runs,
        partitions: &sorted.partitions,
        schema: &state.columns,
        shards: &sorted.shards,
    };
    let mut written = writing.write()?;
    let rows: u64 = written.made.iter().map(|made| made.rows).sum();
    if rows != sorted.rows {
        let what = format!("{rows} rows were written of {}", sorted.rows);
        return Err(CompactError::Damaged { file: job.place.table.clone(), what });
    }
    sorted.runs.clear();
    switch::remove_spilled(job.disk.as_ref(), job.place)?;
    written.columns_added = columns_added;
    state.days = std::mem::take(&mut sorted.days);
    let (rows_rescued, rescued) = std::mem::take(&mut written.rescues).finish();
    add_rescued(&mut state.rescued, &rescued);
    state.totals.compactions += 1;
    state.totals.rows += rows;
    state.totals.rows_rescued += rows_rescued;
    state.totals.rows_duplicate += sorted.rows_duplicate;
    (written.rows_rescued, written.rescued) = (rows_rescued, rescued);
    state.switch = Some(Switch { inputs: taken, outputs: std::mem::take(&mut written.made) });
    written.sorted = Some(sorted);
    Ok((state, written))
}

/// Most kinds of rescued values that the journal remembers.
const RESCUED_MAX: usize = 100;

/// Adds to what the journal remembers of rescued values.
fn add_rescued(all: &mut Vec<RescuedField>, new: &[RescuedField]) {
    for field in new {
        let same =
            |known: &&mut RescuedField| known.column == field.column && known.found == field.found;
        if let Some(known) = all.iter_mut().find(same) {
            known.rows += field.rows;
        } else if all.len() < RESCUED_MAX {
            all.push(field.clone());
        }
    }
}

fn fill(done: &mut Compaction, before: &State, state: &State, written: &Written) {
    let Some(switch) = &state.switch else { return };
    done.inputs = switch.inputs.len() as u64;
    done.bytes_in = switch.inputs.iter().map(|taken| taken.bytes).sum();
    done.files_out = switch.outputs.len() as u64;
    done.bytes_out = switch.outputs.iter().map(|made| made.bytes).sum();
    done.rows = state.totals.rows - before.totals.rows;
    done.rows_rescued = written.rows_rescued;
    done.rescued = written.rescued.clone();
    done.columns_added = written.columns_added.clone();
    if let Some(sorted) = &written.sorted {
        done.partitions = sorted.partitions.len() as u64;
        done.rows_without_event_time = sorted.rows_without_time;
        done.other_partitions = sorted.other.clone();
        done.bytes_spilled = sorted.bytes_spilled;
        done.rows_duplicate = sorted.rows_duplicate;
        done.duplicates = sorted.duplicates.clone();
    }
}

/// The folder for what is spilled; it needn't survive anything.
fn make_spill(job: &Job<'_>) -> Result<(), CompactError> {
    match job.disk.mkdir(&job.place.spill) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(CompactError::io("create", &job.place.spill)(error))
        }
        _ => switch::remove_spilled(job.disk.as_ref(), job.place),
    }
}

/// Makes the folder of the table durable.
fn make_table(job: &Job<'_>) -> Result<(), CompactError> {
    let (root, table) = (&job.place.root, &job.place.table);
    journal::mkdir_all_synced(job.disk.as_ref(), root, table, SyncPoint("compact.folder"))
        .map_err(CompactError::io("create", table))
}
