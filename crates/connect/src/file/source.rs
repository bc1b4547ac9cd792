//! The file source.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use event::batch::{Batch, Event, Extent, NO_TIME, Offsets, Span};
use event::clock::Clock;
use event::position::{Offset, ShardId};
use event::source::{Acker, BatchLimits, NoAck, Received, Source, SourceError, SourceState, Stop};

/// Which files to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilePattern {
    /// One file.
    Path(PathBuf),
    /// The files that a glob matches at the start, in sorted order.
    Glob(String),
    /// Standard input; can't resume.
    Stdin,
}

/// How the input is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// By the file's ending, else by its first bytes. Standard input: not compressed.
    #[default]
    Auto,
    /// Not at all.
    None,
    /// gzip, any number of members.
    Gzip,
    /// Zstandard, any number of frames.
    Zstd,
}

/// What a file source needs to know.
#[derive(Clone, Debug)]
pub struct FileSourceOptions {
    /// Which files.
    pub paths: FilePattern,
    /// How they are compressed.
    pub compression: Compression,
    /// Longest line that is kept in memory; longer ones go to a file in `spill_dir`.
    pub event_bytes_max: usize,
    /// Where over-long lines wait for the rejected file; created when it is needed.
    pub spill_dir: PathBuf,
    /// Read everything from its start, whatever the ledger remembers.
    pub reread: bool,
}

/// Reads files line by line; every line is one event.
pub struct FileSource {
    name: String,
    clock: Arc<dyn Clock>,
    file: Option<(File, ShardId, u64, Vec<u8>)>,
}

impl FileSource {
    /// Finds the files and where to go on in each.
    ///
    /// # Errors
    /// [`SourceError`] when a file can't be read, or isn't what `state` remembers.
    pub fn open(
        options: FileSourceOptions,
        state: &SourceState,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        let FilePattern::Path(path) = &options.paths else {
            return Err(SourceError::Changed {
                what: "this pattern can't be read yet".into(),
                help: "Give a path".into(),
            });
        };
        let io = |error| SourceError::Io { what: path.display().to_string(), error };
        let mut file = File::open(path).map_err(io)?;
        let shard: ShardId = path.display().to_string().into();
        let at = state.get(&shard).and_then(|s| s.settled_through.as_u64()).unwrap_or(0);
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(at)).map_err(io)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self { name: format!("file:{name}"), clock, file: Some((file, shard, at, Vec::new())) })
    }
}

impl Source for FileSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn receive(&mut self, limits: &BatchLimits, _: &Stop) -> Result<Received, SourceError> {
        let Some((file, shard, at, carry)) = &mut self.file else { return Ok(Received::End) };
        let mut buffer = std::mem::take(carry);
        let want = limits.bytes_max.saturating_sub(buffer.len()).max(1) as u64;
        let read = file
            .take(want)
            .read_to_end(&mut buffer)
            .map_err(|error| SourceError::Io { what: shard.to_string(), error })?;
        let mut events = Vec::new();
        let mut start = 0;
        let mut ends: Vec<usize> = memchr::memchr_iter(b'\n', &buffer).collect();
        let done = (read as u64) < want;
        if done && ends.last().map_or(0, |end| end + 1) < buffer.len() {
            ends.push(buffer.len());
        }
        for end in ends.into_iter().take(limits.events_max) {
            let raw = Span { start: start as u32, len: (end - start) as u32 };
            events.push(Event { raw, event_ms: NO_TIME, ..Event::default() });
            start = (end + 1).min(buffer.len());
        }
        *carry = buffer.split_off(start);
        let (base, shard) = (*at, shard.clone());
        *at += start as u64;
        if done && carry.is_empty() {
            self.file = None;
        }
        if events.is_empty() {
            return Ok(if self.file.is_some() { Received::Idle } else { Received::End });
        }
        let extent = Extent {
            shard,
            first_event: 0,
            events_received: events.len() as u32,
            received_ms: self.clock.now_ms(),
            broker_ms: Vec::new(),
            offsets: Offsets::Contiguous { base },
            start: Offset::from(base),
            end: Offset::from(base + start as u64),
            mark: None,
        };
        let extents = vec![extent];
        Ok(Received::Batch(Batch { buffer: buffer.into(), events, extents, ..Batch::default() }))
    }

    fn acker(&self) -> Box<dyn Acker> {
        Box::new(NoAck)
    }
}
