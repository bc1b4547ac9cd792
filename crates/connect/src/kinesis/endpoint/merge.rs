//! Records of several shards in the order of their arrival.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::super::filling::Filling;
use super::{Feed, Page, Record};
use crate::pool::BufferPool;

/// A shard that is behind and gives nothing holds up the others for so long at most.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What one step of the merge came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A record was added.
    Record,
    /// The next one has no room.
    Full,
    /// Nothing to add before there is news.
    Wait,
}

struct Lane {
    feed: Feed,
    records: VecDeque<Record>,
    /// Its last page ended at the newest record, or nothing comes after it.
    at_tip: bool,
    /// Since when it has nothing to give although there is more.
    empty_since: Instant,
    behind_ms: i64,
}

/// Records of several shards in the order of their arrival.
#[derive(Default)]
pub(super) struct Merge {
    lanes: Vec<Lane>,
    /// Those with records in the batch that fills.
    touched: HashSet<usize>,
}

impl Merge {
    pub(super) fn add(&mut self, feed: Feed) {
        self.lanes.push(Lane {
            feed,
            records: VecDeque::new(),
            at_tip: false,
            empty_since: Instant::now(),
            behind_ms: 0,
        });
    }

    pub(super) fn page(&mut self, shard: usize, page: Page) {
        let Some(lane) = self.lanes.get_mut(shard) else { return };
        lane.at_tip = page.last || page.behind_ms == 0;
        lane.behind_ms = if page.last { 0 } else { page.behind_ms };
        lane.empty_since = Instant::now();
        if page.records.is_empty() {
            lane.feed.pages.add_permits(1);
        }
        lane.records.extend(page.records);
    }

    /// Adds the record that arrived first. A shard that has more to give, but not at hand, is
    /// waited for: it may hold an older one.
    pub(super) fn next(&mut self, pool: &BufferPool, filling: &mut Filling) -> Next {
        let mut first: Option<(usize, i64)> = None;
        for (index, lane) in self.lanes.iter().enumerate() {
            match lane.records.front() {
                Some(record) => {
                    if first.is_none_or(|(_, ms)| record.arrived_ms < ms) {
                        first = Some((index, record.arrived_ms));
                    }
                }
                None if lane.at_tip || lane.empty_since.elapsed() >= WAIT_MAX => {}
                None => return Next::Wait,
            }
        }
        let Some((index, _)) = first else { return Next::Wait };
        let Some(lane) = self.lanes.get_mut(index) else { return Next::Wait };
        let bytes = lane.records.front().map_or(0, |record| record.data.len());
        if !filling.has_room(bytes) {
            return Next::Full;
        }
        if let Some(record) = lane.records.pop_front() {
            let cursor = &mut lane.feed.cursor;
            if record.offset >= cursor.next {
                let (key, data) = (record.partition_key.as_bytes(), &record.data);
                filling.push(pool, cursor, record.offset, record.arrived_ms, key, data);
                self.touched.insert(index);
            }
            if lane.records.is_empty() {
                lane.feed.pages.add_permits(1);
                lane.empty_since = Instant::now();
            }
        }
        Next::Record
    }

    /// Notes in the batch what each of its shards wants back: its last sequence number, as the
    /// service writes it.
    pub(super) fn mark(&mut self, filling: &mut Filling) {
        for index in self.touched.drain() {
            let Some(lane) = self.lanes.get_mut(index) else { continue };
            let cursor = &mut lane.feed.cursor;
            let (hi, lo) = cursor.next.parts();
            let last =
                event::Offset::from_parts(hi - u64::from(lo == 0 && hi > 0), lo.wrapping_sub(1));
            filling.mark(cursor, last.to_decimal().into_bytes());
        }
    }

    /// Records that are here and not handed over.
    pub(super) fn waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.records.len()).sum()
    }

    /// Age of the oldest record that isn't handed over; ms.
    pub(super) fn behind_ms(&self, now_ms: i64) -> u64 {
        let lane = |lane: &Lane| match lane.records.front() {
            Some(record) => now_ms.saturating_sub(record.arrived_ms),
            None => lane.behind_ms,
        };
        let most = self.lanes.iter().map(lane).max().unwrap_or(0);
        u64::try_from(most).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use event::source::BatchLimits;
    use event::{Offset, batch::Offsets};
    use tokio::sync::Semaphore;

    use super::super::super::filling::ShardCursor;
    use super::*;

    fn feed(id: &str) -> Feed {
        let pages = Arc::new(Semaphore::new(0));
        Feed { cursor: ShardCursor::new(id.into(), Offset::ZERO), pages, mark: None }
    }

    fn page(records: &[(u64, i64)], behind_ms: i64) -> Page {
        let record = |&(offset, arrived_ms): &(u64, i64)| Record {
            offset: offset.into(),
            arrived_ms,
            partition_key: format!("key {offset}"),
            data: Bytes::from_static(b"x"),
        };
        Page { records: records.iter().map(record).collect(), behind_ms, last: false }
    }

    #[test]
    fn shards_are_merged_by_arrival_and_one_that_is_behind_is_waited_for() {
        let limits =
            BatchLimits { bytes_max: 100, events_max: 10, interval_max: Duration::from_secs(1) };
        let pool = BufferPool::default();
        let mut filling = Filling::new(1, limits, 0);
        let mut merge = Merge::default();
        merge.add(feed("a"));
        merge.add(feed("b"));
        merge.page(0, page(&[(1, 10), (2, 30)], 500));
        assert_eq!(merge.next(&pool, &mut filling), Next::Wait, "b may hold an older one");
        merge.page(1, page(&[(7, 20)], 0));
        for _ in 0..3 {
            assert_eq!(merge.next(&pool, &mut filling), Next::Record);
        }
        assert_eq!(merge.next(&pool, &mut filling), Next::Wait, "a is behind");
        merge.mark(&mut filling);
        let batch = filling.close(0).unwrap();
        assert_eq!(batch.extents[0].broker_ms, [10, 20, 30]);
        assert_eq!(batch.partition_keys.get(1), Some(&b"key 7"[..]));
        let Offsets::Mixed(mixed) = &batch.extents[0].offsets else { panic!() };
        let marks: Vec<_> = mixed.shards.iter().map(|shard| shard.mark.clone().unwrap()).collect();
        assert_eq!(marks, [b"2".to_vec(), b"7".to_vec()]);
    }
}
