//! Looks up many keys in many runs: sorted once, then each run's filter is swept from front to
//! back, and of what passes each block is read once.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::block::BlockView;
use super::format::BLOCK_HEADER_BYTES;
use super::open::OpenRun;
use super::reader::OldBlocks;
use super::sort::sort;
use crate::error::LedgerError;
use crate::scope::CommittedKey;

/// How many keys ahead a filter's cache line is asked for.
const AHEAD: usize = 24;
/// Bytes between two wanted blocks that are read along rather than in a read of their own.
const GAP_BYTES_MAX: u64 = 4 << 10;
/// A read gets no longer by neighbouring blocks past this.
const READ_BYTES_MAX: u64 = 128 << 10;
/// Fewer reads are not worth threads.
const PARALLEL_READS_MIN: usize = 64;
/// Reads whose pace decides about threads, and how slow one of them has to be.
const PACE_READS: usize = 16;
const SLOW_READ: Duration = Duration::from_micros(40);
/// Reads that a thread takes at a time.
const SHARE_READS: usize = 4;

/// Room for look-ups, kept from one to the next.
pub(crate) struct LookupRoom {
    /// Threads that read at the same time when reads turn out slow (the blocks aren't in the page
    /// cache); 0 or 1: never more than the caller's, as simulations need it.
    pub(crate) parallel_reads_max: usize,
    /// How long a read takes on average where threads are worth it.
    pub(super) slow_read: Duration,
    /// The most threads that read at the same time, so far.
    pub(super) threads_used: usize,
    /// The keys, sorted, each once.
    keys: Vec<u128>,
    spare: Vec<u128>,
    /// The keys that passed the filter of a run.
    passed: Vec<u128>,
    /// Those of them that are looked for, of all runs.
    wanted: Vec<u128>,
    reads: Vec<Read>,
    hands: Hands,
}

impl LookupRoom {
    /// See [`LookupRoom::parallel_reads_max`].
    pub(crate) fn new(parallel_reads_max: usize) -> Self {
        Self {
            parallel_reads_max,
            slow_read: SLOW_READ,
            threads_used: 0,
            keys: Vec::new(),
            spare: Vec::new(),
            passed: Vec::new(),
            wanted: Vec::new(),
            reads: Vec::new(),
            hands: Hands::default(),
        }
    }
}

impl Default for LookupRoom {
    /// Without threads.
    fn default() -> Self {
        Self::new(1)
    }
}

/// Room to read in.
#[derive(Default)]
struct Hands {
    bytes: Vec<u8>,
    old: OldBlocks,
}

/// A piece of a run to be read.
#[derive(Clone, Debug)]
struct Read {
    /// The run, by place.
    run: usize,
    /// Its first block.
    block: usize,
    offset: u64,
    end: u64,
    /// The keys to look for in it, by place in `wanted`.
    wanted: Range<usize>,
}

/// [`look_up_but`] for all keys.
pub(crate) fn look_up(
    runs: &[Arc<OpenRun>],
    keys: &[u128],
    room: &mut LookupRoom,
    found: &mut Vec<CommittedKey>,
) -> Result<(), LedgerError> {
    look_up_but(runs, keys, room, &mut |_| {}, found)
}

