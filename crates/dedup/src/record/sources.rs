//! All that a checkpoint says of a source's counters.

use std::collections::BTreeMap;

use super::OnDisk;
use super::cursor::{Cursor, Decoded, put_i64, put_list, put_str, put_u64};
use crate::state::{SourceCounters, Tally};

impl OnDisk for SourceCounters {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.pipe.into());
        put_str(out, &self.name);
        put_list(out, self.minutes.iter(), |out, (&minute, &tally)| (minute, tally).put(out));
        for folded in [&self.hours, &self.days] {
            put_list(out, folded.iter(), |out, (&number, tally)| {
                put_i64(out, number);
                tally.put(out);
            });
        }
        put_list(out, self.in_flight.iter(), |out, (&minute, &count)| (minute, count).put(out));
        put_u64(out, self.reread);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let folded = |cursor: &mut Cursor<'_>| Ok((cursor.i64()?, Tally::take(cursor)?));
        Ok(Self {
            pipe: cursor.u16()?,
            name: cursor.string()?,
            minutes: cursor.list(OnDisk::take)?,
            hours: cursor.list(folded)?,
            days: cursor.list(folded)?,
            in_flight: cursor.list(OnDisk::take)?,
            reread: cursor.u64()?,
            // They stand at the end of a checkpoint.
            expired: 0,
            broken: BTreeMap::new(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::counters::tests::{any_minute, any_tally};
    use super::super::tests::round_trip;
    use super::*;

    prop_compose! {
        pub(crate) fn any_source()(
            pipe: u16,
            name: String,
            minutes in prop::collection::btree_map(any_minute(), any_tally(), 0..3),
            hours in prop::collection::btree_map(any::<i64>(), any_tally(), 0..3),
            days in prop::collection::btree_map(any::<i64>(), any_tally(), 0..3),
            in_flight in prop::collection::btree_map(any_minute(), any::<u64>(), 0..3),
            reread: u64,
        ) -> SourceCounters {
            let (expired, broken) = (0, BTreeMap::new());
            SourceCounters { pipe, name, minutes, hours, days, in_flight, reread, expired, broken }
        }
    }

    proptest! {
        #[test]
        fn sources_round_trip(source in any_source()) {
            round_trip(&source);
        }
    }
}
