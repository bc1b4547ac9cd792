//! A batch of a shared scope is ready: its record, which counts once another one says so.
//!
//! Between the two, the store's record of the batch is the commit point (DESIGN §4). What follows
//! the name by which the store knows the batch is exactly a batch's record.

use event::Epoch;

use super::batch::{BatchHead, BatchRecord};
use super::cursor::{Cursor, Decoded, put_u64};
use super::keys::Scratch;
use super::{PREPARED, VERSION};
use crate::scope::CommittedKey;

/// A batch that is ready, without its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PreparedRecord {
    /// The epoch in which it asked the store for keys.
    pub(crate) epoch: Epoch,
    /// The number that it has there: batches that failed had others.
    pub(crate) attempt: u64,
    /// What it will change.
    pub(crate) head: BatchHead,
}

impl PreparedRecord {
    /// Appends the record with the batch's keys; how many there are.
    pub(crate) fn encode(
        &self,
        out: &mut Vec<u8>,
        scratch: &mut Scratch,
        keys_max: usize,
        keys: impl Iterator<Item = CommittedKey>,
    ) -> u64 {
        out.extend_from_slice(&[VERSION, PREPARED]);
        put_u64(out, self.epoch.0);
        put_u64(out, self.attempt);
        BatchRecord::encode_after(out, &self.head, scratch, keys_max, keys)
    }

    pub(super) fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let (epoch, attempt) = Self::name(cursor)?;
        Ok(Self { epoch, attempt, head: BatchRecord::take(cursor)?.head()? })
    }

    /// The batch, with its keys.
    pub(super) fn batch<'a>(cursor: &mut Cursor<'a>) -> Decoded<BatchRecord<'a>> {
        Self::name(cursor)?;
        BatchRecord::take(cursor)
    }

    fn name(cursor: &mut Cursor<'_>) -> Decoded<(Epoch, u64)> {
        Ok((Epoch(cursor.u64()?), cursor.u64()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Record;
    use super::super::batch::tests::any_head;
    use super::super::keys::tests::any_key;
    use super::*;
    use crate::scope::{CommittedBy, CommittedKey};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn prepared_batches_round_trip(
            mut head in any_head(),
            (epoch, attempt) in any::<(u64, u64)>(),
            keys in prop::collection::vec(any_key(), 0..20),
        ) {
            head.keys = keys.len() as u64;
            let record = PreparedRecord { epoch: Epoch(epoch), attempt, head };
            let (mut out, mut scratch) = (Vec::new(), Scratch::default());
            record.encode(&mut out, &mut scratch, 0, keys.iter().copied());
            let mut back = Vec::new();
            let batch = Record::keyed(&out).unwrap().unwrap();
            prop_assert_eq!(batch.keys(&mut scratch, &mut back), Ok(keys.len()));
            let by = CommittedBy { pipe: record.head.pipe, batch: record.head.number };
            let named: Vec<_> = keys.iter().map(|key| CommittedKey { by, ..*key }).collect();
            prop_assert_eq!(&back, &named);
            prop_assert_eq!(Record::decode(&out), Ok(Record::Prepared(record)));
        }
    }
}
