//! Staging one batch, and taking it back.

use std::collections::VecDeque;
use std::path::Path;

use event::sink::{Pending, Rows, SinkError, Staged, StagedOutput};
use event::{Batch, BatchNumber};
use journal::{PendingSync, SyncPoint};

use super::group::{self, Group};
use super::names::{FileName, Minute};
use super::open_file::{Lens, OpenFile, pending, write_error};
use super::publish::io;
use super::recovery::remove_begun;
use super::{By, StagingSink};
use crate::rows::RowParts;
use crate::sidecar::{self, Columns};

/// What taking back the batch that was staged last needs.
#[derive(Default)]
pub(super) struct Undo {
    /// Files that were begun in it.
    created: Vec<FileName>,
    /// Length before it of the other files that it appended to.
    appended: Vec<(FileName, Lens)>,
    /// Files of earlier batches that it finished.
    pub(super) finished: Vec<OpenFile>,
}

/// Syncs of one batch that are under way. Each holds a descriptor, so there is a limit to them.
struct Syncs {
    waiting: VecDeque<(PendingSync, String)>,
    most: usize,
}

impl Syncs {
    fn push(&mut self, sync: PendingSync, what: String) -> Result<(), SinkError> {
        self.waiting.push_back((sync, what));
        if self.waiting.len() > self.most
            && let Some((sync, what)) = self.waiting.pop_front()
        {
            return pending(sync, what)();
        }
        Ok(())
    }
}

/// One batch on its way into files.
struct Work {
    /// Names of the files that it begins, in the order of its groups.
    new: VecDeque<FileName>,
    /// The folders of those.
    folders: Vec<Minute>,
    syncs: Syncs,
    output: StagedOutput,
}

