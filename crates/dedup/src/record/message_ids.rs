//! Message ids to remember or to forget.

use super::OnDisk;
use super::cursor::{Cursor, Decoded, put_i64};
use crate::ledger::MessageIdChange;

const ADD: u8 = 0;
const REMOVE: u8 = 1;

impl OnDisk for MessageIdChange {
    fn put(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Add { id, until_ms } => {
                out.push(ADD);
                out.extend_from_slice(&id.to_le_bytes());
                put_i64(out, until_ms);
            }
            Self::Remove { id } => {
                out.push(REMOVE);
                out.extend_from_slice(&id.to_le_bytes());
            }
        }
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        match cursor.u8()? {
            ADD => Ok(Self::Add { id: cursor.u128()?, until_ms: cursor.i64()? }),
            REMOVE => Ok(Self::Remove { id: cursor.u128()? }),
            _ => Err(cursor.missing("known change of a message id")),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::tests::round_trip;
    use super::*;

    pub(crate) fn any_change() -> impl Strategy<Value = MessageIdChange> {
        prop_oneof![
            (any::<u128>(), any::<i64>())
                .prop_map(|(id, until_ms)| MessageIdChange::Add { id, until_ms }),
            any::<u128>().prop_map(|id| MessageIdChange::Remove { id }),
        ]
    }

    proptest! {
        #[test]
        fn changes_round_trip(change in any_change()) {
            round_trip(&change);
        }
    }
}
