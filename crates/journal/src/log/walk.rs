//! Walks the groups of a journal's segments, hands out their records, and tells a torn tail from
//! corruption.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memchr::memmem;

use super::error::{OpenError, ReplayError};
use super::format::{
    ALIGN_BYTES, GROUP_HEADER_BYTES, GROUP_MAGIC, GroupHeader, SegmentHeader, payload_is_whole,
    records,
};
use super::position::Position;
use super::segment::{Found, Opened};
use super::window::Window;
use crate::disk::{Disk, DiskFile, read_full_at};

/// Read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Is handed every whole record in order; an error ends the replay.
pub type Replay<'a> = dyn FnMut(Position, &[u8]) -> Result<(), ReplayError> + 'a;

/// What a walk through all segments found.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) segments: Vec<WalkedSegment>,
    /// The last segment.
    pub(super) tail: Option<Opened>,
    /// Where the last whole group ends.
    pub(super) end: u64,
    /// Checksum of the last whole group.
    pub(super) checksum: u32,
    /// The highest position below which some header says that all was synced.
    pub(super) synced_through: u64,
}

/// What is kept in mind of a segment.
pub(super) struct WalkedSegment {
    pub(super) id: u64,
    pub(super) base: u64,
    pub(super) bytes: u64,
}

/// Walks the segments. Changes nothing.
pub(super) fn walk(
    disk: &dyn Disk,
    dir: &Path,
    found: &[Found],
    replay: &mut Replay<'_>,
) -> Result<Walked, OpenError> {
    let mut walked = Walked::default();
    let mut found = found.iter();
    let mut next = found.next().map(|first| Opened::new(disk, dir, first)).transpose()?;
    if let Some(first) = &next {
        (walked.end, walked.checksum) = (first.header.base, first.header.prev_checksum);
    }
    while let Some(segment) = next {
        next = found.next().map(|later| Opened::new(disk, dir, later)).transpose()?;
        if let Some(next) = &next {
            check_same_journal(&segment, next)?;
        }
        walked.segment(dir, &segment, next.as_ref(), replay)?;
        let header = &segment.header;
        let (id, base, bytes) = (header.segment, header.base, segment.bytes);
        walked.segments.push(WalkedSegment { id, base, bytes });
        walked.tail = Some(segment);
    }
    Ok(walked)
}

fn check_same_journal(segment: &Opened, next: &Opened) -> Result<(), OpenError> {
    let (expected, found) = (segment.header.journal, next.header.journal);
    if expected != found {
        return Err(OpenError::ForeignSegment { file: next.path.clone(), found, expected });
    }
    Ok(())
}

/// What stands at a place where a group might.
enum At {
    Group {
        header: GroupHeader,
        checksum: u32,
    },
    /// Nothing was ever written there, as far as can be seen.
    Blank,
    Bad(&'static str),
}

impl Walked {
    fn segment(
        &mut self,
        dir: &Path,
        segment: &Opened,
        next: Option<&Opened>,
        replay: &mut Replay<'_>,
    ) -> Result<(), OpenError> {
        let header = &segment.header;
        if header.base != self.end || header.prev_checksum != self.checksum {
            let what = "the segment does not go on from the one before it";
            return Err(OpenError::corrupt(&segment.path, 0, what));
        }
        self.synced_through = self.synced_through.max(header.synced_through);
        let ends = next.map(|next| next.header.base);
        let chunk_bytes = CHUNK_BYTES.min(usize::try_from(segment.bytes).unwrap_or(CHUNK_BYTES));
        let mut window = Window::new(Arc::clone(&segment.file), chunk_bytes);
        while ends != Some(self.end) {
            let offset = header.offset(self.end);
            let read = OpenError::io("read", &segment.path);
            match self.group_at(&mut window, header, offset).map_err(read)? {
                At::Group { header: group, checksum } if group.records > 0 => {
                    self.take(&mut window, segment, offset, &group, replay)?;
                    self.checksum = checksum;
                }
                // Nothing is ever written to a segment behind the group of a clean close.
                At::Group { header: group, .. } if next.is_none() => {
                    self.synced_through = self.synced_through.max(group.synced_through);
                    break;
                }
                bad => match next {
                    Some(next) => return Err(self.gap(dir, segment, next, &bad)),
                    None if self.ends_here(&mut window, segment, offset, &bad)? => break,
                    None => {}
                },
            }
            if ends.is_some_and(|ends| ends < self.end) {
                let what = "the group reaches into the next segment";
                return Err(OpenError::corrupt(&segment.path, offset, what));
            }
        }
        Ok(())
    }

