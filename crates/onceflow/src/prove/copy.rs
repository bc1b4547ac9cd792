//! A copy of a data folder, and of the unfinished files of lakes outside it. File sinks and rejected
//! files begin anew.
#![allow(clippy::disallowed_methods)] // writes into the scratch folder only

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::place::{Place, cannot};
use crate::exit::Failure;

/// A living owner removes files while they are copied; then it is begun anew, so often.
const TRIES: usize = 5;
/// The ledger first, and its journal before its runs: what is copied later may be newer, and
/// recovery cuts it to what the ledger says. Then the rest in any order.
const FIRST: [&str; 2] = ["ledger/journal", "ledger/runs"];

/// Copies the state in `data_dir`, if there is one. The original is only read.
pub(super) fn copy(
    data_dir: &Path,
    moved: &[(PathBuf, PathBuf)],
    place: &Place,
) -> Result<bool, Failure> {
    if !data_dir.join(FIRST[0]).is_dir() {
        return Ok(false);
    }
    let mut tried = 0;
    loop {
        tried += 1;
        match try_copy(data_dir, moved, place) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound && tried < TRIES => {
                let _ = fs::remove_dir_all(place.disk());
            }
            Err(error) => return Err(cannot("copy", data_dir, &error)),
        }
    }
}

fn try_copy(data_dir: &Path, moved: &[(PathBuf, PathBuf)], place: &Place) -> io::Result<()> {
    let to = place.data();
    fs::create_dir_all(place.out())?;
    fs::create_dir_all(&to)?;
    for first in FIRST {
        if data_dir.join(first).is_dir() {
            tree(&data_dir.join(first), &to.join(first), &|_| true)?;
        }
    }
    let rest = |path: &Path| {
        let within = path.strip_prefix(data_dir).unwrap_or(path);
        !within.starts_with("ledger/journal")
            && !within.starts_with("ledger/runs")
            && !within.starts_with("spill")
            // The ledger knows it, as it knows file sinks, by its whole path: here it is another.
            && !within.starts_with("rejected")
            && within != Path::new("lock")
            && within != Path::new("last-run.json")
    };
    tree(data_dir, &to, &rest)?;
    for (from, to) in moved {
        if from.is_dir() {
            tree(from, to, &|path| is_unfinished(from, path))?;
        }
    }
    Ok(())
}

/// Of a lake only what its next writer looks at: unfinished files, sidecars and its own notes.
fn is_unfinished(root: &Path, path: &Path) -> bool {
    let within = path.strip_prefix(root).unwrap_or(path);
    let own = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.starts_with('_'));
    path.is_dir() || within.iter().any(own)
}

fn tree(from: &Path, to: &Path, wanted: &dyn Fn(&Path) -> bool) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if !wanted(&path) {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            tree(&path, &target, wanted)?;
        } else if kind.is_file() {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
