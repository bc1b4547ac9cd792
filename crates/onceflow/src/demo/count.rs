//! Counts what lies in the files, without a look at the ledger, so that the two can be compared.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use memchr::memmem;
use xxhash_rust::xxh3::xxh3_128;

use super::folder::Folder;
use crate::exit::{Exit, Failure};

/// What the files say.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Rows that the lake must hold: different keys in the input, without broken events and what
    /// the filter leaves out.
    pub(super) expected_rows: u64,
    /// Rows in the lake's finished files.
    pub(super) lake_rows: u64,
    /// Different keys among them.
    pub(super) lake_keys: u64,
    /// Finished files.
    pub(super) lake_files: u64,
    /// One of them.
    pub(super) lake_file: Option<PathBuf>,
    /// Rows of the rejected files.
    pub(super) rejected_rows: u64,
}

type Keys = HashSet<u128>;

/// Counts.
pub(super) fn count(folder: &Folder) -> Result<Counted, Failure> {
    try_count(folder).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot count in {}: {error}", folder.path().display()))
    })
}

fn try_count(folder: &Folder) -> io::Result<Counted> {
    let mut counted = Counted::default();
    let mut expected = Keys::new();
    each_line(&mut File::open(folder.app_events())?, |line| {
        if memmem::find(line, b"\"app:heartbeat\"").is_none() {
            expected.extend(app_key(line));
        }
    })?;
    each_line(&mut flate2::read::MultiGzDecoder::new(File::open(folder.edits())?), |line| {
        expected.extend(edit_key(line));
    })?;
    counted.expected_rows = expected.len() as u64;
    drop(expected);

    let mut seen = Keys::new();
    for (lake, key) in [("app", app_key as fn(&[u8]) -> Option<u128>), ("wikipedia", edit_key)] {
        for file in finished(&folder.path().join("lake").join(lake))? {
            each_line(&mut File::open(&file)?, |line| {
                counted.lake_rows += 1;
                seen.extend(key(line));
            })?;
            counted.lake_files += 1;
            counted.lake_file.get_or_insert(file);
        }
    }
    counted.lake_keys = seen.len() as u64;
    for pipe in ["app", "wikipedia"] {
        let path = folder.data_dir().join("rejected").join(format!("{pipe}.ndjson"));
        if path.exists() {
            each_line(&mut File::open(path)?, |_| counted.rejected_rows += 1)?;
        }
    }
    Ok(counted)
}

fn each_line(reader: &mut dyn Read, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 20, reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        each(&line);
    }
}

/// The text of a field, as it stands there.
fn field<'l>(line: &'l [u8], begins: &[u8]) -> Option<&'l [u8]> {
    let start = memmem::find(line, begins)? + begins.len();
    let rest = line.get(start..)?;
    rest.get(..memchr::memchr(b'"', rest)?)
}

/// A whole, readable app event's key.
fn app_key(line: &[u8]) -> Option<u128> {
    let uuid = field(line, b"\"event_uuid\":\"")?;
    (uuid.len() == 36).then(|| xxh3_128(uuid))
}

fn edit_key(line: &[u8]) -> Option<u128> {
    let (time, channel) = (field(line, b"\"time\":\"")?, field(line, b"\"channel\":\"")?);
    // A page's name may hold an escaped quote: take it up to the next field.
    let page_start = memmem::find(line, b"\"page\":")?;
    let page = line.get(
        page_start..page_start + memmem::find(line.get(page_start..)?, b",\"regionIsoCode\"")?,
    )?;
    Some(xxh3_128(&[time, channel, page].join(&b'\n')))
}

/// Finished files of a lake: unfinished ones and sidecars begin with `_`.
fn finished(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "ndjson")
                && !entry.file_name().to_string_lossy().starts_with('_')
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
