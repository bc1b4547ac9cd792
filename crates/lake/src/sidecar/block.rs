//! One block of a sidecar: what one batch appended.

use event::{BatchNumber, Marks, Offset, ShardId};

use super::SidecarRow;
use super::column::{self, little, take};

/// Length of a block's head: checksum, body length, rows, batch, start and length of the rows.
pub(crate) const HEAD_BYTES: usize = 36;

/// The rows of one block, by column. Kept from batch to batch, so that nothing is allocated anew.
#[derive(Default)]
pub(crate) struct Columns {
    shards: Vec<ShardId>,
    /// Index into `shards` and number of rows.
    runs: Vec<(u32, u32)>,
    keys: Vec<u128>,
    offsets: Vec<Offset>,
    recorded_ms: Vec<i64>,
    windows_ms: Vec<i64>,
    marks: Vec<i64>,
}

impl Columns {
    pub(crate) fn clear(&mut self) {
        self.shards.clear();
        self.runs.clear();
        self.keys.clear();
        self.offsets.clear();
        self.recorded_ms.clear();
        self.windows_ms.clear();
        self.marks.clear();
    }

    pub(crate) fn push(
        &mut self,
        shard: &ShardId,
        offset: Offset,
        key: u128,
        recorded_ms: i64,
        window_ms: i64,
        marks: Marks,
    ) {
        let last = self.runs.last().and_then(|run| self.shards.get(run.0 as usize));
        match (last.is_some_and(|last| last == shard), self.runs.last_mut()) {
            (true, Some(run)) => run.1 += 1,
            _ => {
                let known = self.shards.iter().position(|known| known == shard);
                let index = known.unwrap_or_else(|| {
                    self.shards.push(shard.clone());
                    self.shards.len() - 1
                });
                self.runs.push((index as u32, 1));
            }
        }
        self.keys.push(key);
        self.offsets.push(offset);
        self.recorded_ms.push(recorded_ms);
        self.windows_ms.push(window_ms);
        self.marks.push(i64::from(marks.0));
    }

    /// Appends the block to `out`. Its rows lie at `rows_start` of the rows' file.
    pub(crate) fn write(
        &self,
        batch: BatchNumber,
        rows_start: u64,
        rows_len: u64,
        out: &mut Vec<u8>,
    ) {
        let begin = out.len();
        out.extend([0; HEAD_BYTES]);
        self.write_body(out);
        let body = out.len() - begin - HEAD_BYTES;
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.extend([0; 4]);
        head.extend((body as u32).to_le_bytes());
        head.extend((self.keys.len() as u32).to_le_bytes());
        for number in [batch.0, rows_start, rows_len] {
            head.extend(number.to_le_bytes());
        }
        let place = out.get_mut(begin..).unwrap_or_default();
        place.iter_mut().zip(head).for_each(|(to, from)| *to = from);
        let sum = crc32c::crc32c(place.get(4..).unwrap_or_default()).to_le_bytes();
        place.iter_mut().zip(sum).for_each(|(to, from)| *to = from);
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        out.extend((self.shards.len() as u32).to_le_bytes());
        for shard in &self.shards {
            out.extend((shard.len() as u32).to_le_bytes());
            out.extend(shard.as_bytes());
        }
        out.extend((self.runs.len() as u32).to_le_bytes());
        for (shard, rows) in &self.runs {
            out.extend(shard.to_le_bytes());
            out.extend(rows.to_le_bytes());
        }
        self.keys.iter().for_each(|key| out.extend(key.to_le_bytes()));
        column::write(&self.recorded_ms, out);
        column::write(&self.windows_ms, out);
        column::write(&self.marks, out);
        let short: Option<Vec<i64>> =
            self.offsets.iter().map(|offset| offset.as_u64().map(|lo| lo as i64)).collect();
        match short {
            Some(short) => {
                out.push(8);
                column::write(&short, out);
            }
            None => {
                out.push(24);
                for (hi, lo) in self.offsets.iter().map(|offset| offset.parts()) {
                    out.extend(lo.to_le_bytes());
                    out.extend(hi.to_le_bytes());
                }
            }
        }
    }
}

/// The head of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// Length of the block, head included.
    pub(crate) bytes: usize,
    pub(crate) count: usize,
    pub(crate) batch: u64,
    pub(crate) rows_start: u64,
    pub(crate) rows_len: u64,
}

