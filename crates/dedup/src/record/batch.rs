//! A batch was committed: the one record that settles its events.
//!
//! Scope (0 for none, else its number + 1), length of the head, the head, the keys. So whoever
//! wants keys skips the head, and the other way round.

use event::BatchNumber;
use event::sink::StagedOutput;

use super::cursor::{Cursor, Decoded, put_bytes, put_i64, put_list, put_option, put_u64};
use super::keys::{self, KeyColumns, Scratch};
use super::{BATCH, ImportRecord, OnDisk, VERSION};
use crate::ledger::{CounterChange, MessageIdChange, ParkedChange, PositionChange};
use crate::scope::{CommittedBy, CommittedKey};
use crate::state::{DedupCounts, LetterOp};

/// What a batch's record says, apart from its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchHead {
    /// The pipe.
    pub(crate) pipe: u16,
    /// The source that its events came from.
    pub(crate) source: u16,
    /// The scope that its keys belong to.
    pub(crate) scope: Option<u16>,
    /// The batch's number. It counts only if it is one more than that of the pipe's last one.
    pub(crate) number: BatchNumber,
    /// Number of keys.
    pub(crate) keys: u64,
    /// The scope's highest recorded time when the batch was decided; ms since the Unix epoch.
    pub(crate) recorded_max_ms: i64,
    /// The source's watermark when the batch was decided, if it has one.
    pub(crate) watermark_ms: Option<i64>,
    /// What was published meanwhile, by the sink's place in the pipe's state.
    pub(crate) published: Vec<(u16, BatchNumber)>,
    /// What is settled.
    pub(crate) positions: Vec<PositionChange>,
    /// Message ids.
    pub(crate) message_ids: Vec<MessageIdChange>,
    /// Parked events.
    pub(crate) parked: Vec<ParkedChange>,
    /// What was staged, by the sink's place in the pipe's state.
    pub(crate) staged: Vec<(u16, StagedOutput)>,
    /// What is counted.
    pub(crate) counters: CounterChange,
    /// Dead letters.
    pub(crate) letters: Vec<LetterOp>,
    /// What is counted beside outcomes.
    pub(crate) dedup_counts: DedupCounts,
}

impl BatchHead {
    fn put_fields(&self, out: &mut Vec<u8>) {
        put_u64(out, self.pipe.into());
        put_u64(out, self.source.into());
        put_u64(out, self.number.0);
        put_i64(out, self.recorded_max_ms);
        put_option(out, self.watermark_ms, put_i64);
        put_list(out, self.published.iter(), |out, sink| sink.put(out));
        put_list(out, self.positions.iter(), |out, change| change.put(out));
        put_list(out, self.message_ids.iter(), |out, change| change.put(out));
        put_list(out, self.parked.iter(), |out, change| change.put(out));
        put_list(out, self.staged.iter(), |out, (sink, output)| {
            put_u64(out, (*sink).into());
            output.put(out);
        });
        // Left out where there are none, so that records without them read as they always did.
        let counts = self.dedup_counts.as_list();
        let has_letters = !self.letters.is_empty() || !counts.is_empty();
        self.counters.put_before(out, has_letters);
        if has_letters {
            put_list(out, self.letters.iter(), |out, op| op.put(out));
        }
        if !counts.is_empty() {
            put_list(out, counts.iter(), |out, count| put_u64(out, *count));
        }
    }

    fn take_fields(cursor: &mut Cursor<'_>, scope: Option<u16>, keys: u64) -> Decoded<Self> {
        Ok(Self {
            pipe: cursor.u16()?,
            source: cursor.u16()?,
            scope,
            keys,
            number: BatchNumber(cursor.u64()?),
            recorded_max_ms: cursor.i64()?,
            watermark_ms: cursor.option(Cursor::i64)?,
            published: cursor.list(OnDisk::take)?,
            positions: cursor.list(OnDisk::take)?,
            message_ids: cursor.list(OnDisk::take)?,
            parked: cursor.list(OnDisk::take)?,
            staged: cursor.list(|cursor| Ok((cursor.u16()?, StagedOutput::take(cursor)?)))?,
            counters: CounterChange::take(cursor)?,
            letters: if cursor.is_at_end() { Vec::new() } else { cursor.list(OnDisk::take)? },
            dedup_counts: match cursor.is_at_end() {
                true => DedupCounts::default(),
                false => DedupCounts::of_list(&cursor.list::<_, Vec<u64>>(Cursor::u64)?),
            },
        })
    }
}

/// A batch's record, or an import's, as it lies in the journal: its parts, not decoded yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchRecord<'a> {
    /// The scope that its keys belong to.
    pub(crate) scope: Option<u16>,
    head: Cursor<'a>,
    keys: Cursor<'a>,
}

impl<'a> BatchRecord<'a> {
    /// Appends a batch's record; how many keys it has.
    pub(crate) fn encode(
        out: &mut Vec<u8>,
        head: &BatchHead,
        scratch: &mut Scratch,
        keys_max: usize,
        keys: impl Iterator<Item = CommittedKey>,
    ) -> u64 {
        out.extend_from_slice(&[VERSION, BATCH]);
        Self::encode_after(out, head, scratch, keys_max, keys)
    }

    /// Appends what follows version and kind; how many keys it has.
    pub(super) fn encode_after(
        out: &mut Vec<u8>,
        head: &BatchHead,
        scratch: &mut Scratch,
        keys_max: usize,
        keys: impl Iterator<Item = CommittedKey>,
    ) -> u64 {
        put_u64(out, head.scope.map_or(0, |scope| u64::from(scope) + 1));
        let len_at = out.len();
        out.extend_from_slice(&[0; 4]);
        head.put_fields(out);
        let len = out.len() - len_at - 4;
        if let Some(place) = out.get_mut(len_at..len_at + 4) {
            place.copy_from_slice(&(len as u32).to_le_bytes());
        }
        keys::encode(out, scratch, keys_max, keys) as u64
    }

