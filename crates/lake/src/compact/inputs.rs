//! Which staging files there are to compact, cut into pieces that threads take one by one.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use journal::disk::read_full_at;
use journal::{Disk, DiskFile};

use super::CompactError;
use super::place::Place;
use super::state::Taken;
use crate::sidecar::{self, HEAD_BYTES, HEADER_BYTES, Head};

/// Most files of one switch; what is left is compacted right after it.
pub(super) const INPUTS_MAX: usize = 100_000;

/// What there is to compact.
pub(super) struct Inputs {
    /// In the order in which rows of the same time go.
    pub(super) taken: Vec<Taken>,
    /// Finished files that the ledger may still look for.
    pub(super) waiting: u64,
}

/// Looks for finished files that the ledger has let go of.
pub(super) fn find(
    disk: &dyn Disk,
    place: &Place,
    published: &dyn Fn(&str) -> bool,
) -> Result<Inputs, CompactError> {
    let mut found = Inputs { taken: Vec::new(), waiting: 0 };
    walk(
        disk,
        place,
        &mut String::new(),
        &["year=", "month=", "day=", "hour=", "minute="],
        &mut |folder| {
            let listed = list(disk, &place.root.join(folder))?;
            for entry in listed.iter().filter(|entry| !entry.is_dir && !entry.name.starts_with('_'))
            {
                let Some(stem) = entry.name.strip_suffix(".ndjson") else { continue };
                if order(stem).is_none() {
                    continue;
                }
                let (rows, keys) =
                    (format!("{folder}/{}", entry.name), format!("{folder}/_{stem}.keys"));
                if !published(&rows) || !published(&keys) {
                    found.waiting += 1;
                    continue;
                }
                let sidecar = format!("_{stem}.keys");
                let listed_bytes = listed.iter().find(|e| e.name == sidecar).map(|e| e.bytes);
                let keys_bytes = match listed_bytes {
                    Some(bytes) => bytes,
                    // It may have got its name after the folder was listed.
                    None => sidecar_bytes(disk, place, &rows, &keys)?,
                };
                found.taken.push(Taken { rows, bytes: entry.bytes, keys, keys_bytes });
            }
            Ok(())
        },
    )?;
    found.taken.sort_by_cached_key(|taken| {
        let (folder, file) = taken.rows.rsplit_once('/').unwrap_or_default();
        (folder.to_owned(), order(file.strip_suffix(".ndjson").unwrap_or(file)))
    });
    found.taken.truncate(INPUTS_MAX);
    Ok(found)
}

fn sidecar_bytes(
    disk: &dyn Disk,
    place: &Place,
    rows: &str,
    keys: &str,
) -> Result<u64, CompactError> {
    let path = place.root.join(keys);
    let found = disk.stat(&path).map_err(CompactError::io("look at", &path))?;
    found.map(|stat| stat.bytes).ok_or_else(|| CompactError::Input {
        file: place.root.join(rows),
        what: "its sidecar is missing".into(),
    })
}

/// How many staging files are finished and not compacted, and their bytes.
pub(super) fn count(disk: &dyn Disk, place: &Place) -> Result<(u64, u64), CompactError> {
    let mut counted = (0, 0);
    walk(
        disk,
        place,
        &mut String::new(),
        &["year=", "month=", "day=", "hour=", "minute="],
        &mut |folder| {
            for entry in list(disk, &place.root.join(folder))? {
                if !entry.name.starts_with('_') && entry.name.ends_with(".ndjson") {
                    counted.0 += 1;
                    counted.1 += entry.bytes;
                }
            }
            Ok(())
        },
    )?;
    Ok(counted)
}

/// What a file's stem is sorted by: who wrote it, epoch, first batch, number in the batch.
fn order(stem: &str) -> Option<(String, u64, u64, u64)> {
    let mut parts = stem.rsplitn(4, '-');
    let mut number = || parts.next().and_then(|part| part.parse().ok());
    let (file, batch, epoch) = (number()?, number()?, number()?);
    Some((parts.next()?.to_owned(), epoch, batch, file))
}

fn walk(
    disk: &dyn Disk,
    place: &Place,
    folder: &mut String,
    levels: &[&str],
    each: &mut dyn FnMut(&str) -> Result<(), CompactError>,
) -> Result<(), CompactError> {
    let Some((prefix, below)) = levels.split_first() else { return each(folder) };
    let len = folder.len();
    for entry in list(disk, &place.root.join(&*folder))? {
        if entry.is_dir && entry.name.starts_with(prefix) {
            if len > 0 {
                folder.push('/');
            }
            folder.push_str(&entry.name);
            walk(disk, place, folder, below, each)?;
            folder.truncate(len);
        }
    }
    Ok(())
}

fn list(disk: &dyn Disk, folder: &Path) -> Result<Vec<journal::DirEntry>, CompactError> {
    disk.list(folder).map_err(CompactError::io("list", folder))
}