/// Appends every entry of every run whose key is among `keys`, each once, also where a key is
/// repeated. Any order; keys that are spread like hashes are fast. `sift` gets the keys that pass
/// the filter of a run, and takes out those that nobody needs.
///
/// # Errors
/// [`LedgerError::Damaged`] when what was read isn't what was written, [`LedgerError::Io`].
pub(crate) fn look_up_but(
    runs: &[Arc<OpenRun>],
    keys: &[u128],
    room: &mut LookupRoom,
    sift: &mut dyn FnMut(&mut Vec<u128>),
    found: &mut Vec<CommittedKey>,
) -> Result<(), LedgerError> {
    room.keys.clear();
    room.keys.extend_from_slice(keys);
    sort(&mut room.keys, &mut room.spare, |key| upper(*key));
    room.keys.dedup();
    room.wanted.clear();
    room.reads.clear();
    for (number, run) in runs.iter().enumerate() {
        let first = room.wanted.len();
        room.passed.clear();
        pass_filter(run, &room.keys, &mut room.passed);
        if room.passed.is_empty() {
            continue;
        }
        sift(&mut room.passed);
        room.wanted.append(&mut room.passed);
        plan_reads(number, run, &room.wanted, first, &mut room.reads)?;
    }
    let LookupRoom { parallel_reads_max, slow_read, wanted, reads, hands, .. } = room;
    let (mut done, mut pace) = (0, Pace::new(*parallel_reads_max, *slow_read));
    while let Some(read) = reads.get(done) {
        let rest = reads.get(done..).unwrap_or_default();
        if rest.len() >= PARALLEL_READS_MIN && pace.is_slow() {
            let threads = (*parallel_reads_max).min(rest.len() / SHARE_READS);
            room.threads_used = room.threads_used.max(threads);
            return read_side_by_side(runs, wanted, rest, threads, found);
        }
        read_one(runs, wanted, read, hands, found)?;
        pace.count();
        done += 1;
    }
    Ok(())
}

const fn upper(key: u128) -> u64 {
    (key >> 64) as u64
}

/// Appends the keys that may be in `run`.
fn pass_filter(run: &OpenRun, keys: &[u128], wanted: &mut Vec<u128>) {
    if run.state().count == 0 {
        return;
    }
    let (min, max) = run.key_range();
    let begin = keys.partition_point(|key| *key < min);
    let end = keys.partition_point(|key| *key <= max);
    let keys = keys.get(begin..end).unwrap_or_default();
    let ahead = keys.get(AHEAD..).unwrap_or_default();
    keys.iter().take(AHEAD).for_each(|key| run.filter.prefetch(upper(*key)));
    // The last ones ask once more for the last line.
    let last = keys.last().into_iter().cycle();
    for (key, ahead) in keys.iter().zip(ahead.iter().chain(last)) {
        run.filter.prefetch(upper(*ahead));
        if run.filter.may_hold(upper(*key), *key as u64) {
            wanted.push(*key);
        }
    }
}

/// Plans the reads for the keys from number `first` on, which are sorted.
fn plan_reads(
    number: usize,
    run: &OpenRun,
    wanted: &[u128],
    first: usize,
    reads: &mut Vec<Read>,
) -> Result<(), LedgerError> {
    let mut from = 0;
    let begin = reads.len();
    for (place, key) in wanted.iter().enumerate().skip(first) {
        let blocks = run.blocks_of(upper(*key), from);
        from = blocks.start;
        if blocks.is_empty() {
            continue;
        }
        let ends = (run.extent(blocks.start), run.extent(blocks.end - 1));
        let (Some((offset, _)), Some((_, end))) = ends else {
            return Err(run.file.damaged(None, "its index doesn't fit its blocks"));
        };
        let near = reads.get_mut(begin..).and_then(<[Read]>::last_mut).filter(|read| {
            offset.saturating_sub(read.end) <= GAP_BYTES_MAX
                && end.saturating_sub(read.offset) <= READ_BYTES_MAX
        });
        match near {
            Some(read) => {
                read.end = read.end.max(end);
                read.wanted.end = place + 1;
            }
            None => {
                let (block, wanted) = (blocks.start, place..place + 1);
                reads.push(Read { run: number, block, offset, end, wanted });
            }
        }
    }
    Ok(())
}