impl Head {
    /// Out of the first [`HEAD_BYTES`] of a block; its checksum isn't looked at.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut number = |width| take(&mut rest, width).map(little);
        number(4)?;
        let (body, count) = (number(4)? as usize, number(4)? as usize);
        let (batch, rows_start, rows_len) = (number(8)?, number(8)?, number(8)?);
        Some(Self { bytes: HEAD_BYTES + body, count, batch, rows_start, rows_len })
    }
}

/// A block that was read, by column.
pub(crate) struct ReadBlock {
    pub(crate) head: Head,
    pub(crate) shards: Vec<ShardId>,
    /// For each row, its place in `shards`.
    pub(crate) shard_of: Vec<u32>,
    pub(crate) keys: Vec<u128>,
    pub(crate) recorded_ms: Vec<i64>,
    pub(crate) windows_ms: Vec<i64>,
    pub(crate) marks: Vec<Marks>,
    pub(crate) offsets: Vec<Offset>,
}

/// Reads the block at the front of `bytes`, or says what is wrong with it.
pub(crate) fn read_columns(bytes: &[u8]) -> Result<ReadBlock, &'static str> {
    let head = Head::read(bytes).ok_or("its head is cut off")?;
    let sum = bytes.get(..4).map(little).unwrap_or_default();
    let covered = bytes.get(4..head.bytes).ok_or("it is cut off")?;
    if u64::from(crc32c::crc32c(covered)) != sum {
        return Err("its checksum doesn't match");
    }
    let mut body = bytes.get(HEAD_BYTES..head.bytes).ok_or("it is cut off")?;
    let block = read_body(&mut body, head).ok_or("a column is cut off")?;
    if !body.is_empty() {
        return Err("it is longer than its columns");
    }
    Ok(block)
}

/// Reads the block at the front of `bytes`, or says what is wrong with it; and its rows.
pub(super) fn read(bytes: &[u8]) -> Result<(Head, Vec<SidecarRow>), &'static str> {
    let block = read_columns(bytes)?;
    let row = |at: usize| {
        Some(SidecarRow {
            key: *block.keys.get(at)?,
            recorded_ms: *block.recorded_ms.get(at)?,
            window_ms: *block.windows_ms.get(at)?,
            shard: ShardId::clone(block.shards.get(*block.shard_of.get(at)? as usize)?),
            offset: *block.offsets.get(at)?,
            batch: BatchNumber(block.head.batch),
            marks: *block.marks.get(at)?,
        })
    };
    let rows: Option<_> = (0..block.head.count).map(row).collect();
    Ok((block.head, rows.ok_or("a column is cut off")?))
}

fn read_body(body: &mut &[u8], head: Head) -> Option<ReadBlock> {
    let count = head.count;
    let shards = (0..little(take(body, 4)?)).map(|_| {
        let len = little(take(body, 4)?) as usize;
        std::str::from_utf8(take(body, len)?).ok().map(ShardId::from)
    });
    let shards: Vec<ShardId> = shards.collect::<Option<_>>()?;
    let mut shard_of = Vec::new();
    for _ in 0..little(take(body, 4)?) {
        let shard = little(take(body, 4)?) as u32;
        let rows = little(take(body, 4)?) as usize;
        if rows > count - shard_of.len().min(count) || shard as usize >= shards.len() {
            return None;
        }
        shard_of.extend(std::iter::repeat_n(shard, rows));
    }
    let keys = take(body, count.checked_mul(16)?)?.as_chunks().0;
    let keys = keys.iter().map(|key| u128::from_le_bytes(*key)).collect();
    let recorded_ms = column::read(body, count)?;
    let windows_ms = column::read(body, count)?;
    let marks = column::read(body, count)?.into_iter().map(|marks| u8::try_from(marks).ok());
    let marks = marks.map(|marks| marks.map(Marks)).collect::<Option<_>>()?;
    let offsets = read_offsets(body, count)?;
    if shard_of.len() != count {
        return None;
    }
    Some(ReadBlock { head, shards, shard_of, keys, recorded_ms, windows_ms, marks, offsets })
}

fn read_offsets(body: &mut &[u8], count: usize) -> Option<Vec<Offset>> {
    if take(body, 1)? == [8] {
        return Some(
            column::read(body, count)?.iter().map(|&lo| Offset::from(lo as u64)).collect(),
        );
    }
    let wide = take(body, count.checked_mul(24)?)?.chunks_exact(24);
    let offset = |bytes: &[u8]| {
        let (lo, hi) = bytes.split_at_checked(16)?;
        Some(Offset::from_parts(little(hi), u128::from_le_bytes(lo.try_into().ok()?)))
    };
    wide.map(offset).collect()
}
