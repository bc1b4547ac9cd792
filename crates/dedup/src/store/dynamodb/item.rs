//! What stands in the table: names of attributes, primary keys, and the entries of a key. The
//! format is version 1; see docs/formats/dynamodb.md.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use event::{BatchNumber, Epoch, LedgerId};

use super::expiry::Expiry;
use crate::store::{BatchRef, BatchState};

/// Version of the format, in each scope's item.
pub(super) const FORMAT: u32 = 1;

/// The table's primary key.
pub(super) const PK: &str = "pk";
/// What TTL goes by; seconds.
pub(super) const EXPIRES: &str = "expires_s";
/// Of a key: another one at each write.
pub(super) const NONCE: &str = "nonce";
/// Of a key: its entries.
pub(super) const ENTRIES: &str = "entries";
/// Of a batch.
pub(super) const STATE: &str = "state";
/// Of a batch: another one at each renewal.
pub(super) const RENEWAL: &str = "renewal";
/// Of a batch.
pub(super) const LEASE: &str = "lease_ms";
/// Of a scope.
pub(super) const SCOPE_FORMAT: &str = "format";
pub(super) const SCOPE_NAME: &str = "name";
pub(super) const SCOPE_FIELDS: &str = "fields";
pub(super) const SCOPE_ACROSS_TYPES: &str = "across_types";
pub(super) const SCOPE_SECRET: &str = "secret";
pub(super) const SCOPE_INCARNATION: &str = "incarnation";

/// An item as it came.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The primary key of a scope.
pub(super) fn scope_pk(name: &str) -> Vec<u8> {
    [b"s", name.as_bytes()].concat()
}

/// The primary key of a key. The scope's incarnation is in it, so what is left of a scope that
/// was lost is never met again.
pub(super) fn key_pk(incarnation: u128, key: u128) -> Vec<u8> {
    [&b"k"[..], &incarnation.to_be_bytes(), &key.to_be_bytes()].concat()
}

/// The primary key of a batch's record.
pub(super) fn batch_pk(incarnation: u128, batch: &BatchRef) -> Vec<u8> {
    let mut pk = [&b"b"[..], &incarnation.to_be_bytes()].concat();
    put_batch(&mut pk, batch);
    pk
}

/// Batches of one worker, pipe and epoch can't be mistaken for each other's: all lengths are
/// fixed.
fn put_batch(bytes: &mut Vec<u8>, batch: &BatchRef) {
    bytes.extend_from_slice(&batch.worker.0.to_be_bytes());
    bytes.extend_from_slice(&batch.pipe.to_be_bytes());
    bytes.extend_from_slice(&batch.epoch.0.to_be_bytes());
    bytes.extend_from_slice(&batch.number.0.to_be_bytes());
}

/// One sighting of a key: held by a batch, or committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) recorded_ms: i64,
    pub(super) window_ms: i64,
    pub(super) body_hash: u64,
    /// The batch that decides over it; `None`: committed, whatever became of its batch's record.
    pub(super) held_by: Option<BatchRef>,
}

const VERSION: u8 = 1;
const COMMITTED: u8 = 0;
const HELD: u8 = 1;

/// The entries of a key as one binary value: version, then per entry what it is, recorded time,
/// window, body hash, and for a held one its batch. Numbers are big-endian.
pub(super) fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + entries.len() * 59);
    bytes.push(VERSION);
    for entry in entries {
        bytes.push(if entry.held_by.is_some() { HELD } else { COMMITTED });
        bytes.extend_from_slice(&entry.recorded_ms.to_be_bytes());
        bytes.extend_from_slice(&entry.window_ms.to_be_bytes());
        bytes.extend_from_slice(&entry.body_hash.to_be_bytes());
        if let Some(batch) = &entry.held_by {
            put_batch(&mut bytes, batch);
        }
    }
    bytes
}

/// The opposite of [`encode`]; `None` for what it never writes.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Entry>> {
    let (&VERSION, mut rest) = bytes.split_first()? else { return None };
    let mut entries = Vec::new();
    while let Some((&kind, after)) = rest.split_first() {
        rest = after;
        let mut entry = Entry {
            recorded_ms: i64::from_be_bytes(take(&mut rest)?),
            window_ms: i64::from_be_bytes(take(&mut rest)?),
            body_hash: u64::from_be_bytes(take(&mut rest)?),
            held_by: None,
        };
        match kind {
            COMMITTED => {}
            HELD => {
                entry.held_by = Some(BatchRef {
                    worker: LedgerId(u128::from_be_bytes(take(&mut rest)?)),
                    pipe: u16::from_be_bytes(take(&mut rest)?),
                    epoch: Epoch(u64::from_be_bytes(take(&mut rest)?)),
                    number: BatchNumber(u64::from_be_bytes(take(&mut rest)?)),
                });
            }
            _ => return None,
        }
        entries.push(entry);
    }
    Some(entries)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (front, back) = rest.split_first_chunk::<N>()?;
    *rest = back;
    Some(*front)
}

