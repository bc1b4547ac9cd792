//! What a shard takes and gives per second.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::options::ShardLimits;

/// Streams whose rates are remembered; past it all begin anew with what a second saves up.
const STREAMS_MAX: usize = 10_000;

/// The rates of all shards. Time is the gateway's clock, ms.
pub(crate) struct Rates {
    limits: Option<ShardLimits>,
    streams: Mutex<HashMap<u128, HashMap<u32, Shard>>>,
}

struct Shard {
    records_in: Bucket,
    bytes_in: Bucket,
    reads: Bucket,
    bytes_out: Bucket,
}

/// Tokens that come back with time, at most those of one second. In thousandths, so that a
/// millisecond brings `per_s` of them.
struct Bucket {
    per_s: i64,
    level: i64,
    filled_ms: i64,
}

impl Bucket {
    fn full(per_s: u32, now_ms: i64) -> Self {
        let per_s = i64::from(per_s);
        Self { per_s, level: per_s * 1_000, filled_ms: now_ms }
    }

    /// Whether there is `wanted`, or all that can be saved up.
    fn has(&mut self, wanted: usize, now_ms: i64) -> bool {
        self.fill(now_ms);
        self.level >= thousandths(wanted).min(self.per_s * 1_000)
    }

    fn fill(&mut self, now_ms: i64) {
        let elapsed_ms = now_ms.saturating_sub(self.filled_ms).max(0);
        let level = self.level.saturating_add(elapsed_ms.saturating_mul(self.per_s));
        self.level = level.min(self.per_s * 1_000);
        self.filled_ms = now_ms;
    }

    /// Takes it, into debt if need be.
    fn take(&mut self, taken: usize, now_ms: i64) {
        self.fill(now_ms);
        self.level = self.level.saturating_sub(thousandths(taken));
    }
}

fn thousandths(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(1_000)
}

impl Rates {
    pub(crate) fn new(limits: Option<ShardLimits>) -> Self {
        Self { limits, streams: Mutex::default() }
    }

    /// Whether there is anything to look after.
    pub(super) fn are_on(&self) -> bool {
        self.limits.is_some()
    }

    /// Which of `records`, (shard, bytes), may go in now, in order.
    pub(super) fn admit(
        &self,
        stream: u128,
        records: impl Iterator<Item = (u32, usize)>,
        now_ms: i64,
    ) -> Vec<bool> {
        let Some(limits) = &self.limits else { return records.map(|_| true).collect() };
        self.with(stream, |shards| {
            records
                .map(|(shard, bytes)| {
                    let shard = of(shards, shard, limits, now_ms);
                    let goes = shard.records_in.has(1, now_ms) & shard.bytes_in.has(bytes, now_ms);
                    if goes {
                        shard.records_in.take(1, now_ms);
                        shard.bytes_in.take(bytes, now_ms);
                    }
                    goes
                })
                .collect()
        })
    }

    /// Whether `shard` may be read now.
    pub(super) fn admit_read(&self, stream: u128, shard: u32, now_ms: i64) -> bool {
        let Some(limits) = &self.limits else { return true };
        self.with(stream, |shards| {
            let shard = of(shards, shard, limits, now_ms);
            // A debt of bytes is there when an earlier read gave more than a second's worth.
            let goes = shard.reads.has(1, now_ms) & shard.bytes_out.has(1, now_ms);
            if goes {
                shard.reads.take(1, now_ms);
            }
            goes
        })
    }

    /// Counts what a read gave.
    pub(super) fn gave(&self, stream: u128, shard: u32, bytes: usize, now_ms: i64) {
        let Some(limits) = &self.limits else { return };
        self.with(stream, |shards| of(shards, shard, limits, now_ms).bytes_out.take(bytes, now_ms));
    }

    fn with<T>(&self, stream: u128, work: impl FnOnce(&mut HashMap<u32, Shard>) -> T) -> T {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if streams.len() >= STREAMS_MAX && !streams.contains_key(&stream) {
            streams.clear();
        }
        work(streams.entry(stream).or_default())
    }
}

fn of<'a>(
    shards: &'a mut HashMap<u32, Shard>,
    shard: u32,
    limits: &ShardLimits,
    now_ms: i64,
) -> &'a mut Shard {
    shards.entry(shard).or_insert_with(|| Shard {
        records_in: Bucket::full(limits.records_in_per_s, now_ms),
        bytes_in: Bucket::full(limits.bytes_in_per_s, now_ms),
        reads: Bucket::full(limits.reads_per_s, now_ms),
        bytes_out: Bucket::full(limits.bytes_out_per_s, now_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates() -> Rates {
        Rates::new(Some(ShardLimits::default()))
    }

    fn goes(rates: &Rates, records: usize, bytes: usize, now_ms: i64) -> usize {
        let records = std::iter::repeat_n((0, bytes), records);
        rates.admit(1, records, now_ms).into_iter().filter(|goes| *goes).count()
    }

    #[test]
    fn a_shard_takes_a_thousand_records_a_second() {
        let rates = rates();
        assert_eq!(goes(&rates, 1_500, 10, 0), 1_000);
        assert_eq!(goes(&rates, 1_500, 10, 500), 500);
        assert_eq!(goes(&rates, 1_500, 10, 60_000), 1_000);
        // A clock that runs backwards gives nothing.
        assert_eq!(goes(&rates, 1, 10, 0), 0);
        assert_eq!(rates.admit(1, [(1, 10)].into_iter(), 60_000), [true]);
        assert_eq!(rates.admit(2, [(0, 10)].into_iter(), 60_000), [true]);
    }

    #[test]
    fn a_shard_takes_a_mebibyte_a_second() {
        let rates = rates();
        assert_eq!(goes(&rates, 20, 100 << 10, 0), 10);
        // A record that is more than a second's worth goes when all is saved up.
        assert_eq!(goes(&rates, 2, (1 << 20) + 256, 10_000), 1);
    }

    #[test]
    fn a_shard_is_read_five_times_and_gives_two_mebibytes_a_second() {
        let rates = rates();
        let reads = (0..7).filter(|_| rates.admit_read(1, 0, 0)).count();
        assert_eq!(reads, 5);
        assert!(!rates.admit_read(1, 0, 199));
        assert!(rates.admit_read(1, 0, 400));
        rates.gave(1, 0, 10 << 20, 1_000);
        assert!(!rates.admit_read(1, 0, 4_900));
        assert!(rates.admit_read(1, 0, 5_100));
    }

    #[test]
    fn switched_off_there_are_none() {
        let rates = Rates::new(None);
        assert_eq!(goes(&rates, 5_000, 1 << 20, 0), 5_000);
        assert!((0..100).all(|_| rates.admit_read(1, 0, 0)));
    }
}
