//! Opening a ledger: what the journal amounts to, and a record of the new epoch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};

use event::{Clock, Epoch, LedgerId};
use journal::{Disk, Journal, Position};

use super::LedgerOptions;
use super::checkpoint::KeyPlaces;
use super::core::{Core, Live};
use super::replay::{Replayed, journal_error};
use super::shared::Sharing;
use crate::error::{Damaged, FolderIo, LedgerError};
use crate::folder::{Folder, FolderLock};
use crate::record::{OpenRecord, Record};
use crate::run::missing;
use crate::sightings;
use crate::state::{LedgerState, StateLimits};

/// Ending of a key run's name.
const RUN_ENDING: &str = ".run";

/// Opens or makes the ledger of data folder `dir`.
pub(super) fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    options: LedgerOptions,
    clock: Arc<dyn Clock>,
) -> Result<Core, LedgerError> {
    let folder = Folder::new(dir);
    folder.make(&*disk, &folder.data)?;
    let lock = if options.lock { Some(FolderLock::take(&folder.data)?) } else { None };
    folder.make(&*disk, &folder.runs)?;

    let limits = limits(&options);
    let mut replayed = Replayed::new(&folder, limits);
    let journal = Journal::open(
        Arc::clone(&disk),
        &folder.journal,
        options.journal.clone(),
        &mut |position, bytes| Ok(replayed.record(position, bytes)?),
    );
    let journal = journal.map_err(journal_error)?;
    let known = replayed.finish()?;
    check_runs(&*disk, &folder, known.as_ref())?;
    let state = match known {
        Some(state) => state,
        None => {
            let id = options.random.bytes("ledger id")?;
            LedgerState::new(LedgerId(u128::from_le_bytes(id)))
        }
    };
    let sightings = sightings::Writer::new(
        Arc::clone(&disk),
        folder.sightings.clone(),
        state.ledger_id,
        Epoch(state.epoch.0 + 1),
        options.sightings_bytes_max,
    );
    let core = Core {
        disk,
        folder,
        sightings,
        limits,
        clock,
        _lock: lock,
        journal: Mutex::new(Some(Arc::new(journal))),
        stopped: OnceLock::new(),
        declaring: Mutex::new(BTreeSet::new()),
        key_places: Mutex::new(KeyPlaces {
            keys_after: replayed.keys_after,
            next_run: 0,
            imports: 1,
        }),
        applying: Mutex::new(()),
        submitted: Mutex::new(VecDeque::new()),
        live: Mutex::new(Live { state, applied: Position(0) }),
        void: Mutex::new(replayed.void),
        scopes: Mutex::new(BTreeMap::new()),
        sharing: Sharing::default(),
        published: Mutex::new(BTreeMap::new()),
        checkpoint_due: AtomicU64::new(u64::MAX),
        keys_after: AtomicU64::new(0),
        checkpoint_due_ms: AtomicI64::new(i64::MAX),
        checkpoint_running: AtomicBool::new(false),
        checkpoint_thread: Mutex::new(None),
        options,
    };
    begin_epoch(core)
}

/// Writes the record of the new epoch. What the last one left in flight moves to `returned`.
fn begin_epoch(core: Core) -> Result<Core, LedgerError> {
    let record = {
        let live = super::lock(&core.live);
        OpenRecord {
            onceflow_version: core.options.onceflow_version.clone(),
            ledger_id: live.state.ledger_id,
            epoch: Epoch(live.state.epoch.0 + 1),
            opened_ms: core.clock.now_ms(),
            returned: live.state.left_in_flight(),
        }
    };
    let core = Arc::new(core);
    core.append(Record::Open(record))?;
    let keys_after = super::lock(&core.key_places).keys_after;
    core.plan_checkpoint(keys_after.unwrap_or(Position(0)));
    Arc::into_inner(core).ok_or_else(|| LedgerError::stopped("the ledger is shared too early"))
}

/// What is counted and how.
pub(super) fn limits(options: &LedgerOptions) -> StateLimits {
    let (counter_minutes_max, types_max) = (options.counter_minutes_max, options.types_max);
    StateLimits { counter_minutes_max, types_max }
}

/// Every run that is listed must be there; those that aren't listed are removed.
fn check_runs(
    disk: &dyn Disk,
    folder: &Folder,
    state: Option<&LedgerState>,
) -> Result<(), LedgerError> {
    let io = |what, path: &Path| {
        let path = path.to_path_buf();
        move |error| LedgerError::from(FolderIo::new(what, &path, error))
    };
    let files = disk.list(&folder.runs).map_err(io("list", &folder.runs))?;
    let Some(state) = state else {
        return match files.iter().find(|file| file.name.ends_with(RUN_ENDING)) {
            None => Ok(()),
            Some(_) => {
                let what = "it is empty, but there are key runs that belong to it".into();
                Err(Damaged { file: folder.journal.clone(), offset: None, what }.into())
            }
        };
    };
    for run in &state.runs {
        match files.iter().find(|file| file.name == run.name) {
            Some(file) if file.bytes == run.bytes => {}
            Some(file) => {
                let (file, found) = (folder.runs.join(&run.name), file.bytes);
                let what =
                    format!("its length is {found} bytes, and the ledger recorded {}", run.bytes);
                return Err(Damaged { file, offset: None, what }.into());
            }
            None => return Err(missing(folder.runs.join(&run.name))),
        }
    }
    let listed: BTreeSet<&str> = state.runs.iter().map(|run| run.name.as_str()).collect();
    let runs = files.iter().filter(|file| file.name.ends_with(RUN_ENDING));
    for file in runs.filter(|file| !listed.contains(file.name.as_str())) {
        let path = folder.runs.join(&file.name);
        disk.unlink(&path).map_err(io("remove", &path))?;
    }
    Ok(())
}
