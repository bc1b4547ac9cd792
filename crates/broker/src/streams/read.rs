//! Reading one shard.

use bytes::Bytes;

use super::lock;
use super::record::{Read, Record, SequenceNumber};
use super::scan::{Scan, Step};
use super::stream::Inner;
use crate::error::BrokerError;

/// Journal that one read goes through once it has a record, bytes: other shards may have filled it.
const SCAN_BYTES_MAX: u64 = 32 << 20;

/// What a read has found so far. All data lies in one buffer, which the records share.
struct Found {
    data: Vec<u8>,
    records: Vec<(SequenceNumber, i64, String, usize)>,
    bytes: usize,
    records_max: usize,
    bytes_max: usize,
}

impl Found {
    /// Takes a record; whether there was room for it.
    fn push(&mut self, sequence: u64, arrived_ms: i64, key: &[u8], data: &[u8]) -> bool {
        let bytes = key.len() + data.len();
        let some = !self.records.is_empty();
        if self.records.len() >= self.records_max || some && self.bytes + bytes > self.bytes_max {
            return false;
        }
        self.bytes += bytes;
        self.data.extend_from_slice(data);
        let key = String::from_utf8_lossy(key).into_owned();
        self.records.push((SequenceNumber(sequence), arrived_ms, key, data.len()));
        true
    }

    fn into_records(self) -> Vec<Record> {
        let mut data = Bytes::from(self.data);
        let record = |(sequence, arrived_ms, partition_key, bytes)| {
            let data = data.split_to(bytes);
            Record { sequence, arrived_ms, partition_key, data }
        };
        self.records.into_iter().map(record).collect()
    }
}

impl Inner {
    pub(super) fn read(
        &self,
        shard: u32,
        from: SequenceNumber,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Read, BrokerError> {
        self.check_exists()?;
        self.check_shard(shard)?;
        loop {
            let kept_from = self.trim_horizon().get(shard as usize).copied().unwrap_or(1);
            let from = from.0.max(kept_from);
            let mut found =
                Found { data: Vec::new(), records: Vec::new(), bytes: 0, records_max, bytes_max };
            let Some(next) = self.read_into(shard, from, &mut found)? else { continue };
            let newest = found.records.last().map(|(_, arrived_ms, ..)| *arrived_ms);
            let end = self.next_of(shard);
            let behind_ms = match newest {
                Some(arrived_ms) if next < end => (self.clock.now_ms() - arrived_ms).max(0),
                _ => 0,
            };
            let next = SequenceNumber(next);
            return Ok(Read { records: found.into_records(), next, behind_ms });
        }
    }

    fn next_of(&self, shard: u32) -> u64 {
        lock(&self.core.shared).state.nexts.get(shard as usize).copied().unwrap_or(1)
    }

    /// Where to go on; `None` if retention took what was to be read meanwhile.
    fn read_into(
        &self,
        shard: u32,
        from: u64,
        found: &mut Found,
    ) -> Result<Option<u64>, BrokerError> {
        let (start, last) = {
            let shared = lock(&self.core.shared);
            let state = &shared.state;
            let end = state.nexts.get(shard as usize).copied().unwrap_or(1);
            if from >= end {
                return Ok(Some(from));
            }
            (state.index.find(shard as usize, from), state.position)
        };
        let Some((mut number, start)) = start else { return Ok(Some(from)) };
        let mut scan = Scan::new(self, start, last)?;
        let mut next = from;
        loop {
            let (position, put) = match scan.step(self)? {
                Step::Put(position, put) => (position, put),
                Step::Other => continue,
                Step::End => return Ok(Some(next)),
                Step::Gone => return Ok(None),
            };
            for row in put.rows().filter(|row| row.shard == shard) {
                if number >= from {
                    if !found.push(number, put.arrived_ms, row.partition_key, row.data) {
                        return Ok(Some(next));
                    }
                    next = number + 1;
                }
                number += 1;
            }
            if !found.records.is_empty() && position > start + SCAN_BYTES_MAX {
                return Ok(Some(next));
            }
        }
    }

    pub(super) fn at_timestamp(&self, shard: u32, ms: i64) -> Result<SequenceNumber, BrokerError> {
        self.check_exists()?;
        self.check_shard(shard)?;
        loop {
            let kept_from = self.trim_horizon().get(shard as usize).copied().unwrap_or(1);
            if let Some(found) = self.find_timestamp(shard, ms)? {
                return Ok(SequenceNumber(found.max(kept_from)));
            }
        }
    }

    fn find_timestamp(&self, shard: u32, ms: i64) -> Result<Option<u64>, BrokerError> {
        let (number, start, last) = {
            let shared = lock(&self.core.shared);
            let state = &shared.state;
            let end = state.nexts.get(shard as usize).copied().unwrap_or(1);
            match state.index.find_time(ms) {
                Some(entry) if ms <= state.arrived_ms => {
                    let number = entry.nexts.get(shard as usize).copied().unwrap_or(1);
                    (number, entry.position, state.position)
                }
                _ => return Ok(Some(end)),
            }
        };
        let mut number = number;
        let mut scan = Scan::new(self, start, last)?;
        loop {
            match scan.step(self)? {
                Step::Put(_, put) => {
                    let here = put.shards().filter(|of| *of == shard).count() as u64;
                    if here > 0 && put.arrived_ms >= ms {
                        return Ok(Some(number));
                    }
                    number += here;
                }
                Step::Other => {}
                Step::End => return Ok(Some(number)),
                Step::Gone => return Ok(None),
            }
        }
    }
}
