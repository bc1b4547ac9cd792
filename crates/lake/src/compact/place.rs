//! Where things of a lake lie, as far as compaction is concerned.

use std::path::{Path, PathBuf};

/// Ending of a file of the table that isn't part of it yet; its name begins with `_`, so that tools
/// that read folders skip it.
const TMP: &str = ".tmp";

/// The folders of a lake.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) root: PathBuf,
    /// What lies beside the data.
    pub(super) own: PathBuf,
    pub(super) journal: PathBuf,
    /// What is spilled while sorting.
    pub(super) spill: PathBuf,
    pub(super) table: PathBuf,
}

impl Place {
    pub(super) fn new(lake: &Path) -> Self {
        let own = lake.join("_onceflow");
        Self {
            root: lake.to_path_buf(),
            journal: own.join("journal"),
            spill: own.join("tmp"),
            table: lake.join("table"),
            own,
        }
    }

    /// The final path of a file of the table, by its name below `table`.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.table.join(name)
    }

    /// Its path until the switch.
    pub(super) fn unfinished(&self, name: &str) -> PathBuf {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        self.table.join(folder).join(format!("_{file}{TMP}"))
    }
}

/// Whether a name in a folder of the table is that of a file that isn't part of it yet.
pub(super) fn is_unfinished(name: &str) -> bool {
    name.starts_with("_part-") && name.ends_with(".parquet.tmp")
}

/// Whether a name in a folder of the table is that of one of its files.
pub(super) fn is_part(name: &str) -> bool {
    name.starts_with("part-") && name.ends_with(".parquet")
}