/// A key's item as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyItem {
    pub(super) nonce: [u8; 8],
    pub(super) entries: Vec<Entry>,
    pub(super) expiry: Expiry,
}

impl KeyItem {
    /// `None` for an item that this version never writes.
    pub(super) fn read(item: &Item) -> Option<Self> {
        Some(Self {
            nonce: bytes(item, NONCE)?.try_into().ok()?,
            entries: decode(bytes(item, ENTRIES)?)?,
            expiry: expiry(item)?,
        })
    }

    pub(super) fn write(&self, pk: &[u8]) -> Item {
        let mut item = Item::from([
            (PK.to_owned(), binary(pk)),
            (NONCE.to_owned(), binary(&self.nonce)),
            (ENTRIES.to_owned(), binary(&encode(&self.entries))),
        ]);
        if let Expiry::At(s) = self.expiry {
            item.insert(EXPIRES.to_owned(), number(s));
        }
        item
    }
}

/// A batch's record as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BatchItem {
    /// Never [`BatchState::Absent`].
    pub(super) state: BatchState,
    pub(super) renewal: [u8; 8],
    pub(super) lease_ms: u64,
}

impl BatchItem {
    /// `None` for an item that this version never writes.
    pub(super) fn read(item: &Item) -> Option<Self> {
        let AttributeValue::S(state) = item.get(STATE)? else { return None };
        let state = [BatchState::Open, BatchState::Committed, BatchState::Aborted]
            .into_iter()
            .find(|known| state_name(*known) == state)?;
        let AttributeValue::N(lease_ms) = item.get(LEASE)? else { return None };
        Some(Self {
            state,
            renewal: bytes(item, RENEWAL)?.try_into().ok()?,
            lease_ms: lease_ms.parse().ok()?,
        })
    }
}

/// A state as it stands in a batch's record.
pub(super) fn state_name(state: BatchState) -> &'static str {
    match state {
        BatchState::Open => "open",
        BatchState::Committed => "committed",
        BatchState::Aborted => "aborted",
        BatchState::Absent => "absent",
    }
}

pub(super) fn binary(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

pub(super) fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(super) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(super) fn bytes<'a>(item: &'a Item, name: &str) -> Option<&'a [u8]> {
    match item.get(name)? {
        AttributeValue::B(blob) => Some(blob.as_ref()),
        _ => None,
    }
}

fn expiry(item: &Item) -> Option<Expiry> {
    match item.get(EXPIRES) {
        None => Some(Expiry::Never),
        Some(AttributeValue::N(s)) => s.parse().ok().map(Expiry::At),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let batch = (any::<u128>(), any::<u16>(), any::<u64>(), any::<u64>());
        let batch = batch.prop_map(|(worker, pipe, epoch, number)| BatchRef {
            worker: LedgerId(worker),
            pipe,
            epoch: Epoch(epoch),
            number: BatchNumber(number),
        });
        (any::<i64>(), any::<i64>(), any::<u64>(), proptest::option::of(batch)).prop_map(
            |(recorded_ms, window_ms, body_hash, held_by)| Entry {
                recorded_ms,
                window_ms,
                body_hash,
                held_by,
            },
        )
    }

    proptest! {
        #[test]
        fn entries_come_back_as_they_were(
            entries in proptest::collection::vec(entry(), 0..8),
            nonce: [u8; 8],
            expires in proptest::option::of(any::<i64>()),
        ) {
            let expiry = expires.map_or(Expiry::Never, Expiry::At);
            let item = KeyItem { nonce, entries, expiry };
            prop_assert_eq!(KeyItem::read(&item.write(b"k")), Some(item));
        }

        #[test]
        fn whatever_bytes_are_there_are_read_or_refused(bytes: Vec<u8>) {
            if let Some(entries) = decode(&bytes) {
                prop_assert_eq!(encode(&entries), bytes);
            }
        }
    }

    #[test]
    fn a_cut_entry_and_another_version_are_refused() {
        let batch =
            BatchRef { worker: LedgerId(7), pipe: 2, epoch: Epoch(3), number: BatchNumber(4) };
        let entry = Entry { recorded_ms: 1, window_ms: 2, body_hash: 3, held_by: Some(batch) };
        let whole = encode(&[entry]);
        assert_eq!(whole.len(), 60);
        for length in 2..whole.len() {
            assert_eq!(decode(&whole[..length]), None, "{length}");
        }
        let mut other = whole.clone();
        other[0] = 2;
        assert_eq!(decode(&other), None);
        assert_eq!(decode(&[]), None);
    }

    #[test]
    fn items_of_different_kinds_never_share_a_primary_key() {
        let batch =
            BatchRef { worker: LedgerId(0), pipe: 0, epoch: Epoch(0), number: BatchNumber(0) };
        let all = [scope_pk("k"), scope_pk("b"), key_pk(0, 0), batch_pk(0, &batch)];
        for (at, pk) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != pk));
        }
        assert_eq!(key_pk(1, 2).len(), 33);
        assert_eq!(batch_pk(1, &batch).len(), 51);
    }
}
