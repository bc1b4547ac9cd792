//! Scopes: the definition in a pipe's record, and all that a checkpoint says of one.

use super::OnDisk;
use super::cursor::{Cursor, Decoded, put_i64, put_list, put_str, put_u64};
use crate::state::ScopeState;

/// A scope as a pipe's record names it: what never changes about it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ScopeEntry {
    /// Its number in the ledger.
    pub(crate) number: u16,
    /// Its name.
    pub(crate) name: String,
    /// What its keys are hashed with.
    pub(crate) secret: [u8; 16],
    /// Number of key fields.
    pub(crate) fields: u32,
    /// Whether keys leave out the envelope's type.
    pub(crate) across_types: bool,
}

impl std::fmt::Debug for ScopeEntry {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScopeEntry")
            .field("number", &self.number)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl OnDisk for ScopeEntry {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.number.into());
        put_str(out, &self.name);
        out.extend_from_slice(&self.secret);
        put_u64(out, self.fields.into());
        out.push(self.across_types.into());
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self {
            number: cursor.u16()?,
            name: cursor.string()?,
            secret: cursor.array()?,
            fields: cursor.u32()?,
            across_types: cursor.bool()?,
        })
    }
}

impl OnDisk for ScopeState {
    fn put(&self, out: &mut Vec<u8>) {
        put_str(out, &self.name);
        out.extend_from_slice(&self.secret);
        put_u64(out, self.fields.into());
        out.push(self.across_types.into());
        put_i64(out, self.recorded_max_ms);
        put_list(out, self.watermarks.iter(), |out, (&source, &watermark_ms)| {
            put_u64(out, source.into());
            put_i64(out, watermark_ms);
        });
        put_i64(out, self.forgotten_through_ms);
        put_u64(out, self.keys_committed);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self {
            name: cursor.string()?,
            secret: cursor.array()?,
            fields: cursor.u32()?,
            across_types: cursor.bool()?,
            recorded_max_ms: cursor.i64()?,
            watermarks: cursor.list(|cursor| Ok((cursor.u16()?, cursor.i64()?)))?,
            forgotten_through_ms: cursor.i64()?,
            keys_committed: cursor.u64()?,
            keys_live: None,
            // They stand at the end of a checkpoint.
            shared: None,
            clock: None,
            previous: Vec::new(),
            keys_imported: 0,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::tests::round_trip;
    use super::*;

    prop_compose! {
        pub(crate) fn any_entry()(
            number: u16, name: String, secret: [u8; 16], fields: u32, across_types: bool,
        ) -> ScopeEntry {
            ScopeEntry { number, name, secret, fields, across_types }
        }
    }

    prop_compose! {
        pub(crate) fn any_scope()(
            entry in any_entry(),
            (recorded_max_ms, forgotten_through_ms, keys_committed) in any::<(i64, i64, u64)>(),
            watermarks in prop::collection::btree_map(any::<u16>(), any::<i64>(), 0..3),
        ) -> ScopeState {
            let ScopeEntry { name, secret, fields, across_types, .. } = entry;
            ScopeState {
                name, secret, fields, across_types, recorded_max_ms, watermarks,
                forgotten_through_ms, keys_committed, keys_live: None, shared: None, clock: None,
                previous: Vec::new(), keys_imported: 0,
            }
        }
    }

    proptest! {
        #[test]
        fn scopes_round_trip(entry in any_entry(), scope in any_scope()) {
            round_trip(&entry);
            round_trip(&scope);
        }
    }
}
