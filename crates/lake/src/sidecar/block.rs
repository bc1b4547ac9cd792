//! One block of a sidecar: what one batch appended.

use event::{BatchNumber, Marks, Offset, ShardId};

use super::SidecarRow;
use super::column::{self, little, take};

/// Length of a block's head: checksum, body length, rows, batch, start and length of the rows.
const HEAD_BYTES: usize = 36;

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

/// A block that was read.
pub(super) struct Block {
    /// Its length, head included.
    pub(super) bytes: usize,
    pub(super) rows_start: u64,
    pub(super) rows_len: u64,
    pub(super) rows: Vec<SidecarRow>,
}

/// Reads the block at the front of `bytes`, or says what is wrong with it.
pub(super) fn read(bytes: &[u8]) -> Result<Block, &'static str> {
    let mut rest = bytes;
    let mut number = |width| take(&mut rest, width).map(little).ok_or("its head is cut off");
    let sum = number(4)?;
    let body_len = number(4)? as usize;
    let count = number(4)? as usize;
    let (batch, rows_start, rows_len) = (number(8)?, number(8)?, number(8)?);
    let len = HEAD_BYTES + body_len;
    let covered = bytes.get(4..len).ok_or("it is cut off")?;
    if u64::from(crc32c::crc32c(covered)) != sum {
        return Err("its checksum doesn't match");
    }
    let mut body = bytes.get(HEAD_BYTES..len).ok_or("it is cut off")?;
    let rows = read_body(&mut body, count, BatchNumber(batch)).ok_or("a column is cut off")?;
    if !body.is_empty() {
        return Err("it is longer than its columns");
    }
    Ok(Block { bytes: len, rows_start, rows_len, rows })
}

fn read_body(body: &mut &[u8], count: usize, batch: BatchNumber) -> Option<Vec<SidecarRow>> {
    let shards = (0..little(take(body, 4)?)).map(|_| {
        let len = little(take(body, 4)?) as usize;
        std::str::from_utf8(take(body, len)?).ok().map(ShardId::from)
    });
    let shards: Vec<ShardId> = shards.collect::<Option<_>>()?;
    let mut shard_of = Vec::new();
    for _ in 0..little(take(body, 4)?) {
        let shard = shards.get(little(take(body, 4)?) as usize)?;
        let rows = little(take(body, 4)?) as usize;
        if rows > count - shard_of.len().min(count) {
            return None;
        }
        shard_of.extend(std::iter::repeat_n(shard, rows));
    }
    let keys = take(body, count.checked_mul(16)?)?.chunks_exact(16);
    let recorded_ms = column::read(body, count)?;
    let windows_ms = column::read(body, count)?;
    let marks = column::read(body, count)?;
    let offsets = read_offsets(body, count)?;
    if shard_of.len() != count {
        return None;
    }
    let numbers = recorded_ms.into_iter().zip(windows_ms).zip(marks).zip(offsets);
    let rows = keys.zip(shard_of).zip(numbers);
    let row =
        |((key, shard), (((recorded_ms, window_ms), marks), offset)): ((&[u8], &ShardId), _)| {
            Some(SidecarRow {
                key: u128::from_le_bytes(key.try_into().ok()?),
                recorded_ms,
                window_ms,
                shard: ShardId::clone(shard),
                offset,
                batch,
                marks: Marks(u8::try_from(marks).ok()?),
            })
        };
    rows.map(row).collect()
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
