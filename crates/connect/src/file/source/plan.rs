//! Where to go on in a file: what the ledger remembers, compared with what lies there.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use event::ShardId;
use event::source::{ShardState, SourceError, SourceState};
use xxhash_rust::xxh3::xxh3_128;

use super::Compression;
use super::identity::{Identity, SAMPLE_BYTES, Tail, head_of, stored_tail};
use super::mark::{Mark, prefixes_of};

/// A file and where to go on in it.
pub(super) struct Plan {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) device_inode: (u64, u64),
    pub(super) compression: Compression,
    pub(super) shard: ShardId,
    /// What the marks of its extents begin with.
    pub(super) mark: Mark,
    pub(super) start: Start,
}

/// Where reading begins.
#[derive(Debug)]
pub(super) enum Start {
    /// At a place in the content, behind these last bytes before it.
    At { offset: u64, tail: Tail },
    /// The compressed content before `offset` is read and dropped. Where `tail` names a place, the
    /// last bytes before that must have this hash.
    Skip { offset: u64, tail: Option<(u64, u128)> },
    /// Nowhere: an earlier run read all of it, so many bytes of content.
    Finished { bytes: u64 },
}

/// What the ledger knows of a shard that is a file.
struct Known<'a> {
    identity: Identity,
    reread: u32,
    shard: &'a ShardId,
    state: &'a ShardState,
    mark: Option<(u64, Mark)>,
}

impl Known<'_> {
    fn settled_through(&self) -> u64 {
        self.state.settled_through.as_u64().unwrap_or(0)
    }

    /// No byte before this one may be missing.
    fn must_reach(&self) -> u64 {
        self.settled_through().max(self.mark.as_ref().map_or(0, |(end, _)| *end))
    }
}

pub(super) fn io_error(path: &Path, error: io::Error) -> SourceError {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => " (give this user the right to read it)",
        io::ErrorKind::NotFound => " (is the path right?)",
        _ => "",
    };
    SourceError::Io { what: format!("{}{advice}", path.display()), error }
}

impl Plan {
    /// Opens the file and finds out where to go on.
    pub(super) fn make(
        path: &Path,
        compression: Compression,
        state: &SourceState,
        reread: bool,
    ) -> Result<Self, SourceError> {
        let io = |error| io_error(path, error);
        let file = File::open(path).map_err(io)?;
        let meta = file.metadata().map_err(io)?;
        if !meta.is_file() {
            return Err(SourceError::Changed {
                what: format!("{} is not a regular file", path.display()),
                help: "A pipe is read with path: \"-\", a folder with a glob".into(),
            });
        }
        let head = head_of(&file).map_err(io)?;
        let now = Now { path, file: &file, meta: &meta, head: &head };
        let compression = compression_of(path, &head, compression);
        let known = known(&meta, state);
        let fresh = Identity::of(&meta, &head);
        let resumed = if reread { None } else { now.find(&known)? };
        let (shard, start) = match resumed {
            Some(known) => (known.shard.clone(), now.start(known, compression)?),
            None => (new_shard(fresh, &known), begin()),
        };
        let mark = Mark {
            path: path.to_path_buf(),
            prefixes: prefixes_of(&head),
            created_ns: created_ns(&meta),
            at_end: false,
            stored_len: 0,
            stored_tail: 0,
            tail: 0,
        };
        let device_inode = (fresh.device, fresh.inode);
        let path = path.to_path_buf();
        Ok(Self { path, file, device_inode, compression, shard, mark, start })
    }
}

fn begin() -> Start {
    Start::At { offset: 0, tail: Tail::default() }
}

/// A shard that the ledger doesn't know yet.
fn new_shard(identity: Identity, known: &[Known<'_>]) -> ShardId {
    let same = known.iter().filter(|known| known.identity == identity);
    let rereads = same.map(|known| known.reread).max().unwrap_or(0);
    identity.shard(rereads + 1)
}

/// What the ledger knows of files with this device and inode.
fn known<'a>(meta: &Metadata, state: &'a SourceState) -> Vec<Known<'a>> {
    let prefix: ShardId = Identity::prefix(meta).into();
    let shards = state.range(prefix.clone()..).take_while(|(shard, _)| shard.starts_with(&*prefix));
    let known = |(shard, state): (&'a ShardId, &'a ShardState)| {
        let (identity, reread) = Identity::parse(shard)?;
        let mark = state
            .mark
            .as_ref()
            .and_then(|(end, bytes)| Some((end.as_u64()?, Mark::decode(bytes)?)));
        Some(Known { identity, reread, shard, state, mark })
    };
    shards.filter_map(known).collect()
}

fn created_ns(meta: &Metadata) -> u64 {
    let created = meta.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    created.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0)
}

