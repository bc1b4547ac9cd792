//! Output was published, and no batch's record came along to say so.

use event::BatchNumber;

use super::OnDisk;
use super::cursor::{Cursor, Decoded, put_list, put_u64};

/// Output was published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PublishedRecord {
    /// By pipe: its sinks' places in its state, with the batch up to which all is published.
    pub(crate) pipes: Vec<(u16, Vec<(u16, BatchNumber)>)>,
}

impl OnDisk for (u16, BatchNumber) {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.0.into());
        put_u64(out, self.1.0);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok((cursor.u16()?, BatchNumber(cursor.u64()?)))
    }
}

impl OnDisk for PublishedRecord {
    fn put(&self, out: &mut Vec<u8>) {
        put_list(out, self.pipes.iter(), |out, (pipe, sinks)| {
            put_u64(out, (*pipe).into());
            put_list(out, sinks.iter(), |out, sink| sink.put(out));
        });
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let pipes = cursor.list(|cursor| Ok((cursor.u16()?, cursor.list(OnDisk::take)?)))?;
        Ok(Self { pipes })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Record;
    use super::super::tests::record_round_trip;
    use super::*;

    proptest! {
        #[test]
        fn published_round_trips(pipes in prop::collection::vec(
            (any::<u16>(), prop::collection::vec(any::<(u16, u64)>(), 0..3)), 0..3))
        {
            let number = |(sink, number)| (sink, BatchNumber(number));
            let pipes = pipes
                .into_iter()
                .map(|(pipe, sinks)| (pipe, sinks.into_iter().map(number).collect()))
                .collect();
            record_round_trip(&Record::Published(PublishedRecord { pipes }));
        }
    }
}
