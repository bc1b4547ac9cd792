//! Keys that come from elsewhere: another data folder, a lake, a plain file, a dump.
//!
//! Laid out as a batch's record (scope + 1, length of the head, the head, the keys), and its head
//! begins as a batch's does, with pipe, source and number of the batch, all 0: so whoever wants
//! keys needs to know one layout, and learns that no batch committed these.

use super::batch::BatchRecord;
use super::cursor::{Cursor, Decoded, put_option, put_u64};
use super::keys::{self, Scratch};
use super::scope::ScopeEntry;
use super::{IMPORT, OnDisk, VERSION};
use crate::scope::CommittedKey;

/// What the record of an import says, apart from its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImportRecord {
    /// The scope that the keys belong to.
    pub(crate) scope: u16,
    /// The scope itself, where the import makes it.
    pub(crate) entry: Option<ScopeEntry>,
    /// Number of keys.
    pub(crate) keys: u64,
}

impl ImportRecord {
    /// Appends the record; how many keys it has.
    pub(crate) fn encode(
        &self,
        out: &mut Vec<u8>,
        scratch: &mut Scratch,
        keys_max: usize,
        keys: impl Iterator<Item = CommittedKey>,
    ) -> u64 {
        out.extend_from_slice(&[VERSION, IMPORT]);
        put_u64(out, u64::from(self.scope) + 1);
        let mut head = Vec::new();
        (0..3).for_each(|_| put_u64(&mut head, 0));
        put_option(&mut head, self.entry.as_ref(), |out, entry| entry.put(out));
        out.extend_from_slice(&(head.len() as u32).to_le_bytes());
        out.extend_from_slice(&head);
        keys::encode(out, scratch, keys_max, keys) as u64
    }

    pub(super) fn of(record: &BatchRecord<'_>, head: &mut Cursor<'_>, keys: u64) -> Decoded<Self> {
        let scope = record.scope.ok_or_else(|| head.missing("scope of an import"))?;
        let (_pipe, _source, _batch) = (head.u16()?, head.u16()?, head.u64()?);
        let entry = head.option(OnDisk::take)?;
        head.end()?;
        Ok(Self { scope, entry, keys })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Record;
    use super::super::keys::tests::any_key;
    use super::super::scope::tests::any_entry;
    use super::*;
    use crate::scope::{CommittedBy, CommittedKey};

    proptest! {
        #[test]
        fn imports_round_trip(
            scope: u16,
            entry in prop::option::of(any_entry()),
            keys in prop::collection::vec(any_key(), 0..50),
        ) {
            let record = ImportRecord { scope, entry, keys: keys.len() as u64 };
            let (mut out, mut scratch) = (Vec::new(), Scratch::default());
            record.encode(&mut out, &mut scratch, keys.len(), keys.iter().copied());
            let keyed = Record::keyed(&out).unwrap().unwrap();
            let mut back = Vec::new();
            prop_assert_eq!(keyed.keys(&mut scratch, &mut back), Ok(keys.len()));
            // Nobody committed them here.
            let by = CommittedBy::default();
            let named: Vec<_> = keys.iter().map(|key| CommittedKey { by, ..*key }).collect();
            prop_assert_eq!(&back, &named);
            prop_assert_eq!(keyed.scope, Some(scope));
            prop_assert_eq!(Record::decode(&out), Ok(Record::Import(record)));
        }
    }
}
