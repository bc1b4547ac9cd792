//! Counters: what a record adds, and all that is counted.

use super::OnDisk;
use super::cursor::{Cursor, Decoded, put_i64, put_list, put_str, put_u64};
use crate::ledger::CounterChange;
use crate::state::{MinuteBucket, Tally};

impl OnDisk for [u64; 6] {
    fn put(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|&count| put_u64(out, count));
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let mut counts = [0; 6];
        for count in &mut counts {
            *count = cursor.u64()?;
        }
        Ok(counts)
    }
}

impl OnDisk for Tally {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.received);
        self.outcomes.put(out);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self { received: cursor.u64()?, outcomes: OnDisk::take(cursor)? })
    }
}

impl OnDisk for (MinuteBucket, Tally) {
    fn put(&self, out: &mut Vec<u8>) {
        put_i64(out, self.0.0);
        self.1.put(out);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok((MinuteBucket(cursor.i64()?), Tally::take(cursor)?))
    }
}

impl OnDisk for (MinuteBucket, u64) {
    fn put(&self, out: &mut Vec<u8>) {
        put_i64(out, self.0.0);
        put_u64(out, self.1);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok((MinuteBucket(cursor.i64()?), cursor.u64()?))
    }
}

impl OnDisk for (String, [u64; 6]) {
    fn put(&self, out: &mut Vec<u8>) {
        put_str(out, &self.0);
        self.1.put(out);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok((cursor.string()?, OnDisk::take(cursor)?))
    }
}

impl CounterChange {
    /// Appends it. `more_follows` says whether anything comes after it in its record.
    pub(super) fn put_before(&self, out: &mut Vec<u8>, more_follows: bool) {
        put_list(out, self.minutes.iter(), |out, minute| minute.put(out));
        put_list(out, self.types.iter(), |out, one| one.put(out));
        put_u64(out, self.reread);
        put_list(out, self.in_flight.iter(), |out, minute| minute.put(out));
        // Left out at the end of a record, so that records without it read as they always did.
        if self.expired > 0 || more_follows {
            put_u64(out, self.expired);
        }
    }
}

impl OnDisk for CounterChange {
    fn put(&self, out: &mut Vec<u8>) {
        self.put_before(out, false);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self {
            minutes: cursor.list(OnDisk::take)?,
            types: cursor.list(OnDisk::take)?,
            reread: cursor.u64()?,
            in_flight: cursor.list(OnDisk::take)?,
            expired: if cursor.is_at_end() { 0 } else { cursor.u64()? },
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::tests::round_trip;
    use super::*;

    prop_compose! {
        pub(crate) fn any_tally()(received: u64, outcomes: [u64; 6]) -> Tally {
            Tally { received, outcomes }
        }
    }

    pub(crate) fn any_minute() -> impl Strategy<Value = MinuteBucket> {
        any::<i64>().prop_map(MinuteBucket)
    }

    prop_compose! {
        pub(crate) fn any_change()(
            minutes in prop::collection::vec((any_minute(), any_tally()), 0..4),
            types in prop::collection::vec(any::<(String, [u64; 6])>(), 0..4),
            reread: u64,
            // Of more than one byte, so that a record that was cut off isn't one without it.
            expired in 128_u64..,
            in_flight in prop::collection::vec((any_minute(), any::<u64>()), 0..4),
        ) -> CounterChange {
            CounterChange { minutes, types, reread, in_flight, expired }
        }
    }

    proptest! {
        #[test]
        fn changes_round_trip(change in any_change()) {
            round_trip(&change);
        }
    }

    /// Frozen: what stands in ledgers is read as it was written, with and without expired events.
    #[test]
    fn expired_events_stand_at_the_end_and_are_left_out_where_there_are_none() {
        let tally = Tally { received: 3, outcomes: [2, 1, 0, 0, 0, 0] };
        let minute = MinuteBucket(29_892_000);
        let mut change = CounterChange {
            minutes: vec![(minute, tally)],
            types: vec![("a".into(), [2, 1, 0, 0, 0, 0])],
            reread: 4,
            in_flight: vec![(minute, 7)],
            expired: 0,
        };
        let frozen: &[u8] = &[
            1, 192, 246, 192, 28, 3, 2, 1, 0, 0, 0, 0, 1, 1, 97, 2, 1, 0, 0, 0, 0, 4, 1, 192, 246,
            192, 28, 7,
        ];
        let mut out = Vec::new();
        change.put(&mut out);
        assert_eq!(out, frozen);
        change.expired = 300;
        out.clear();
        change.put(&mut out);
        assert_eq!(out, [frozen, &[0xac, 0x02]].concat());
        let mut cursor = Cursor::new(&out);
        assert_eq!(CounterChange::take(&mut cursor), Ok(change));
    }
}
