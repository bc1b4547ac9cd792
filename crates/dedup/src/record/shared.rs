//! A scope's keys are in a store that workers share.

use super::OnDisk;
use super::cursor::{Cursor, Decoded, put_str, put_u64};
use crate::state::SharedState;

/// A scope was joined to a store: for the first time, or again with another incarnation.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SharedRecord {
    /// The scope's number in the ledger.
    pub(crate) scope: u16,
    /// The secret that the store has for it.
    pub(crate) secret: [u8; 16],
    /// Where the store is.
    pub(crate) place: String,
    /// The scope's incarnation there.
    pub(crate) incarnation: u128,
}

impl std::fmt::Debug for SharedRecord {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedRecord")
            .field("scope", &self.scope)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl OnDisk for SharedRecord {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.scope.into());
        out.extend_from_slice(&self.secret);
        put_str(out, &self.place);
        out.extend_from_slice(&self.incarnation.to_le_bytes());
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self {
            scope: cursor.u16()?,
            secret: cursor.array()?,
            place: cursor.string()?,
            incarnation: cursor.u128()?,
        })
    }
}

impl OnDisk for SharedState {
    fn put(&self, out: &mut Vec<u8>) {
        put_str(out, &self.place);
        out.extend_from_slice(&self.incarnation.to_le_bytes());
        put_u64(out, self.losses);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self { place: cursor.string()?, incarnation: cursor.u128()?, losses: cursor.u64()? })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::Record;
    use super::super::tests::{record_round_trip, round_trip};
    use super::*;

    prop_compose! {
        pub(crate) fn any_shared()(
            (place, incarnation, losses) in any::<(String, u128, u64)>(),
        ) -> SharedState {
            SharedState { place, incarnation, losses }
        }
    }

    proptest! {
        #[test]
        fn joined_scopes_round_trip(
            (scope, secret, place, incarnation) in any::<(u16, [u8; 16], String, u128)>(),
            shared in any_shared(),
        ) {
            record_round_trip(&Record::Shared(SharedRecord { scope, secret, place, incarnation }));
            round_trip(&shared);
        }
    }
}
