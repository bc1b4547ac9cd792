//! Which blocks a file has: from head to head, and over damage to the next magic.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::disk::read_full_at;
use journal::{Disk, DiskFile};
use memchr::memmem;

use super::{ArchiveError, ArchiveFile, Block, Damage, Range};
use crate::archive::block::{
    BLOCK_HEAD_BYTES, BLOCK_MAGIC, BlockHead, FILE_HEAD_BYTES_MAX, FileHead, HeadError,
};
use crate::archive::names::{FILE, Hour, OPEN, Written};

/// So much is read at once when the next magic is looked for.
const SEARCH_BYTES: usize = 1 << 20;

/// Opens a file, under its final name if it has got that since it was listed; `None`: it is gone.
pub(super) fn open(disk: &dyn Disk, path: &Path) -> io::Result<Option<Arc<dyn DiskFile>>> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    match disk.open_read(path) {
        Err(error) if gone(&error) => match disk.open_read(&final_path(path)) {
            Err(error) if gone(&error) => Ok(None),
            other => other.map(Some),
        },
        other => other.map(Some),
    }
}

fn final_path(path: &Path) -> PathBuf {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.strip_prefix('_').and_then(|name| name.strip_suffix(OPEN));
    stem.filter(|stem| stem.ends_with(FILE))
        .map_or_else(|| path.to_path_buf(), |stem| path.with_file_name(stem))
}

/// Looks at all heads of a file; `None` when it is gone.
pub(super) fn scan(
    disk: &dyn Disk,
    path: PathBuf,
    hour: Hour,
    written: &Written,
    range: &Range,
) -> Result<Option<ArchiveFile>, ArchiveError> {
    let failed = |error| ArchiveError::Io { path: path.clone(), error };
    let Some(file) = open(disk, &path).map_err(failed)? else { return Ok(None) };
    let bytes = file.len().map_err(failed)?;
    let mut scan = Scan {
        file: file.as_ref(),
        path: &path,
        bytes,
        finished: written.finished,
        mark: None,
        blocks: Vec::new(),
        damages: Vec::new(),
    };
    let start = match scan.head().map_err(failed)? {
        Ok(start) => start,
        Err(version) => return Err(ArchiveError::Newer { file: path, version }),
    };
    scan.blocks(start).map_err(failed)?;
    let Scan { mut blocks, damages, .. } = scan;
    blocks.retain(|block| range.overlaps(block.head.received_min_ms, block.head.received_max_ms));
    let (ledger, finished) = (written.ledger, written.finished);
    Ok(Some(ArchiveFile { path, hour, ledger, finished, bytes, blocks, damages }))
}

struct Scan<'a> {
    file: &'a dyn DiskFile,
    path: &'a Path,
    bytes: u64,
    finished: bool,
    mark: Option<u64>,
    blocks: Vec<Block>,
    damages: Vec<Damage>,
}

impl Scan<'_> {
    fn read(&self, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        let read = read_full_at(self.file, offset, &mut buffer)?;
        buffer.truncate(read);
        Ok(buffer)
    }

    /// Reads the file's head; where its blocks begin, or the version that is too new.
    fn head(&mut self) -> io::Result<Result<u64, u8>> {
        let bytes = self.read(0, FILE_HEAD_BYTES_MAX)?;
        match FileHead::read(&bytes) {
            Ok((_, len, mark)) => {
                self.mark = Some(mark);
                Ok(Ok(len as u64))
            }
            Err(HeadError::Newer(version)) => Ok(Err(version)),
            Err(HeadError::Short) if !self.finished => Ok(Ok(self.bytes)),
            Err(_) => self.pass_over(0, "the file's head is damaged".into()).map(Ok),
        }
    }

    fn blocks(&mut self, mut at: u64) -> io::Result<()> {
        while at < self.bytes {
            let bytes = self.read(at, BLOCK_HEAD_BYTES)?;
            let what = match BlockHead::read(&bytes, self.mark) {
                Ok(head) if at + head.block_bytes() <= self.bytes => {
                    self.mark = Some(head.mark);
                    self.blocks.push(Block { offset: at, head });
                    at += head.block_bytes();
                    continue;
                }
                Ok(_) => "the block is cut off".to_owned(),
                Err(HeadError::Short) => "the block's head is cut off".to_owned(),
                Err(HeadError::Damaged) => "the block's head is damaged".to_owned(),
                Err(HeadError::Newer(version)) => {
                    format!("the block has version {version}, which this program doesn't know")
                }
            };
            at = self.pass_over(at, what)?;
        }
        Ok(())
    }

    /// The next place after `at` where a block begins, and the damage in between. At the end of
    /// an unfinished file there is none: a block is being written there.
    fn pass_over(&mut self, at: u64, what: String) -> io::Result<u64> {
        let next = self.next_block(at + 1)?;
        let to = next.unwrap_or(self.bytes);
        if next.is_some() || self.finished {
            let file = self.path.to_path_buf();
            self.damages.push(Damage { file, offset: at, bytes: to - at, events: None, what });
        }
        Ok(to)
    }

    /// Where the next block begins that has a head in order and lies within the file.
    fn next_block(&self, from: u64) -> io::Result<Option<u64>> {
        let mut from = from;
        while from < self.bytes {
            let chunk = self.read(from, SEARCH_BYTES)?;
            for at in memmem::find_iter(&chunk, &BLOCK_MAGIC) {
                let at = from + at as u64;
                let head = BlockHead::read(&self.read(at, BLOCK_HEAD_BYTES)?, self.mark);
                if head.is_ok_and(|head| at + head.block_bytes() <= self.bytes) {
                    return Ok(Some(at));
                }
            }
            if chunk.len() < SEARCH_BYTES {
                return Ok(None);
            }
            // A magic may lie across two chunks.
            from += (chunk.len() - BLOCK_MAGIC.len() + 1) as u64;
        }
        Ok(None)
    }
}
