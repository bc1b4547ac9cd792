//! Dead letters: what a record changes, and those that a checkpoint finds open.

use super::OnDisk;
use super::cursor::{Cursor, Decoded, put_i64, put_list, put_option, put_u64};
use crate::state::{Letter, LetterKey, LetterOp};

const ADD: u8 = 0;
const REMOVE: u8 = 1;
const SUPERSEDED: u8 = 2;

/// Letters change, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LettersRecord {
    /// The pipe.
    pub(crate) pipe: u16,
    /// What changes.
    pub(crate) letters: Vec<LetterOp>,
}

impl OnDisk for LettersRecord {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.pipe.into());
        put_list(out, self.letters.iter(), |out, op| op.put(out));
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self { pipe: cursor.u16()?, letters: cursor.list(OnDisk::take)? })
    }
}

impl OnDisk for LetterOp {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Add { id, letter } => {
                out.push(ADD);
                out.extend_from_slice(&id.to_le_bytes());
                letter.put(out);
            }
            Self::Remove { id } => {
                out.push(REMOVE);
                out.extend_from_slice(&id.to_le_bytes());
            }
            Self::Superseded { pipe, id } => {
                out.push(SUPERSEDED);
                put_u64(out, (*pipe).into());
                out.extend_from_slice(&id.to_le_bytes());
            }
        }
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        match cursor.u8()? {
            ADD => Ok(Self::Add { id: cursor.u128()?, letter: Letter::take(cursor)? }),
            REMOVE => Ok(Self::Remove { id: cursor.u128()? }),
            SUPERSEDED => Ok(Self::Superseded { pipe: cursor.u16()?, id: cursor.u128()? }),
            _ => Err(cursor.missing("known change of a letter")),
        }
    }
}

impl OnDisk for Letter {
    fn put(&self, out: &mut Vec<u8>) {
        put_i64(out, self.received_ms);
        put_i64(out, self.recorded_ms);
        put_option(out, self.key, |out, key| {
            put_u64(out, key.scope.into());
            out.extend_from_slice(&key.key.to_le_bytes());
            put_i64(out, key.window_ms);
            out.extend_from_slice(&key.body_hash.to_le_bytes());
        });
        put_option(out, self.deterministic_under, |out, plan| {
            out.extend_from_slice(&plan.to_le_bytes());
        });
        put_list(out, self.sinks.iter(), |out, &sink| put_u64(out, sink.into()));
        out.push(self.superseded.into());
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let key = |cursor: &mut Cursor<'_>| {
            Ok(LetterKey {
                scope: cursor.u16()?,
                key: cursor.u128()?,
                window_ms: cursor.i64()?,
                body_hash: u64::from_le_bytes(cursor.array()?),
            })
        };
        Ok(Self {
            received_ms: cursor.i64()?,
            recorded_ms: cursor.i64()?,
            key: cursor.option(key)?,
            deterministic_under: cursor.option(|cursor| cursor.array().map(u64::from_le_bytes))?,
            sinks: cursor.list(Cursor::u16)?,
            superseded: cursor.bool()?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::Record;
    use super::super::tests::{record_round_trip, round_trip};
    use super::*;

    prop_compose! {
        fn any_letter_key()(
            (scope, key, window_ms, body_hash) in any::<(u16, u128, i64, u64)>(),
        ) -> LetterKey {
            LetterKey { scope, key, window_ms, body_hash }
        }
    }

    prop_compose! {
        pub(crate) fn any_letter()(
            (received_ms, recorded_ms, superseded) in any::<(i64, i64, bool)>(),
            key in prop::option::of(any_letter_key()),
            deterministic_under: Option<u64>,
            sinks in prop::collection::vec(any::<u16>(), 0..3),
        ) -> Letter {
            Letter { received_ms, recorded_ms, key, deterministic_under, sinks, superseded }
        }
    }

    pub(crate) fn any_op() -> impl Strategy<Value = LetterOp> {
        prop_oneof![
            (any::<u128>(), any_letter()).prop_map(|(id, letter)| LetterOp::Add { id, letter }),
            any::<u128>().prop_map(|id| LetterOp::Remove { id }),
            any::<(u16, u128)>().prop_map(|(pipe, id)| LetterOp::Superseded { pipe, id }),
        ]
    }

    proptest! {
        #[test]
        fn changes_round_trip(op in any_op()) {
            round_trip(&op);
        }

        #[test]
        fn records_round_trip(pipe: u16, letters in prop::collection::vec(any_op(), 0..4)) {
            record_round_trip(&Record::Letters(LettersRecord { pipe, letters }));
        }
    }
}