/// Rows that one batch appended to one file.
pub(super) struct Piece {
    pub(super) file: usize,
    pub(super) rows: Arc<dyn DiskFile>,
    pub(super) keys: Arc<dyn DiskFile>,
    pub(super) text: Range<u64>,
    pub(super) block: Range<u64>,
}

/// Pieces that are read and sorted together. Ordered by number.
pub(super) struct Item {
    pub(super) number: usize,
    pub(super) pieces: Vec<Piece>,
}

/// Hands out items to threads.
pub(super) struct Feed<'a> {
    disk: &'a dyn Disk,
    place: &'a Place,
    taken: &'a [Taken],
    item_bytes: u64,
    at: Mutex<FeedAt>,
}

#[derive(Default)]
struct FeedAt {
    number: usize,
    file: usize,
    open: Option<OpenInput>,
}

struct OpenInput {
    rows: Arc<dyn DiskFile>,
    keys: Arc<dyn DiskFile>,
    keys_at: u64,
    rows_at: u64,
}

impl<'a> Feed<'a> {
    /// Cuts items of about so many bytes of rows.
    pub(super) fn new(
        disk: &'a dyn Disk,
        place: &'a Place,
        taken: &'a [Taken],
        item_bytes: u64,
    ) -> Self {
        Self { disk, place, taken, item_bytes, at: Mutex::default() }
    }

    pub(super) fn next(&self) -> Result<Option<Item>, CompactError> {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let at = &mut *at;
        let mut pieces = Vec::new();
        let mut bytes = 0;
        while bytes < self.item_bytes {
            let Some(taken) = self.taken.get(at.file) else { break };
            let open = match &mut at.open {
                Some(open) => open,
                none => none.insert(self.open(taken)?),
            };
            match self.piece(at.file, taken, open)? {
                Some(piece) => {
                    bytes += piece.text.end - piece.text.start;
                    pieces.push(piece);
                }
                None => {
                    at.open = None;
                    at.file += 1;
                }
            }
        }
        if pieces.is_empty() {
            return Ok(None);
        }
        at.number += 1;
        Ok(Some(Item { number: at.number - 1, pieces }))
    }

    fn wrong(&self, name: &str, what: impl Into<String>) -> CompactError {
        CompactError::Input { file: self.place.root.join(name), what: what.into() }
    }

    fn open(&self, taken: &Taken) -> Result<OpenInput, CompactError> {
        let open = |name: &str| {
            let path = self.place.root.join(name);
            self.disk.open_read(&path).map_err(CompactError::io("open", &path))
        };
        let (rows, keys) = (open(&taken.rows)?, open(&taken.keys)?);
        let mut header = [0; HEADER_BYTES];
        let path = self.place.root.join(&taken.keys);
        let read =
            read_full_at(keys.as_ref(), 0, &mut header).map_err(CompactError::io("read", &path))?;
        let header = header.get(..read).unwrap_or_default();
        sidecar::check_header(header)
            .map_err(|error| self.wrong(&taken.keys, error.to_string()))?;
        Ok(OpenInput { rows, keys, keys_at: HEADER_BYTES as u64, rows_at: 0 })
    }

    /// The next block's rows, or `None` when the file ended as it should.
    fn piece(
        &self,
        file: usize,
        taken: &Taken,
        open: &mut OpenInput,
    ) -> Result<Option<Piece>, CompactError> {
        if open.keys_at >= taken.keys_bytes {
            if open.rows_at == taken.bytes {
                return Ok(None);
            }
            let what = format!("it has {} bytes, its sidecar says {}", taken.bytes, open.rows_at);
            return Err(self.wrong(&taken.rows, what));
        }
        let mut head = [0; HEAD_BYTES];
        let path = self.place.root.join(&taken.keys);
        let read = read_full_at(open.keys.as_ref(), open.keys_at, &mut head);
        let read = read.map_err(CompactError::io("read", &path))?;
        let damaged = |what: &str| {
            self.wrong(&taken.keys, format!("it is damaged at byte {}: {what}", open.keys_at))
        };
        let head = Head::read(head.get(..read).unwrap_or_default());
        let head = head.ok_or_else(|| damaged("a block's head is cut off"))?;
        let block = open.keys_at..open.keys_at + head.bytes as u64;
        let text = head.rows_start..head.rows_start.saturating_add(head.rows_len);
        if block.end > taken.keys_bytes {
            return Err(damaged("a block is cut off"));
        }
        if text.start != open.rows_at {
            return Err(damaged("its rows don't begin where those of the block before end"));
        }
        if text.end > taken.bytes {
            let what =
                format!("it has {} bytes, its sidecar says at least {}", taken.bytes, text.end);
            return Err(self.wrong(&taken.rows, what));
        }
        (open.keys_at, open.rows_at) = (block.end, text.end);
        let (rows, keys) = (Arc::clone(&open.rows), Arc::clone(&open.keys));
        Ok(Some(Piece { file, rows, keys, text, block }))
    }
}
