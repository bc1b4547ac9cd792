//! The file that is being read, and how far.

use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use event::ShardId;
use event::source::SourceError;
use xxhash_rust::xxh3::xxh3_128;

use super::identity::{Tail, stored_tail};
use super::input::{Gave, Input, Stored};
use super::mark::Mark;
use super::plan::{Plan, Start, ends_before, io_error, other_tail};
use super::spill::SpillFile;

/// Content that is decompressed only to be dropped.
struct Skip {
    /// Up to here.
    to: u64,
    /// Where the last bytes must have this hash.
    check: Option<(u64, u128)>,
    /// After the check, the same again up to here.
    again: Option<u64>,
}

pub(super) struct Cursor {
    /// For messages.
    pub(super) path: PathBuf,
    pub(super) shard: ShardId,
    pub(super) input: Input,
    compression: super::Compression,
    /// `None` for what can't be resumed.
    mark: Option<Mark>,
    /// The content's offset of the buffer's byte 0, modulo 2^64.
    pub(super) base: u64,
    /// Where the next extent starts, and the last bytes before that.
    pub(super) extent_start: u64,
    pub(super) tail: Tail,
    /// The line that was read last lacked its newline, which may have come since.
    pub(super) newline_due: bool,
    /// A line that is too long for the buffer, as far as it was read.
    pub(super) spill: Option<SpillFile>,
    skip: Option<Skip>,
    /// The content ends at what was read so far.
    pub(super) at_end: bool,
}

impl Cursor {
    /// Goes to where the plan says; `None` when there is nothing to read.
    pub(super) fn open(plan: Plan) -> Result<Option<Self>, SourceError> {
        let Plan { path, mut file, compression, shard, mark, start, .. } = plan;
        let (offset, tail, skip) = match start {
            Start::Finished { .. } => return Ok(None),
            Start::At { offset, tail } => (offset, tail, None),
            Start::Skip { offset, tail } => {
                // What must be checked may lie beyond what is settled without gaps.
                let beyond = tail.filter(|(end, _)| *end > offset);
                let (to, again) = match beyond {
                    Some((end, _)) => (end, Some(offset)),
                    None => (offset, None),
                };
                (0, Tail::default(), Some(Skip { to, check: tail, again }))
            }
        };
        let io = |error| io_error(&path, error);
        file.seek(SeekFrom::Start(offset)).map_err(io)?;
        // A hint; a file system that knows no hints reads all the same.
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Sequential);
        let input = Input::new(Stored::File(file, offset), compression).map_err(io)?;
        let newline_due = tail.ends_inside_a_line();
        Ok(Some(Self {
            path,
            shard,
            input,
            compression,
            mark: Some(mark),
            base: offset,
            extent_start: offset,
            tail,
            newline_due,
            spill: None,
            skip,
            at_end: false,
        }))
    }

    /// Over something that can't be read again.
    pub(super) fn of_pipe(
        input: Input,
        compression: super::Compression,
        shard: ShardId,
        settled_through: u64,
        next: u64,
    ) -> Self {
        Self {
            path: "standard input".into(),
            shard,
            input,
            compression,
            mark: None,
            base: next,
            extent_start: settled_through,
            tail: Tail::default(),
            newline_due: false,
            spill: None,
            skip: None,
            at_end: false,
        }
    }

    pub(super) fn is_pipe(&self) -> bool {
        self.mark.is_none()
    }

    /// Whether content has to be dropped before the first line.
    pub(super) fn must_skip(&self) -> bool {
        self.skip.is_some()
    }

    /// Drops some content, with `scratch` to put it; an end before the place is an error.
    pub(super) fn skip_some(&mut self, scratch: &mut [u8]) -> Result<(), SourceError> {
        let Some(skip) = &mut self.skip else { return Ok(()) };
        let mut stop = skip.to;
        if let Some((end, _)) = skip.check
            && end > self.base
        {
            stop = stop.min(end);
        }
        let left = usize::try_from(stop - self.base).unwrap_or(usize::MAX);
        if left > 0 {
            let most = left.min(scratch.len());
            let part = scratch.get_mut(..most).unwrap_or_default();
            match self.input.read(part).map_err(|error| io_error(&self.path, error))? {
                Gave::Bytes(n) => {
                    self.tail.push(part.get(..n).unwrap_or_default());
                    self.base += n as u64;
                }
                Gave::Nothing => {}
                Gave::End | Gave::Broken(_) => return Err(ends_before(&self.path, skip.to)),
            }
        }
        if let Some((end, hash)) = skip.check
            && end == self.base
        {
            if self.tail.hash() != hash {
                return Err(other_tail(&self.path, end));
            }
            skip.check = None;
        }
        if self.base < skip.to {
            return Ok(());
        }
        match skip.again.take() {
            Some(offset) => {
                self.rewind().map_err(|error| io_error(&self.path.clone(), error))?;
                self.skip = Some(Skip { to: offset, check: None, again: None });
            }
            None => {
                self.skip = None;
                self.extent_start = self.base;
                self.newline_due = self.tail.ends_inside_a_line();
            }
        }
        Ok(())
    }

    fn rewind(&mut self) -> io::Result<()> {
        let file = self.input.file().ok_or(io::ErrorKind::Unsupported)?;
        let mut file = file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        self.input = Input::new(Stored::File(file, 0), self.compression)?;
        (self.base, self.tail) = (0, Tail::default());
        Ok(())
    }

    /// The mark of an extent that ends here, where [`Cursor::tail`] ends too.
    pub(super) fn mark(&self, at_end: bool) -> Result<Option<Vec<u8>>, SourceError> {
        let Some(mark) = &self.mark else { return Ok(None) };
        let mut mark = mark.clone();
        mark.tail = self.tail.hash();
        if at_end && let Some(file) = self.input.file() {
            mark.at_end = true;
            mark.stored_len = self.input.stored_read();
            let tail = stored_tail(file, mark.stored_len);
            mark.stored_tail = xxh3_128(&tail.map_err(|error| io_error(&self.path, error))?);
        }
        Ok(Some(mark.encode()))
    }

    /// For messages and reports: the file's name.
    pub(super) fn file_name(path: &Path) -> String {
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    }
}
