//! How much a data folder and what its pipes wrote take on disk.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::last_run::{LastRun, PipeRun, SinkRun};

/// Folders in each other that are walked at most.
const DEPTH_MAX: u32 = 32;

/// Tiers that are left out where they hold nothing.
const OPTIONAL: [&str; 5] = ["spool", "queues", "streams", "dead letters", "archive"];

/// Bytes on disk, by tier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// The tiers, in the order in which an event passes them.
    pub tiers: Vec<Tier>,
}

/// One tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tier {
    /// `ledger journal`, `key runs`, `lake, finished`, …
    pub name: &'static str,
    /// The pipe; `None` for what all share.
    pub pipe: Option<String>,
    /// The folder or file.
    pub path: PathBuf,
    /// Files.
    pub files: u64,
    /// Their lengths together.
    pub bytes: u64,
}

#[derive(Clone, Copy, Default)]
struct Size {
    files: u64,
    bytes: u64,
}

impl Storage {
    /// Adds up what is there now. A folder that isn't there, or that may not be read, counts as
    /// empty: files come and go while this looks.
    #[must_use]
    pub fn measure(data_dir: &Path, last_run: Option<&LastRun>) -> Storage {
        let mut storage = Storage::default();
        storage.folder("ledger journal", None, data_dir.join("ledger").join("journal"), |_| true);
        storage.folder("key runs", None, data_dir.join("ledger").join("runs"), |_| true);
        storage.folder("spill", None, data_dir.join("spill"), |_| true);
        storage.folder("spool", None, data_dir.join("spool"), |_| true);
        storage.folder("queues", None, data_dir.join("broker").join("queues"), |_| true);
        storage.folder("streams", None, data_dir.join("broker").join("streams"), |_| true);
        for pipe in last_run.map_or(&[][..], |run| &run.pipes) {
            for sink in &pipe.sinks {
                storage.sink(pipe, sink);
            }
            storage.folder("rejected", Some(&pipe.pipe), pipe.rejected.clone(), |_| true);
            if let Some(archive) = &pipe.archive {
                storage.folder("archive", Some(&pipe.pipe), archive.clone(), |_| true);
            }
            for store in &pipe.dead_letters {
                // Pipes may share a folder, so it is nobody's in particular.
                if storage.tiers.iter().all(|tier| tier.path != store.path) {
                    storage.folder("dead letters", None, store.path.clone(), |_| true);
                }
            }
        }
        storage.tiers.retain(|tier| tier.files > 0 || !OPTIONAL.contains(&tier.name));
        storage
    }

    fn sink(&mut self, pipe: &PipeRun, sink: &SinkRun) {
        let Some(path) = &sink.path else { return };
        let pipe = Some(pipe.pipe.as_str());
        if sink.kind != "lake" {
            self.folder("file", pipe, path.clone(), |_| true);
            return;
        }
        self.folder("lake, finished", pipe, path.clone(), |name| name.ends_with(".ndjson"));
        self.folder("lake, open", pipe, path.clone(), |name| name.ends_with(".open"));
        self.folder("lake, table", pipe, path.clone(), |name| name.ends_with(".parquet"));
        self.folder("lake, sidecars", pipe, path.clone(), |name| {
            [".ndjson", ".open", ".parquet"].iter().all(|other| !name.ends_with(other))
        });
    }

    fn folder(
        &mut self,
        name: &'static str,
        pipe: Option<&str>,
        path: PathBuf,
        wanted: fn(&str) -> bool,
    ) {
        let mut size = Size::default();
        walk(&path, wanted, &mut size, 0);
        let pipe = pipe.map(str::to_owned);
        self.tiers.push(Tier { name, pipe, path, files: size.files, bytes: size.bytes });
    }

    /// All tiers together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tiers.iter().map(|tier| tier.bytes).sum()
    }

    /// What one pipe wrote.
    #[must_use]
    pub fn bytes_of(&self, pipe: &str) -> u64 {
        let of_pipe = self.tiers.iter().filter(|tier| tier.pipe.as_deref() == Some(pipe));
        of_pipe.map(|tier| tier.bytes).sum()
    }
}

/// Lengths of all files below a folder.
pub(crate) fn bytes_below(path: &Path) -> u64 {
    let mut size = Size::default();
    walk(path, |_| true, &mut size, 0);
    size.bytes
}

fn walk(path: &Path, wanted: fn(&str) -> bool, size: &mut Size, depth: u32) {
    let Ok(found) = std::fs::symlink_metadata(path) else { return };
    if found.is_file() {
        let name = path.file_name().map(|name| name.to_string_lossy());
        if name.is_some_and(|name| wanted(&name)) {
            size.files += 1;
            size.bytes += found.len();
        }
    } else if found.is_dir() && depth < DEPTH_MAX {
        let Ok(entries) = std::fs::read_dir(path) else { return };
        for entry in entries.flatten() {
            walk(&entry.path(), wanted, size, depth + 1);
        }
    }
}