impl StagingSink {
    pub(super) fn stage_rows(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError> {
        self.undo = Some(Undo::default());
        if rows.number != self.number {
            (self.number, self.begun) = (rows.number, 0);
        }
        refuse_spilled(rows)?;
        let mut groups = group::by_minute(rows, self.options.by);
        // Those with a file come first: making room for a new one may finish any of the others.
        groups.sort_by_key(|group| self.position_of(group.minute).is_none());
        let most = self.options.staging_files_open_max.saturating_mul(2).max(2);
        let mut work = Work {
            new: self.begin_files(&groups, rows.number)?,
            folders: Vec::new(),
            syncs: Syncs { waiting: VecDeque::new(), most },
            output: StagedOutput::default(),
        };
        for group in &groups {
            self.stage_group(rows, group, &mut work)?;
            self.evict(&mut work.output);
        }
        for file in self.take_due(rows.now_ms, false) {
            self.finish_one(file, &mut work.output);
        }
        let mut waits: Vec<Pending> =
            work.syncs.waiting.into_iter().map(|(sync, what)| pending(sync, what)).collect();
        for file in self.undo.iter_mut().flat_map(|undo| &mut undo.finished) {
            waits.extend(file.sync_cut());
        }
        waits.extend(self.sync_folders(work.folders));
        Ok(Staged { output: work.output, pending: waits })
    }

    fn position_of(&self, minute: Minute) -> Option<usize> {
        self.open.iter().position(|file| file.name.minute == minute)
    }

    fn stage_group(
        &mut self,
        rows: &Rows<'_>,
        group: &Group,
        work: &mut Work,
    ) -> Result<(), SinkError> {
        let known = self.position_of(group.minute);
        let mut file = match known {
            Some(index) => self.open.swap_remove(index),
            None => {
                let name = match work.new.pop_front() {
                    Some(name) => Some(name),
                    None => self.begin_files(std::slice::from_ref(group), rows.number)?.pop_front(),
                };
                let Some(name) = name else { return Ok(()) };
                work.folders.push(group.minute);
                self.create(name, rows.now_ms)?
            }
        };
        let base = file.lens();
        if let (Some(_), Some(undo)) = (known, &mut self.undo) {
            undo.appended.push((file.name.clone(), base));
        }
        self.uses += 1;
        file.used = self.uses;
        if let Err(error) = self.append(&mut file, rows, group) {
            self.open.push(file);
            return Err(error);
        }
        let syncs = file.sync_start().into_iter().zip([file.name.rows(), file.name.keys()]);
        let full = file.lens().rows >= self.options.staging_file_bytes_max;
        work.output.files.extend(file.staged(base, full));
        match (full, known, &mut self.undo) {
            (false, ..) => self.open.push(file),
            // Within reach of `take_back`; one that was begun in this batch is removed by it.
            (true, Some(_), Some(undo)) => undo.finished.push(file),
            (true, ..) => {}
        }
        for (sync, name) in syncs {
            work.syncs.push(sync, name)?;
        }
        Ok(())
    }

    /// Names the files that the groups need anew, and leaves a marker for each: a file that no
    /// record names must be found at the next start.
    fn begin_files(
        &mut self,
        groups: &[Group],
        number: BatchNumber,
    ) -> Result<VecDeque<FileName>, SinkError> {
        let mut new = VecDeque::new();
        for group in groups {
            if self.position_of(group.minute).is_some() {
                continue;
            }
            self.begun += 1;
            let epoch = self.identity.epoch.0;
            let name = self.place.new_file(group.minute, epoch, number, self.begun);
            let marker = self.place.markers().join(name.marker());
            if let Some(undo) = &mut self.undo {
                undo.created.push(name.clone());
            }
            let refused = |error| write_error("create", marker.display().to_string(), error);
            self.disk.create_new(&marker).map_err(refused)?;
            new.push_back(name);
        }
        if !new.is_empty() {
            let markers = self.place.markers();
            self.disk
                .sync_dir(&markers, SyncPoint("staging.markers"))
                .map_err(|error| io("sync", &markers, error))?;
        }
        Ok(new)
    }

    fn create(&mut self, name: FileName, now_ms: i64) -> Result<OpenFile, SinkError> {
        self.folders.ensure(Path::new(&name.minute.folder()))?;
        let create = |name: String| {
            let path = self.place.open_path(&name);
            self.disk.create_new(&path).map_err(|error| write_error("create", name, error))
        };
        let (rows, keys) = (create(name.rows())?, create(name.keys())?);
        let lens = Lens::default();
        Ok(OpenFile { name, rows, keys, lens, opened_ms: now_ms, used: 0, cut: false })
    }

    /// Appends the rows of a group to its file.
    fn append(
        &mut self,
        file: &mut OpenFile,
        rows: &Rows<'_>,
        group: &Group,
    ) -> Result<(), SinkError> {
        let mut parts = RowParts::new(rows.batch);
        for event in group.events.iter().filter_map(|&at| rows.batch.events.get(at as usize)) {
            parts.push(event);
        }
        self.columns.clear();
        fill(&mut self.columns, rows.batch, &group.events);
        self.block.clear();
        if file.lens().keys == 0 {
            self.block.extend(sidecar::header());
        }
        self.columns.write(rows.number, file.lens().rows, parts.bytes(), &mut self.block);
        let bytes = parts.bytes();
        file.append(parts.parts(), bytes, &self.block)
    }

    /// Finishes the files that were longest without a row, until no more than allowed are open.
    fn evict(&mut self, output: &mut StagedOutput) {
        while self.open.len() > self.options.staging_files_open_max.max(1) {
            let oldest = self.open.iter().enumerate().min_by_key(|(_, file)| file.used);
            let Some((index, _)) = oldest else { return };
            let file = self.open.swap_remove(index);
            self.finish_one(file, output);
        }
    }

    /// Notes that a file is finished, in its entry if this batch has one already.
    fn finish_one(&mut self, file: OpenFile, output: &mut StagedOutput) {
        let mut entries = file.staged(file.lens(), true).into_iter();
        let rows = file.name.rows();
        match output.files.iter().position(|staged| staged.name == rows) {
            Some(at) => output.files.iter_mut().skip(at).take(2).for_each(|f| f.finished = true),
            None => output.files.extend(&mut entries),
        }
        if let Some(undo) = &mut self.undo
            && !undo.created.contains(&file.name)
        {
            undo.finished.push(file);
        }
    }

    /// Takes the files whose time is over, or all, out of the open ones.
    pub(super) fn take_due(&mut self, now_ms: i64, all: bool) -> Vec<OpenFile> {
        let open_ms_max = i64::from(self.options.staging_open_minutes_max) * 60_000;
        let by = self.options.by;
        let due = |file: &mut OpenFile| {
            all || match by {
                By::Arrival => file.name.minute.end_ms() <= now_ms,
                By::EventTime => file.opened_ms.saturating_add(open_ms_max) <= now_ms,
            }
        };
        self.open.extract_if(.., due).collect()
    }

    /// Makes the names of new files durable.
    fn sync_folders(&self, minutes: Vec<Minute>) -> Vec<Pending> {
        let sync =
            |minute: Minute| -> Pending {
                let disk = std::sync::Arc::clone(&self.disk);
                let what = minute.folder();
                let path = self.place.path(&what);
                Box::new(move || {
                    disk.sync_dir(&path, SyncPoint("staging.created"))
                        .map_err(|error| SinkError::Io { action: "sync", what, error })
                })
            };
        minutes.into_iter().map(sync).collect()
    }

    /// Takes back what the last `stage` wrote, and what was finished with it.
    pub(super) fn take_back(&mut self) -> Result<(), SinkError> {
        let Some(undo) = self.undo.take() else {
            return Err(SinkError::Foreign {
                what: format!("batch {} can't be withdrawn from the lake", self.number),
                help: "It isn't the one that was staged last; run again, which cuts it off".into(),
            });
        };
        self.open.retain(|file| !undo.created.contains(&file.name));
        self.open.extend(undo.finished);
        remove_begun(self.disk.as_ref(), &self.place, &undo.created)?;
        for (name, lens) in undo.appended {
            if let Some(file) = self.open.iter_mut().find(|file| file.name == name) {
                file.cut_to(lens)?;
            }
        }
        Ok(())
    }
}

/// A payload that is too long for a batch's buffer can only be rejected.
fn refuse_spilled(rows: &Rows<'_>) -> Result<(), SinkError> {
    let spilled = |event: &&u32| rows.batch.spilled(**event as usize).is_some();
    if rows.batch.spilled.is_empty() {
        return Ok(());
    }
    match rows.events.iter().find(spilled) {
        None => Ok(()),
        Some(event) => Err(SinkError::Foreign {
            what: format!("event {event} of batch {} is over event_bytes_max", rows.number),
            help: "It can only go to the rejected file; raise event_bytes_max to deliver it".into(),
        }),
    }
}

fn fill(columns: &mut Columns, batch: &Batch, events: &[u32]) {
    let mut extents = batch.extent_ranges();
    let mut extent = extents.next();
    for &index in events {
        let index = index as usize;
        while extent.as_ref().is_some_and(|(_, range)| index >= range.end) {
            extent = extents.next();
        }
        if let (Some((extent, range)), Some(event)) = (&extent, batch.events.get(index)) {
            let (offset, _) = batch.position(extent, range, index);
            let (recorded_ms, window_ms) = (event.recorded_ms, event.window_ms);
            columns.push(
                extent.shard_of(index),
                offset,
                event.key,
                recorded_ms,
                window_ms,
                event.marks,
            );
        }
    }
}
