//! Counts what lies in the tables, without a look at the ledger, so that the two can be compared.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;
use xxhash_rust::xxh3::xxh3_128;

use super::folder::Folder;
use crate::exit::{Exit, Failure};

/// What the files say.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Rows of app events.
    pub(super) app_rows: u64,
    /// Different keys among them.
    pub(super) app_keys: u64,
    /// Rows of edits.
    pub(super) edit_rows: u64,
    /// Parquet files.
    pub(super) files: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// One of them.
    pub(super) file: Option<PathBuf>,
}

/// Counts.
pub(super) fn count(folder: &Folder) -> Result<Counted, Failure> {
    let mut counted = Counted::default();
    let mut keys = HashSet::new();
    for file in parquet_files(&folder.path().join("lake/app"))? {
        counted.look_at(&file)?;
        counted.app_rows += each_key(&file, |key| {
            keys.insert(xxh3_128(key.as_bytes()));
        })?;
        counted.file.get_or_insert(file);
    }
    counted.app_keys = keys.len() as u64;
    for file in parquet_files(&folder.path().join("lake/wikipedia"))? {
        counted.look_at(&file)?;
        let rows = open(&file)?.metadata().file_metadata().num_rows();
        counted.edit_rows += u64::try_from(rows).unwrap_or(0);
    }
    Ok(counted)
}

impl Counted {
    fn look_at(&mut self, file: &Path) -> Result<(), Failure> {
        self.files += 1;
        self.bytes += std::fs::metadata(file).map_err(|error| cannot(file, error))?.len();
        Ok(())
    }
}

fn cannot(file: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("cannot read {}: {error}", file.display()))
}

fn open(path: &Path) -> Result<SerializedFileReader<File>, Failure> {
    let file = File::open(path).map_err(|error| cannot(path, error))?;
    SerializedFileReader::new(file).map_err(|error| cannot(path, error))
}

/// Calls `each` with the key of each row; how many rows there are.
fn each_key(path: &Path, mut each: impl FnMut(&str)) -> Result<u64, Failure> {
    let reader = open(path)?;
    let schema = reader.metadata().file_metadata().schema();
    let key = schema.get_fields().iter().find(|field| field.name() == "event_uuid").cloned();
    let key = key.ok_or_else(|| cannot(path, "it has no column event_uuid"))?;
    let only = Type::group_type_builder(schema.name()).with_fields(vec![key]).build();
    let only = only.map_err(|error| cannot(path, error))?;
    let rows = reader.get_row_iter(Some(only)).map_err(|error| cannot(path, error))?;
    let mut count = 0;
    for row in rows {
        let row = row.map_err(|error| cannot(path, error))?;
        if let Some((_, Field::Str(key))) = row.get_column_iter().next() {
            each(key);
        }
        count += 1;
    }
    Ok(count)
}

fn parquet_files(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| cannot(&folder, error))? {
            let path = entry.map_err(|error| cannot(&folder, error))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
