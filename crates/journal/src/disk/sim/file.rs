//! A simulated file: what readers see, what is durable, and what is between the two.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::content::Content;
use super::rng::{Keep, Rng};

/// What a disk writes in one piece.
const SECTOR_BYTES: u64 = 512;

#[derive(Clone)]
pub(super) enum FileOp {
    Write { offset: u64, bytes: Arc<[u8]> },
    SetLen(u64),
}

#[derive(Clone, Default)]
pub(super) struct FileNode {
    /// What a reader sees: the page cache.
    pub(super) live: Content,
    durable: Content,
    /// Changes of `live` that `durable` lacks, in order, each with its number.
    pending: VecDeque<(u64, FileOp)>,
    /// Bytes for which room is taken.
    pub(super) allocated: u64,
}

impl FileNode {
    pub(super) fn write(&mut self, number: u64, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.live.write(offset, bytes);
        self.allocated = self.allocated.max(offset + bytes.len() as u64);
        self.pending.push_back((number, FileOp::Write { offset, bytes: bytes.into() }));
    }

    pub(super) fn set_len(&mut self, number: u64, len: u64) {
        self.live.set_len(len);
        self.allocated = self.allocated.min(len);
        self.pending.push_back((number, FileOp::SetLen(len)));
    }

    pub(super) fn preallocate(&mut self, number: u64, len: u64) {
        self.set_len(number, len);
        self.allocated = len;
    }

    /// Makes the changes up to and with `number` durable.
    pub(super) fn sync(&mut self, number: u64) {
        while let Some((_, op)) = self.pending.pop_front_if(|(n, _)| *n <= number) {
            match op {
                FileOp::Write { offset, bytes } => self.durable.write(offset, &bytes),
                FileOp::SetLen(len) => self.durable.set_len(len),
            }
        }
    }

    /// A sync that failed as on Linux: some changes are durable, the others are lost although
    /// readers go on seeing them, and no later sync will write them.
    pub(super) fn sync_lost(&mut self, rng: &mut Rng) {
        self.durable = self.survivor(Keep::Half, rng);
        self.pending.clear();
    }

    /// The file after a loss of power.
    pub(super) fn after_power_loss(&self, keep: Keep, rng: &mut Rng) -> Self {
        let content = self.survivor(keep, rng);
        let allocated = content.len;
        Self { live: content.clone(), durable: content, pending: VecDeque::new(), allocated }
    }

    /// Each sector and the length are as they were at some moment since they were last synced, and
    /// each at a moment of its own.
    fn survivor(&self, keep: Keep, rng: &mut Rng) -> Content {
        let mut lens = vec![self.durable.len];
        let mut sectors: BTreeMap<u64, Vec<&FileOp>> = BTreeMap::new();
        for (_, op) in &self.pending {
            let len = lens.last().copied().unwrap_or_default();
            match op {
                FileOp::Write { offset, bytes } => {
                    let end = offset + bytes.len() as u64;
                    for sector in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
                        sectors.entry(sector).or_default().push(op);
                    }
                    if end > len {
                        lens.push(end);
                    }
                }
                FileOp::SetLen(to) if *to < len => {
                    for sector in self.durable.units_from(*to, SECTOR_BYTES) {
                        sectors.entry(sector).or_default();
                    }
                    let first = to / SECTOR_BYTES;
                    sectors.range_mut(first..).for_each(|(_, ops)| ops.push(op));
                    lens.push(*to);
                }
                FileOp::SetLen(to) if *to > len => lens.push(*to),
                FileOp::SetLen(_) => {}
            }
        }
        let mut content = self.durable.clone();
        for (sector, ops) in sectors {
            let kept = keep.prefix(rng, ops.len());
            for op in ops.into_iter().take(kept) {
                apply_to_sector(&mut content, sector, op);
            }
        }
        let len = keep.prefix(rng, lens.len() - 1);
        content.set_len(lens.get(len).copied().unwrap_or_default());
        content
    }

    /// Flips the lowest bit of a byte in both views; false when there is no such byte.
    pub(super) fn flip_bit(&mut self, offset: u64) -> bool {
        if offset >= self.live.len {
            return false;
        }
        for content in [&mut self.live, &mut self.durable] {
            let mut byte = [0];
            if content.read(offset, &mut byte) == 1 {
                content.write(offset, &byte.map(|byte| byte ^ 1));
            }
        }
        true
    }
}

fn apply_to_sector(content: &mut Content, sector: u64, op: &FileOp) {
    let (begin, end) = (sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
    match op {
        FileOp::Write { offset, bytes } => {
            let from = begin.max(*offset);
            let to = end.min(offset + bytes.len() as u64);
            let part = bytes.get((from - offset) as usize..(to - offset) as usize);
            content.write_raw(from, part.unwrap_or_default());
        }
        FileOp::SetLen(len) => {
            let zeros = [0; SECTOR_BYTES as usize];
            let from = begin.max(*len);
            content.write_raw(from, zeros.get(..(end - from) as usize).unwrap_or_default());
        }
    }
}
