//! Removing finished files of hours that are over for longer than the retention.

use std::path::Path;
use std::sync::atomic::Ordering;

use event::sink::SinkError;
use journal::{Disk, SyncPoint};

use super::names::{Hour, Place, Written, hour_of, level};
use super::open_file::{io, write_error};
use super::publish::remove;
use super::sink::ArchiveSink;

/// How often it is looked at.
const EVERY_MS: i64 = 60_000;

/// How far old files are removed. A file in `_onceflow/removed` is named after the hour: it is
/// renamed before the first file of an hour goes, so that a start doesn't miss what it has removed
/// itself. Renaming needs no room: a full disk is when removing matters most.
#[derive(Debug, Default)]
pub(super) struct Retention {
    /// As on disk.
    removed: Option<Hour>,
    /// When it was looked at last.
    looked_ms: Option<i64>,
}

impl Retention {
    /// Reads how far an earlier run came; the file is made when it is wanted and missing.
    pub(super) fn open(disk: &dyn Disk, place: &Place, begin: bool) -> Result<Self, SinkError> {
        let folder = place.removed();
        let listed = disk.list(&folder).map_err(|error| io("list", &folder, error))?;
        let mut removed = listed.iter().filter_map(|entry| place.removed_hour(&entry.name)).max();
        if begin && removed.is_none() {
            let first = Hour::FIRST;
            let path = folder.join(place.removed_through(first));
            disk.create_new(&path)
                .map_err(|error| write_error("create", path.display().to_string(), error))?;
            removed = Some(first);
        }
        Ok(Self { removed, looked_ms: None })
    }

    /// The hour up to which finished files may be gone.
    pub(super) const fn removed_through(&self) -> Option<Hour> {
        self.removed
    }
}

impl ArchiveSink {
    /// Removes what is too old, at most once a minute. Only a failed sync is an error: what can't
    /// be removed now stays until later.
    pub(super) fn remove_old(&mut self, now_ms: i64) -> Result<(), SinkError> {
        let Some(retention) = self.options.retention else { return Ok(()) };
        let looked = self.retention.looked_ms;
        if looked.is_some_and(|looked| now_ms.abs_diff(looked) < EVERY_MS.unsigned_abs()) {
            return Ok(());
        }
        self.retention.looked_ms = Some(now_ms);
        let retention_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        // The last hour that ended by then.
        let over = Hour::of_ms(now_ms.saturating_sub(retention_ms)).before();
        match self.remove_through(over) {
            Err(error @ SinkError::Io { action: "sync", .. }) => Err(error),
            Err(error) => {
                tracing::warn!(pipe = self.identity.pipe, %error, "old archive files stay until the next look");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn remove_through(&mut self, over: Hour) -> Result<(), SinkError> {
        for hour in hours(self.disk.as_ref(), self.place.root())? {
            if hour <= over {
                self.remove_hour(hour, over)?;
            }
        }
        Ok(())
    }

    fn remove_hour(&mut self, hour: Hour, over: Hour) -> Result<(), SinkError> {
        let folder = self.place.path(&hour.folder());
        let listed = self.disk.list(&folder).map_err(|error| io("list", &folder, error))?;
        for entry in listed {
            let stem = entry.name.strip_suffix(super::names::FILE);
            let is_finished = Written::of(&entry.name).is_some_and(|written| written.finished);
            if !is_finished || !stem.is_some_and(|stem| self.place.owns(stem)) {
                continue;
            }
            self.note_removed(over)?;
            if remove(self.disk.as_ref(), &folder.join(&entry.name))? {
                self.stats.removed_files.fetch_add(1, Ordering::Relaxed);
                self.stats.removed_bytes.fetch_add(entry.bytes, Ordering::Relaxed);
            }
        }
        self.remove_empty(&folder);
        Ok(())
    }

    /// Removes a folder with nothing in it, and those above it that become empty. Whoever is about
    /// to put a file there makes them again.
    fn remove_empty(&self, folder: &Path) {
        let below = folder.ancestors().take_while(|folder| *folder != self.place.root());
        for folder in below {
            if self.disk.rmdir(folder).is_err() {
                return; // there is something in it
            }
        }
    }

    /// Says durably that finished files up to `over` may be gone.
    fn note_removed(&mut self, over: Hour) -> Result<(), SinkError> {
        let Some(removed) = self.retention.removed.filter(|removed| *removed < over) else {
            return Ok(());
        };
        let folder = self.place.removed();
        let (from, to) = (self.place.removed_through(removed), self.place.removed_through(over));
        let (from, to) = (folder.join(from), folder.join(to));
        self.disk.rename(&from, &to).map_err(|error| io("rename", &from, error))?;
        self.disk
            .sync_dir(&folder, SyncPoint("archive.retention"))
            .map_err(|error| io("sync", &folder, error))?;
        self.retention.removed = Some(over);
        Ok(())
    }
}

/// The hours that have a folder, ascending.
pub(super) fn hours(disk: &dyn Disk, root: &Path) -> Result<Vec<Hour>, SinkError> {
    let list = |folder: &Path, key: &str| -> Result<Vec<(i16, std::path::PathBuf)>, SinkError> {
        let listed = disk.list(folder).map_err(|error| io("list", folder, error))?;
        let folders = listed.into_iter().filter(|entry| entry.is_dir);
        Ok(folders
            .filter_map(|entry| Some((level(&entry.name, key)?, folder.join(&entry.name))))
            .collect())
    };
    let mut hours = Vec::new();
    for (year, folder) in list(root, "year")? {
        for (month, folder) in list(&folder, "month")? {
            for (day, folder) in list(&folder, "day")? {
                for (hour, _) in list(&folder, "hour")? {
                    hours.extend(hour_of(year, month, day, hour));
                }
            }
        }
    }
    hours.sort_unstable();
    Ok(hours)
}
