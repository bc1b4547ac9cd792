//! A key run as a file: that it is the one that the ledger lists, and where its parts lie.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::LedgerId;
use journal::{Disk, DiskFile};

use super::format::{
    HEADER_BYTES, Header, INDEX_BYTES, SECTION_BLOCKS, SECTION_BYTES, SECTION_FILTER,
    SECTION_INDEX, Section, TAIL_BYTES, VERSION, VERSION_1, WrongHeader, decode_sections,
    decode_tail,
};
use crate::error::{Damaged, FolderIo, LedgerError};
use crate::state::RunState;

/// A run that is open and whose header and table of sections are right.
pub(super) struct RunFile {
    pub(super) path: PathBuf,
    file: Arc<dyn DiskFile>,
    pub(super) header: Header,
    pub(super) blocks: Section,
    pub(super) index: Section,
    /// Not in runs of format 1.
    pub(super) filter: Option<Section>,
}

impl RunFile {
    /// Opens the run and checks that it is the one that was listed.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], also when it isn't there; [`LedgerError::Io`].
    pub(super) fn open(
        disk: &dyn Disk,
        dir: &Path,
        run: &RunState,
        ledger_id: LedgerId,
    ) -> Result<Self, LedgerError> {
        let path = dir.join(&run.name);
        let file = match disk.open_read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(path)),
            Err(error) => return Err(FolderIo::new("open", &path, error).into()),
        };
        let header = Header::new(ledger_id, run.scope, super::Place { class: 0, bucket: 0 });
        let none = Section { id: 0, crc: 0, offset: 0, len: 0 };
        let mut run_file = Self { path, file, header, blocks: none, index: none, filter: None };
        let len = run_file.file.len().map_err(|error| run_file.io(error))?;
        if len != run.bytes {
            let what = format!("its length is {len} bytes, and the ledger recorded {}", run.bytes);
            return Err(run_file.damaged(None, what));
        }
        run_file.header = run_file.check_header(run, ledger_id)?;
        run_file.find_sections(run.bytes)?;
        Ok(run_file)
    }

    fn check_header(&self, run: &RunState, ledger_id: LedgerId) -> Result<Header, LedgerError> {
        let header = match Header::decode(&self.bytes(0, HEADER_BYTES)?) {
            Ok(header) => header,
            Err(WrongHeader::Broken) => return Err(self.damaged(Some(0), "no valid header")),
            Err(WrongHeader::Newer(found)) => {
                let what = format!(
                    "its format is {found}, this program reads up to {VERSION}; use a newer onceflow"
                );
                return Err(self.damaged(Some(8), what));
            }
        };
        let same = header.ledger_id == ledger_id
            && (header.scope, header.count) == (run.scope, run.count)
            && (header.place.class, header.place.bucket) == (run.class, run.bucket);
        if !same {
            return Err(self.damaged(Some(0), "it is not the run that the ledger recorded"));
        }
        Ok(header)
    }

    /// Reads the table of sections at the end of the file.
    fn find_sections(&mut self, len: u64) -> Result<(), LedgerError> {
        let tail_at = len.saturating_sub(TAIL_BYTES as u64);
        let Ok((offset, sections, crc)) = decode_tail(&self.bytes(tail_at, TAIL_BYTES)?) else {
            return Err(self.damaged(Some(tail_at), "no valid end"));
        };
        let bytes = sections.saturating_mul(SECTION_BYTES);
        if offset.checked_add(bytes as u64) != Some(tail_at) {
            return Err(self.damaged(Some(tail_at), "no valid end"));
        }
        let table = self.bytes(offset, bytes)?;
        let within = |section: &Section| {
            let end = section.offset.checked_add(section.len);
            section.offset >= HEADER_BYTES as u64 && end.is_some_and(|end| end <= offset)
        };
        let sections = decode_sections(&table).ok().filter(|_| crc32c::crc32c(&table) == crc);
        let sections = sections.filter(|sections| sections.iter().all(within)).unwrap_or_default();
        let find = |id: u32| sections.iter().find(|section| section.id == id).copied();
        let index_bytes = u64::from(self.header.blocks) * INDEX_BYTES as u64;
        self.filter = find(SECTION_FILTER);
        match (find(SECTION_BLOCKS), find(SECTION_INDEX)) {
            (Some(blocks), Some(index))
                if index.len == index_bytes
                    && (self.filter.is_some() || self.header.version == VERSION_1) =>
            {
                (self.blocks, self.index) = (blocks, index);
                Ok(())
            }
            _ => Err(self.damaged(Some(offset), "no valid table of sections")),
        }
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<Vec<u8>, LedgerError> {
        let mut bytes = vec![0; len];
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `into` with the bytes at `offset`.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] when the file ends before, [`LedgerError::Io`].
    pub(super) fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), LedgerError> {
        let read = journal::disk::read_full_at(&*self.file, offset, into);
        if read.map_err(|error| self.io(error))? < into.len() {
            return Err(self.damaged(Some(offset), "it ends too early"));
        }
        Ok(())
    }

    /// Hands the bytes of a section to `take`, in pieces of `piece_bytes`, and checks them.
    ///
    /// # Errors
    /// As [`RunFile::read`]; [`LedgerError::Damaged`] when the checksum is wrong.
    pub(super) fn section(
        &self,
        section: Section,
        piece_bytes: usize,
        what: &str,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), LedgerError> {
        let mut piece =
            vec![0; piece_bytes.min(usize::try_from(section.len).unwrap_or(usize::MAX))];
        let (mut at, end, mut crc) = (section.offset, section.offset + section.len, 0);
        while at < end {
            let len = (end - at).min(piece.len() as u64) as usize;
            let bytes = piece.get_mut(..len).unwrap_or_default();
            self.read(at, bytes)?;
            crc = crc32c::crc32c_append(crc, bytes);
            take(bytes);
            at += len as u64;
        }
        if crc == section.crc { Ok(()) } else { Err(self.damaged(Some(section.offset), what)) }
    }

    fn io(&self, error: io::Error) -> LedgerError {
        FolderIo::new("read", &self.path, error).into()
    }

    pub(super) fn damaged(&self, offset: Option<u64>, what: impl Into<String>) -> LedgerError {
        Damaged { file: self.path.clone(), offset, what: what.into() }.into()
    }
}

/// The error for a run that is listed and not there.
pub(crate) fn missing(file: PathBuf) -> LedgerError {
    let what = "the key run is missing, although the ledger lists it".into();
    Damaged { file, offset: None, what }.into()
}