/// Reads one piece and appends what is wanted of it.
fn read_one(
    runs: &[Arc<OpenRun>],
    wanted: &[u128],
    read: &Read,
    hands: &mut Hands,
    found: &mut Vec<CommittedKey>,
) -> Result<(), LedgerError> {
    let Some(run) = runs.get(read.run) else { return Ok(()) };
    hands.bytes.resize((read.end - read.offset) as usize, 0);
    run.file.read(read.offset, &mut hands.bytes)?;
    let mut from = read.block;
    // The block that was checked last, by number.
    let mut checked = usize::MAX;
    for key in wanted.get(read.wanted.clone()).unwrap_or_default() {
        let blocks = run.blocks_of(upper(*key), from);
        from = blocks.start;
        for number in blocks {
            let Some((offset, end)) = run.extent(number) else { continue };
            let damaged = || run.file.damaged(Some(offset), "no valid block");
            let at = (offset - read.offset) as usize..(end - read.offset) as usize;
            let block = hands.bytes.get(at).ok_or_else(damaged)?;
            let (head, payload) = block.split_at_checked(BLOCK_HEADER_BYTES).ok_or_else(damaged)?;
            if checked != number {
                let head = head.first_chunk().map_or(0, |head| u64::from_le_bytes(*head));
                let (len, crc) = (head as u32 as usize, (head >> 32) as u32);
                if len != payload.len() || crc32c::crc32c(payload) != crc {
                    return Err(damaged());
                }
                checked = number;
            }
            let taken = if run.is_old() {
                take_old(payload, *key, &mut hands.old, found)
            } else {
                take(payload, *key, found)
            };
            taken.ok_or_else(damaged)?;
        }
    }
    Ok(())
}

/// Appends the entries of `key` in a block; `None` when it is no block.
fn take(payload: &[u8], key: u128, found: &mut Vec<CommittedKey>) -> Option<()> {
    let block = BlockView::new(payload)?;
    for place in block.places(key) {
        let row = block.row(place)?;
        found.push(row.whole(&block.kind(row.kind)?));
    }
    Some(())
}

/// [`take`] for a block of format 1, which has to be decoded as a whole.
fn take_old(
    payload: &[u8],
    key: u128,
    old: &mut OldBlocks,
    found: &mut Vec<CommittedKey>,
) -> Option<()> {
    old.decode(payload)?;
    found.extend(old.keys.iter().filter(|entry| entry.key == key));
    Some(())
}

/// How fast the last reads were, where that decides anything.
struct Pace {
    begun: Option<Instant>,
    slow_read: Duration,
    reads: usize,
    is_slow: bool,
}

impl Pace {
    fn new(parallel_reads_max: usize, slow_read: Duration) -> Self {
        let begun = (parallel_reads_max > 1).then(Instant::now);
        Self { begun, slow_read, reads: 0, is_slow: false }
    }

    fn count(&mut self) {
        self.reads += 1;
        if self.reads == PACE_READS
            && let Some(begun) = self.begun
        {
            self.is_slow = begun.elapsed() > self.slow_read * PACE_READS as u32;
            (self.begun, self.reads) = (Some(Instant::now()), 0);
        }
    }

    const fn is_slow(&self) -> bool {
        self.is_slow
    }
}

type Share = (usize, Result<Vec<CommittedKey>, LedgerError>);

/// Reads in several threads, of which this is one. What they find comes in the order of `reads`
/// all the same.
fn read_side_by_side(
    runs: &[Arc<OpenRun>],
    wanted: &[u128],
    reads: &[Read],
    threads: usize,
    found: &mut Vec<CommittedKey>,
) -> Result<(), LedgerError> {
    let next = AtomicUsize::new(0);
    let work = || -> Vec<Share> {
        let (mut hands, mut shares) = (Hands::default(), Vec::new());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(share) = reads.chunks(SHARE_READS).nth(number) else { break shares };
            let mut found = Vec::new();
            let mut each = share.iter();
            let read =
                each.try_for_each(|read| read_one(runs, wanted, read, &mut hands, &mut found));
            shares.push((number, read.map(|()| found)));
        }
    };
    let mut shares = std::thread::scope(|scope| {
        // Where the system gives no more threads, fewer do it.
        let thread = || std::thread::Builder::new().name("look-up".into());
        let others: Vec<_> =
            (1..threads).map_while(|_| thread().spawn_scoped(scope, work).ok()).collect();
        let mut shares = work();
        for other in others {
            match other.join() {
                Ok(more) => shares.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        shares
    });
    shares.sort_unstable_by_key(|(number, _)| *number);
    shares.into_iter().try_for_each(|(_, share)| {
        found.append(&mut share?);
        Ok(())
    })
}