    pub(super) fn take(cursor: &mut Cursor<'a>) -> Decoded<Self> {
        let scope = match cursor.u32()?.checked_sub(1) {
            None => None,
            Some(scope) => {
                Some(u16::try_from(scope).map_err(|_| cursor.missing("scope's number"))?)
            }
        };
        let len = u32::from_le_bytes(cursor.array()?) as usize;
        let head = Cursor::new(cursor.raw(len)?);
        Ok(Self { scope, head, keys: *cursor })
    }

    /// What the record of an import says.
    pub(super) fn import(&self) -> Decoded<ImportRecord> {
        let count = u32::from_le_bytes(self.keys.clone().array()?);
        ImportRecord::of(self, &mut self.head.clone(), count.into())
    }

    /// The head of a batch.
    pub(crate) fn head(&self) -> Decoded<BatchHead> {
        let count = u32::from_le_bytes(self.keys.clone().array()?);
        let mut cursor = self.head;
        let head = BatchHead::take_fields(&mut cursor, self.scope, count.into())?;
        cursor.end()?;
        Ok(head)
    }

    /// The pipe and the number of the batch, which stand at the head's front.
    pub(crate) fn by(&self) -> Decoded<CommittedBy> {
        let mut cursor = self.head;
        let (pipe, _source) = (cursor.u16()?, cursor.u16()?);
        Ok(CommittedBy { pipe, batch: BatchNumber(cursor.u64()?) })
    }

    /// Hands the keys to `take`, by state and column; how many there are.
    pub(crate) fn for_each_state(
        &self,
        scratch: &mut Scratch,
        take: impl FnMut(KeyColumns<'_>),
    ) -> Decoded<usize> {
        let mut cursor = self.keys;
        let count = keys::for_each_state(&mut cursor, scratch, take)?;
        cursor.end()?;
        Ok(count)
    }

    /// Appends the keys to `keys`; how many there are.
    pub(crate) fn keys(
        &self,
        scratch: &mut Scratch,
        keys: &mut Vec<CommittedKey>,
    ) -> Decoded<usize> {
        let mut cursor = self.keys;
        let count = keys::decode(&mut cursor, scratch, keys)?;
        cursor.end()?;
        let by = self.by()?;
        let added = keys.len().saturating_sub(count);
        keys.get_mut(added..).unwrap_or_default().iter_mut().for_each(|key| key.by = by);
        Ok(count)
    }
}

/// The head alone, as a checkpoint keeps that of a batch that is prepared.
impl OnDisk for BatchHead {
    fn put(&self, out: &mut Vec<u8>) {
        put_option(out, self.scope, |out, scope| put_u64(out, scope.into()));
        put_u64(out, self.keys);
        let mut head = Vec::new();
        self.put_fields(&mut head);
        put_bytes(out, &head);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let (scope, keys) = (cursor.option(Cursor::u16)?, cursor.u64()?);
        let mut fields = Cursor::new(cursor.bytes()?);
        let head = Self::take_fields(&mut fields, scope, keys)?;
        fields.end()?;
        Ok(head)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::keys::tests::any_key;
    use super::super::{Record, counters, files, letters, message_ids, parked, positions};
    use super::*;

    prop_compose! {
        pub(crate) fn any_head()(
            (pipe, source, scope, number) in any::<(u16, u16, Option<u16>, u64)>(),
            (recorded_max_ms, watermark_ms) in any::<(i64, Option<i64>)>(),
            published in prop::collection::vec(any::<(u16, u64)>(), 0..3),
            positions in prop::collection::vec(positions::tests::any_change(), 0..3),
            message_ids in prop::collection::vec(message_ids::tests::any_change(), 0..3),
            parked in prop::collection::vec(parked::tests::any_change(), 0..2),
            staged in prop::collection::vec((any::<u16>(), files::tests::any_output()), 0..3),
            counters in counters::tests::any_change(),
            letters in prop::collection::vec(letters::tests::any_op(), 0..3),
            (other_body, no_key, refreshed) in (0..2_u64, 0..2_u64, 0..2_u64),
        ) -> BatchHead {
            let dedup_counts = DedupCounts { other_body, no_key, refreshed };
            let published =
                published.into_iter().map(|(sink, number)| (sink, BatchNumber(number))).collect();
            BatchHead {
                pipe, source, scope, number: BatchNumber(number), keys: 0, recorded_max_ms,
                watermark_ms, published, positions, message_ids, parked, staged, counters, letters,
                dedup_counts,
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn batches_round_trip(
            mut head in any_head(),
            mut keys in prop::collection::vec(any_key(), 0..50),
        ) {
            let by = CommittedBy { pipe: head.pipe, batch: head.number };
            keys.iter_mut().for_each(|key| key.by = by);
            let (mut out, mut scratch) = (Vec::new(), Scratch::default());
            BatchRecord::encode(&mut out, &head, &mut scratch, 0, keys.iter().copied());
            let record = Record::keyed(&out).unwrap().unwrap();
            let mut back = Vec::new();
            prop_assert_eq!(record.keys(&mut scratch, &mut back), Ok(keys.len()));
            let by = CommittedBy { pipe: head.pipe, batch: head.number };
            let named: Vec<_> = keys.iter().map(|key| CommittedKey { by, ..*key }).collect();
            prop_assert_eq!(&back, &named);
            head.keys = keys.len() as u64;
            prop_assert_eq!(record.scope, head.scope);
            prop_assert_eq!(record.head(), Ok(head.clone()));
            prop_assert_eq!(Record::decode(&out), Ok(Record::Batch(head)));
        }
    }
}
