//! The file source: lines of files, of compressed files, and of standard input.
//!
//! Every line is one event, an empty one too; its newline isn't part of it (a carriage return
//! before it is). A last line without newline is an event once the content has ended; when the
//! file grows later, what came after it on the same line is an event of its own.
//!
//! A file is known by device, inode and its first bytes ([`identity`]); a shard is one file.
//! Offsets count bytes of content, decompressed. Standard input can't be read again: what a crash
//! took with it is lost, and its offsets go on where those of the last run ended.

mod assembly;
mod cursor;
mod identity;
mod input;
mod mark;
mod plan;

mod receive;
mod spill;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use event::ShardId;
use event::clock::Clock;
use event::source::{Acker, BatchLimits, NoAck, Received, Source, SourceError, SourceState, Stop};

use crate::pool::BufferPool;
use assembly::Assembly;
use cursor::Cursor;
use input::{Input, Stored};
use plan::{Plan, Start};

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
    /// Longest line that is kept in memory, at most 1 GiB; longer ones go to a file in `spill_dir`.
    pub event_bytes_max: usize,
    /// Where over-long lines wait for the rejected file; created when it is needed.
    pub spill_dir: PathBuf,
    /// Read everything from its start, whatever the ledger remembers.
    pub reread: bool,
}

/// The shard of standard input. One for all runs, so that the ledger doesn't grow by runs.
const STDIN_SHARD: &str = "stdin";

/// Reads files line by line; every line is one event.
pub struct FileSource {
    name: String,
    clock: Arc<dyn Clock>,
    options: FileSourceOptions,
    state: SourceState,
    pool: BufferPool,
    /// Files that are still to be read.
    queue: VecDeque<PathBuf>,
    /// Device and inode of those that were: a second name of a file doesn't read it again.
    seen: HashSet<(u64, u64)>,
    cursor: Option<Cursor>,
    assembly: Option<Assembly>,
    remarks: Vec<String>,
    /// What is told once everything else was handed over.
    broken: Option<SourceError>,
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
        let paths = match &options.paths {
            FilePattern::Path(path) => vec![path.clone()],
            FilePattern::Glob(pattern) => expand(pattern)?,
            FilePattern::Stdin => {
                let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(stdin_error)?;
                return Self::open_pipe(options, stdin, state, clock);
            }
        };
        let name = match &options.paths {
            FilePattern::Glob(pattern) => Cursor::file_name(Path::new(pattern)),
            _ => paths.first().map(|path| Cursor::file_name(path)).unwrap_or_default(),
        };
        let mut source = Self::new(name, options, state, clock);
        // Looked at now, so that what is wrong with any of them shows at the start; and once more
        // when its turn comes, because it may have grown until then.
        for path in &paths {
            let options = &source.options;
            let plan = Plan::make(path, options.compression, state, options.reread)?;
            if let Start::Finished { bytes } = plan.start {
                let name = Cursor::file_name(path);
                source.remarks.push(format!(
                    "{name} was read to its end ({bytes} bytes) by an earlier run; --reread reads \
                     it again"
                ));
            }
        }
        source.queue = paths.into();
        Ok(source)
    }

    /// Reads a pipe or terminal that is open already, as standard input is read.
    ///
    /// # Errors
    /// [`SourceError`] when the decompressor can't be made.
    pub fn open_pipe(
        options: FileSourceOptions,
        pipe: OwnedFd,
        state: &SourceState,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        let shard: ShardId = STDIN_SHARD.into();
        let known = state.get(&shard);
        let settled_through = known.and_then(|s| s.settled_through.as_u64()).unwrap_or(0);
        // Nothing of this run may look as if it had been settled by an earlier one. The first
        // extent begins at `settled_through`: the gaps of earlier runs can't be read any more.
        let beyond = known.and_then(|s| s.settled_beyond.last()).and_then(|last| last.1.as_u64());
        let next = beyond.unwrap_or(0).max(settled_through);
        let compression = options.compression;
        let stored = Stored::Pipe(pipe, Duration::ZERO);
        let input = Input::new(stored, compression).map_err(stdin_error)?;
        let mut source = Self::new("-".into(), options, state, clock);
        let cursor = Cursor::of_pipe(input, compression, shard, settled_through, next);
        source.cursor = Some(cursor);
        Ok(source)
    }

    fn new(
        name: String,
        mut options: FileSourceOptions,
        state: &SourceState,
        clock: Arc<dyn Clock>,
    ) -> Self {
        options.event_bytes_max = options.event_bytes_max.clamp(1, 1 << 30);
        Self {
            name: format!("file:{name}"),
            clock,
            options,
            state: state.clone(),
            pool: BufferPool::default(),
            queue: VecDeque::new(),
            seen: HashSet::new(),
            cursor: None,
            assembly: None,
            remarks: Vec::new(),
            broken: None,
        }
    }
}

fn stdin_error(error: io::Error) -> SourceError {
    SourceError::Io { what: "standard input".into(), error }
}

/// The files that a glob matches, sorted.
fn expand(pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
    let matches = glob::glob(pattern).map_err(|error| SourceError::Changed {
        what: format!("{pattern:?} is no glob: {error}"),
        help: "* stands for any part of a name, ** for any folders, [ab] for one of some".into(),
    })?;
    let mut paths = Vec::new();
    for path in matches {
        let path = path.map_err(|error| {
            let what = error.path().display().to_string();
            SourceError::Io { what, error: error.into() }
        })?;
        if !path.is_dir() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(SourceError::Changed {
            what: format!("no file matches {pattern}"),
            help: "Check the pattern; it is relative to the config's folder".into(),
        });
    }
    paths.sort_unstable();
    Ok(paths)
}

impl Source for FileSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn receive(&mut self, limits: &BatchLimits, stop: &Stop) -> Result<Received, SourceError> {
        self.receive_batch(limits, stop)
    }

    fn acker(&self) -> Box<dyn Acker> {
        Box::new(NoAck)
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.clone()
    }
}