/// What the file's name says, else its first bytes.
fn compression_of(path: &Path, head: &[u8], asked: Compression) -> Compression {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match (asked, ending) {
        (Compression::Auto, "gz" | "gzip") => Compression::Gzip,
        (Compression::Auto, "zst" | "zstd") => Compression::Zstd,
        (Compression::Auto, _) if head.starts_with(&[0x1f, 0x8b]) => Compression::Gzip,
        (Compression::Auto, _) if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) => Compression::Zstd,
        (Compression::Auto, _) => Compression::None,
        (asked, _) => asked,
    }
}

/// The file as it lies there.
struct Now<'a> {
    path: &'a Path,
    file: &'a File,
    meta: &'a Metadata,
    head: &'a [u8],
}

impl Now<'_> {
    /// The shard that this file is, or `None` when it is another file than any that is known.
    fn find<'k, 'a>(&self, known: &'k [Known<'a>]) -> Result<Option<&'k Known<'a>>, SourceError> {
        let same = known.iter().filter(|known| known.identity.begins_as(self.head));
        if let Some(found) = same.max_by_key(|known| (known.reread, known.identity.head_len)) {
            return Ok(Some(found));
        }
        // Shorter than the head of one that it may have been: was it cut, or is it another file?
        let cut = known
            .iter()
            .filter(|known| self.meta.len() < u64::from(known.identity.head_len))
            .find(|known| !self.is_certainly_not(known));
        match cut {
            Some(known) => Err(self.shorter(known.must_reach())),
            None => Ok(None),
        }
    }

    /// Whether the birth time or the first bytes show that this is another file.
    fn is_certainly_not(&self, known: &Known<'_>) -> bool {
        known.mark.as_ref().is_some_and(|(_, mark)| {
            let created_ns = created_ns(self.meta);
            let born_later =
                created_ns != 0 && mark.created_ns != 0 && created_ns != mark.created_ns;
            born_later || mark.begins_otherwise(self.head)
        })
    }

    fn start(&self, known: &Known<'_>, compression: Compression) -> Result<Start, SourceError> {
        let io = |error| io_error(self.path, error);
        let offset = known.settled_through();
        let gaps = !known.state.settled_beyond.is_empty();
        if matches!(compression, Compression::Gzip | Compression::Zstd) {
            let Some((end, mark)) = &known.mark else {
                return Ok(Start::Skip { offset, tail: None });
            };
            if mark.at_end {
                if self.meta.len() < mark.stored_len {
                    return Err(self.shorter(mark.stored_len));
                }
                let tail = stored_tail(self.file, mark.stored_len).map_err(io)?;
                let same = xxh3_128(&tail) == mark.stored_tail;
                if same && self.meta.len() == mark.stored_len && *end <= offset && !gaps {
                    return Ok(Start::Finished { bytes: offset });
                }
            }
            return Ok(Start::Skip { offset, tail: Some((*end, mark.tail)) });
        }
        if self.meta.len() < known.must_reach() {
            return Err(self.shorter(known.must_reach()));
        }
        if let Some((end, mark)) = &known.mark
            && xxh3_128(&stored_tail(self.file, *end).map_err(io)?) != mark.tail
        {
            return Err(other_tail(self.path, *end));
        }
        let mut tail = Tail::default();
        tail.push(&stored_tail(self.file, offset).map_err(io)?);
        let rest = self.meta.len() - offset;
        let newline_only = || {
            let last = stored_tail(self.file, offset + 1).map_err(io)?;
            Ok(tail.ends_inside_a_line() && last.ends_with(b"\n"))
        };
        if offset > 0 && (rest == 0 || rest == 1 && newline_only()?) {
            return Ok(Start::Finished { bytes: offset });
        }
        Ok(Start::At { offset, tail })
    }

    fn shorter(&self, known: u64) -> SourceError {
        let (path, now) = (self.path.display(), self.meta.len());
        SourceError::Changed {
            what: format!(
                "{path} is shorter than it was: {now} bytes, and {known} were read of it before"
            ),
            help: RESTART.into(),
        }
    }
}

const RESTART: &str = "If it was cut on purpose, let --reread read it from its start, or give the \
                       new content a file of its own";

/// The file begins as the known one, but isn't it.
pub(super) fn other_tail(path: &Path, end: u64) -> SourceError {
    let from = end.saturating_sub(SAMPLE_BYTES as u64);
    SourceError::Changed {
        what: format!(
            "{} was changed after it was read: its bytes {from} to {end} are not what they were",
            path.display()
        ),
        help: RESTART.into(),
    }
}

/// The content ends before the place up to which it was read before.
pub(super) fn ends_before(path: &Path, offset: u64) -> SourceError {
    SourceError::Changed {
        what: format!(
            "{} is shorter than it was: {offset} bytes of its content were read before",
            path.display()
        ),
        help: RESTART.into(),
    }
}
