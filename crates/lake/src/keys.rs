//! The keys of a lake's rows, out of its sidecars and of its table's columns; and how a lake goes
//! over to another ledger, where its own was lost.

use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch};
use event::sink::SinkError;
use event::{LedgerId, Marks};
use journal::Disk;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::sidecar::{HEAD_BYTES, HEADER_BYTES, Head, check_header, read_columns};
pub use crate::staging::{LakeOwner, LakeScopeSecret};
use crate::staging::{owner, take_over};

/// Columns of the table that say what a sidecar says.
const COLUMNS: [&str; 4] =
    ["_onceflow_key", "_onceflow_recorded_time", "_onceflow_window_ms", "_onceflow_marks"];
/// Rows of the table that are read at a time.
const ROWS: usize = 8192;

/// The key of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowKey {
    /// The key.
    pub key: u128,
    /// The time that dedup gave the event; ms since the Unix epoch.
    pub recorded_ms: i64,
    /// For how long the key is remembered; ms.
    pub window_ms: i64,
}

/// The keys of a lake can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LakeKeysError {
    /// No lake, or one that this program doesn't know.
    #[error(transparent)]
    Lake(#[from] SinkError),
    /// There is no lake.
    #[error("{} is no lake: it holds no _onceflow/lake.json", .0.display())]
    NoLake(PathBuf),
    /// A file can't be read.
    #[error("cannot read {}: {what}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Whoever takes the keys said so.
    #[error("{0}")]
    Taker(String),
}

/// A lake whose keys are read.
pub struct LakeKeys<'a> {
    disk: &'a dyn Disk,
    root: PathBuf,
}

/// What lies in a lake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LakeFiles {
    /// Sidecars of finished staging files.
    pub sidecars: Vec<PathBuf>,
    /// Files of the table.
    pub parts: Vec<PathBuf>,
    /// Unfinished staging files: nobody but their ledger knows how much of them is committed.
    pub unfinished: Vec<PathBuf>,
}

impl<'a> LakeKeys<'a> {
    /// The lake in `root`.
    #[must_use]
    pub fn new(disk: &'a dyn Disk, root: &Path) -> Self {
        Self { disk, root: root.to_path_buf() }
    }

    /// Whose it is, and the scopes whose keys are in it.
    ///
    /// # Errors
    /// [`LakeKeysError`].
    pub fn owner(&self) -> Result<LakeOwner, LakeKeysError> {
        owner(self.disk, &self.root)?.ok_or_else(|| LakeKeysError::NoLake(self.root.clone()))
    }

    /// Makes the lake that of another ledger, durably. Its finished files stay what they are; its
    /// unfinished ones are nobody's from then on.
    ///
    /// # Errors
    /// [`LakeKeysError`].
    pub fn take_over(&self, ledger: LedgerId) -> Result<(), LakeKeysError> {
        Ok(take_over(self.disk, &self.root, ledger)?)
    }

    /// What lies in it.
    ///
    /// # Errors
    /// [`LakeKeysError`].
    pub fn files(&self) -> Result<LakeFiles, LakeKeysError> {
        let mut files = LakeFiles::default();
        self.walk(&self.root, 0, &mut files)?;
        files.sidecars.sort_unstable();
        files.parts.sort_unstable();
        Ok(files)
    }

    /// The folders of staging and table are named `field=value`, below one another.
    fn walk(&self, folder: &Path, depth: u32, files: &mut LakeFiles) -> Result<(), LakeKeysError> {
        let listed = self.disk.list(folder).map_err(|error| wrong(folder, error))?;
        for entry in listed {
            let path = folder.join(&entry.name);
            if entry.is_dir {
                let of_table = depth == 0 && entry.name == "table";
                if depth < 16 && (of_table || entry.name.contains('=')) {
                    self.walk(&path, depth + 1, files)?;
                }
            } else if entry.name.starts_with("part-") && entry.name.ends_with(".parquet") {
                files.parts.push(path);
            } else if entry.name.starts_with('_') && entry.name.ends_with(".keys") {
                files.sidecars.push(path);
            } else if entry.name.ends_with(".ndjson.open") {
                files.unfinished.push(path);
            }
        }
        Ok(())
    }