    fn group_at(
        &self,
        window: &mut Window,
        segment: &SegmentHeader,
        offset: u64,
    ) -> io::Result<At> {
        let bytes = window.get(offset, GROUP_HEADER_BYTES, u64::MAX)?;
        let Some((header, checksum)) = GroupHeader::decode(bytes, segment.seed(), offset) else {
            let blank = bytes.iter().all(|byte| *byte == 0);
            return Ok(if blank { At::Blank } else { At::Bad("no valid group stands there") });
        };
        if header.prev_checksum != self.checksum || header.position != self.end {
            return Ok(At::Bad("the group there does not follow the one before it"));
        }
        if header.synced_through > self.end {
            return Ok(At::Bad("the group there says that it was synced before it was written"));
        }
        let all = GROUP_HEADER_BYTES + u64::from(header.payload_bytes);
        let payload = window.get(offset, all, u64::MAX)?.get(GROUP_HEADER_BYTES as usize..);
        if !payload_is_whole(&header, payload.unwrap_or_default()) {
            return Ok(At::Bad("the records of the group there are not whole"));
        }
        Ok(At::Group { header, checksum })
    }

    /// Hands out the records of a group that was found whole.
    fn take(
        &mut self,
        window: &mut Window,
        segment: &Opened,
        offset: u64,
        group: &GroupHeader,
        replay: &mut Replay<'_>,
    ) -> Result<(), OpenError> {
        let read = OpenError::io("read", &segment.path);
        let from = offset + GROUP_HEADER_BYTES;
        let payload = window.get(from, u64::from(group.payload_bytes), u64::MAX).map_err(read)?;
        for record in records(payload, group.position + GROUP_HEADER_BYTES) {
            let position = Position(record.position);
            replay(position, record.bytes)
                .map_err(|source| OpenError::Replay { position, source })?;
        }
        self.synced_through = self.synced_through.max(group.synced_through);
        self.end += group.group_bytes();
        Ok(())
    }

    /// Whether the journal ends at this bad place of its last segment. It doesn't when the place
    /// turns out good when read again: its writer was at it just now.
    fn ends_here(
        &mut self,
        window: &mut Window,
        segment: &Opened,
        offset: u64,
        bad: &At,
    ) -> Result<bool, OpenError> {
        let attested = attested_behind(&*segment.file, &segment.header, offset);
        let attested = attested.map_err(OpenError::io("read", &segment.path))?;
        self.synced_through = self.synced_through.max(attested);
        if self.synced_through <= self.end {
            return Ok(true);
        }
        window.forget();
        let again = self.group_at(window, &segment.header, offset);
        if let At::Group { .. } = again.map_err(OpenError::io("read", &segment.path))? {
            return Ok(false);
        }
        let what = match bad {
            At::Bad(what) => what,
            At::Blank | At::Group { .. } => "nothing stands there",
        };
        let synced = self.synced_through;
        let what = format!("{what}, although everything below position {synced} was synced");
        Err(OpenError::corrupt(&segment.path, offset, &what))
    }

    /// What it means that a segment ends before the next one begins.
    fn gap(&self, dir: &Path, segment: &Opened, next: &Opened, bad: &At) -> OpenError {
        let offset = segment.header.offset(self.end);
        let follows = next.header.segment == segment.header.segment + 1;
        let attested = || attested_behind(&*segment.file, &segment.header, offset);
        match bad {
            // What lay between was cut or dropped with the segments that are missing.
            _ if !follows && attested().is_ok_and(|at| at <= self.end) => {
                OpenError::MissingSegment {
                    dir: dir.to_path_buf(),
                    next: next.path.clone(),
                    begins: Position(next.header.base),
                    ends: Position(self.end),
                }
            }
            At::Bad(what) => OpenError::corrupt(&segment.path, offset, what),
            At::Blank | At::Group { .. } => {
                let what = "nothing stands there, although the next segment begins later";
                OpenError::corrupt(&segment.path, offset, what)
            }
        }
    }
}

/// The highest `synced_through` of a valid group header behind a bad place. Such a header can be
/// trusted by itself, as its checksum covers its place.
fn attested_behind(file: &dyn DiskFile, segment: &SegmentHeader, offset: u64) -> io::Result<u64> {
    let magic = memmem::Finder::new(&GROUP_MAGIC);
    let mut highest = 0;
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut at = offset;
    loop {
        let read = read_full_at(file, at, &mut buffer)?;
        let chunk = buffer.get(..read).unwrap_or_default();
        for found in magic.find_iter(chunk) {
            let place = at + found as u64;
            if !place.is_multiple_of(ALIGN_BYTES) {
                continue;
            }
            let bytes = chunk.get(found..found + GROUP_HEADER_BYTES as usize).unwrap_or_default();
            if let Some((group, _)) = GroupHeader::decode(bytes, segment.seed(), place) {
                highest = highest.max(group.synced_through);
            }
        }
        if read < buffer.len() {
            return Ok(highest);
        }
        // The next chunk begins a header earlier, so that none is cut in two.
        at += read as u64 - GROUP_HEADER_BYTES;
    }
}

impl OpenError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path: PathBuf = path.into();
        move |source| Self::Io { what, path, source }
    }

    pub(super) fn corrupt(file: &Path, offset: u64, what: &str) -> Self {
        Self::Corrupt { file: file.into(), offset, what: what.into() }
    }
}
