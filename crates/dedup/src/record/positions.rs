//! Positions: what is settled now (in a batch's record), and all that is settled (in a checkpoint).

use event::source::ShardState;
use event::{Offset, ShardId};

use super::OnDisk;
use super::cursor::{Cursor, Decoded, put_bytes, put_list, put_option, put_str, put_u64};
use crate::ledger::PositionChange;

impl OnDisk for Offset {
    fn put(&self, out: &mut Vec<u8>) {
        let (hi, lo) = self.parts();
        put_u64(out, lo as u64);
        put_u64(out, (lo >> 64) as u64);
        put_u64(out, hi);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let lo = u128::from(cursor.u64()?) | u128::from(cursor.u64()?) << 64;
        Ok(Self::from_parts(cursor.u64()?, lo))
    }
}

impl OnDisk for (Offset, Offset) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok((Offset::take(cursor)?, Offset::take(cursor)?))
    }
}

fn put_mark(out: &mut Vec<u8>, mark: Option<&(Offset, Vec<u8>)>) {
    put_option(out, mark, |out, (end, mark)| {
        end.put(out);
        put_bytes(out, mark);
    });
}

fn take_mark(cursor: &mut Cursor<'_>) -> Decoded<Option<(Offset, Vec<u8>)>> {
    cursor.option(|cursor| Ok((Offset::take(cursor)?, cursor.bytes()?.to_vec())))
}

impl OnDisk for PositionChange {
    fn put(&self, out: &mut Vec<u8>) {
        put_str(out, &self.shard);
        put_list(out, self.ranges.iter(), |out, range| range.put(out));
        put_mark(out, self.mark.as_ref());
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let shard = ShardId::from(cursor.str()?);
        let ranges = cursor.list(OnDisk::take)?;
        Ok(Self { shard, ranges, mark: take_mark(cursor)? })
    }
}

impl OnDisk for ShardState {
    fn put(&self, out: &mut Vec<u8>) {
        self.settled_through.put(out);
        put_list(out, self.settled_beyond.iter(), |out, range| range.put(out));
        put_mark(out, self.mark.as_ref());
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let settled_through = Offset::take(cursor)?;
        let settled_beyond = cursor.list(OnDisk::take)?;
        Ok(Self { settled_through, settled_beyond, mark: take_mark(cursor)? })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::tests::round_trip;
    use super::*;

    pub(crate) fn any_offset() -> impl Strategy<Value = Offset> {
        prop_oneof![
            any::<u64>().prop_map(Offset::from),
            (any::<u64>(), any::<u128>()).prop_map(|(hi, lo)| Offset::from_parts(hi, lo)),
        ]
    }

    pub(crate) fn any_change() -> impl Strategy<Value = PositionChange> {
        let ranges = prop::collection::vec((any_offset(), any_offset()), 0..4);
        let mark = prop::option::of((any_offset(), any::<Vec<u8>>()));
        (any::<String>(), ranges, mark).prop_map(|(shard, ranges, mark)| PositionChange {
            shard: shard.into(),
            ranges,
            mark,
        })
    }

    pub(crate) fn any_shard() -> impl Strategy<Value = ShardState> {
        (any_offset(), any_change()).prop_map(|(settled_through, change)| ShardState {
            settled_through,
            settled_beyond: change.ranges,
            mark: change.mark,
        })
    }

    proptest! {
        #[test]
        fn positions_round_trip(change in any_change(), shard in any_shard()) {
            round_trip(&change);
            round_trip(&shard);
        }
    }
}