    /// Hands the keys of a sidecar to `take`, block by block.
    ///
    /// # Errors
    /// [`LakeKeysError`]: damage is named with its place.
    pub fn sidecar(
        &self,
        path: &Path,
        take: &mut dyn FnMut(&[RowKey]) -> Result<(), String>,
    ) -> Result<(), LakeKeysError> {
        let file = self.disk.open_read(path).map_err(|error| wrong(path, error))?;
        let len = file.len().map_err(|error| wrong(path, error))?;
        let read = |at: u64, bytes: usize| {
            let mut buffer = vec![0; bytes];
            match journal::disk::read_full_at(&*file, at, &mut buffer) {
                Ok(read) if read == bytes => Ok(buffer),
                Ok(_) => Err(wrong(path, format!("it is cut off at byte {at}"))),
                Err(error) => Err(wrong(path, error)),
            }
        };
        check_header(&read(0, HEADER_BYTES)?).map_err(|error| wrong(path, error))?;
        let mut at = HEADER_BYTES as u64;
        let mut keys = Vec::new();
        while at < len {
            let damaged = |what: &str| wrong(path, format!("damaged at byte {at}: {what}"));
            let head = Head::read(&read(at, HEAD_BYTES)?);
            let head = head.ok_or_else(|| damaged("a block's head is cut off"))?;
            if at.saturating_add(head.bytes as u64) > len {
                return Err(damaged("a block is cut off"));
            }
            let block = read_columns(&read(at, head.bytes)?).map_err(damaged)?;
            keys.clear();
            let times = block.recorded_ms.iter().zip(&block.windows_ms);
            let rows = block.keys.iter().zip(times).zip(&block.marks);
            for ((&key, (&recorded_ms, &window_ms)), marks) in rows {
                if marks.0 & Marks::NO_KEY.0 == 0 && window_ms >= 0 {
                    keys.push(RowKey { key, recorded_ms, window_ms });
                }
            }
            take(&keys).map_err(LakeKeysError::Taker)?;
            at += head.bytes as u64;
        }
        Ok(())
    }

    /// Hands the keys of a file of the table to `take`, some thousand at a time.
    ///
    /// # Errors
    /// [`LakeKeysError`].
    pub fn part(
        &self,
        path: &Path,
        take: &mut dyn FnMut(&[RowKey]) -> Result<(), String>,
    ) -> Result<(), LakeKeysError> {
        let file = std::fs::File::open(path).map_err(|error| wrong(path, error))?;
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| wrong(path, error))?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
        let reader = builder.with_projection(mask).with_batch_size(ROWS).build();
        let mut keys = Vec::new();
        for batch in reader.map_err(|error| wrong(path, error))? {
            let batch = batch.map_err(|error| wrong(path, error))?;
            keys.clear();
            rows(&batch, &mut keys).ok_or_else(|| wrong(path, "it lacks columns of ours"))?;
            take(&keys).map_err(LakeKeysError::Taker)?;
        }
        Ok(())
    }
}

fn rows(batch: &RecordBatch, keys: &mut Vec<RowKey>) -> Option<()> {
    let column = |name: &str| batch.column_by_name(name);
    let [key, recorded, window, marks] = COLUMNS.map(column);
    let key = key?.as_fixed_size_binary_opt()?;
    let recorded = recorded?.as_primitive_opt::<TimestampMillisecondType>()?;
    let window = window?.as_primitive_opt::<Int64Type>()?;
    let marks = marks?.as_primitive_opt::<Int32Type>()?;
    for row in 0..batch.num_rows() {
        let no_key = key.is_null(row) || marks.value(row) & i32::from(Marks::NO_KEY.0) != 0;
        let bytes: [u8; 16] = key.value(row).try_into().ok()?;
        let (recorded_ms, window_ms) = (recorded.value(row), window.value(row));
        if !no_key && window_ms >= 0 {
            keys.push(RowKey { key: u128::from_be_bytes(bytes), recorded_ms, window_ms });
        }
    }
    Some(())
}

fn wrong(file: &Path, what: impl ToString) -> LakeKeysError {
    LakeKeysError::File { file: file.to_path_buf(), what: what.to_string() }
}
