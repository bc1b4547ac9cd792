//! Parked events, whole.

use event::{Marks, Offset, ShardId};

use super::OnDisk;
use super::cursor::{Cursor, Decoded, put_bytes, put_i64, put_list, put_str, put_u64};
use crate::ledger::ParkedChange;
use crate::state::{Attempt, ParkedEvent};

const ADD: u8 = 0;
const REMOVE: u8 = 1;

impl OnDisk for ParkedChange {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Add(event) => {
                out.push(ADD);
                event.put(out);
            }
            Self::Remove { id } => {
                out.push(REMOVE);
                put_u64(out, *id);
            }
        }
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        match cursor.u8()? {
            ADD => Ok(Self::Add(Box::new(ParkedEvent::take(cursor)?))),
            REMOVE => Ok(Self::Remove { id: cursor.u64()? }),
            _ => Err(cursor.missing("known change of a parked event")),
        }
    }
}

impl OnDisk for ParkedEvent {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id);
        put_str(out, &self.shard);
        self.position.put(out);
        put_i64(out, self.received_ms);
        put_i64(out, self.broker_ms);
        put_bytes(out, &self.raw);
        put_list(out, self.attributes.iter(), |out, (name, value)| {
            put_str(out, name);
            put_bytes(out, value);
        });
        put_str(out, &self.event_type);
        put_i64(out, self.event_ms);
        out.extend_from_slice(&self.key.to_le_bytes());
        out.extend_from_slice(&self.body_hash.to_le_bytes());
        put_i64(out, self.recorded_ms);
        put_i64(out, self.window_ms);
        out.push(self.marks.0);
        put_list(out, self.attempts.iter(), |out, attempt| attempt.put(out));
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self {
            id: cursor.u64()?,
            shard: ShardId::from(cursor.str()?),
            position: <(Offset, Offset)>::take(cursor)?,
            received_ms: cursor.i64()?,
            broker_ms: cursor.i64()?,
            raw: cursor.bytes()?.to_vec(),
            attributes: cursor.list(|cursor| Ok((cursor.string()?, cursor.bytes()?.to_vec())))?,
            event_type: cursor.string()?,
            event_ms: cursor.i64()?,
            key: cursor.u128()?,
            body_hash: u64::from_le_bytes(cursor.array()?),
            recorded_ms: cursor.i64()?,
            window_ms: cursor.i64()?,
            marks: Marks(cursor.u8()?),
            attempts: cursor.list(OnDisk::take)?,
        })
    }
}

impl OnDisk for Attempt {
    fn put(&self, out: &mut Vec<u8>) {
        put_i64(out, self.at_ms);
        put_str(out, &self.sink);
        put_str(out, &self.error);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self { at_ms: cursor.i64()?, sink: cursor.string()?, error: cursor.string()? })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::positions::tests::any_offset;
    use super::super::tests::round_trip;
    use super::*;

    prop_compose! {
        fn any_attempt()(at_ms: i64, sink: String, error: String) -> Attempt {
            Attempt { at_ms, sink, error }
        }
    }

    prop_compose! {
        pub(crate) fn any_parked()(
            (id, key, body_hash) in any::<(u64, u128, u64)>(),
            shard: String,
            position in (any_offset(), any_offset()),
            (received_ms, broker_ms, event_ms) in any::<(i64, i64, i64)>(),
            (recorded_ms, window_ms, marks) in any::<(i64, i64, u8)>(),
            raw: Vec<u8>,
            attributes in prop::collection::vec(any::<(String, Vec<u8>)>(), 0..3),
            event_type: String,
            attempts in prop::collection::vec(any_attempt(), 0..3),
        ) -> ParkedEvent {
            ParkedEvent {
                id, shard: shard.into(), position, received_ms, broker_ms, raw, attributes,
                event_type, event_ms, key, body_hash, recorded_ms, window_ms,
                marks: Marks(marks), attempts,
            }
        }
    }

    pub(crate) fn any_change() -> impl Strategy<Value = ParkedChange> {
        prop_oneof![
            any_parked().prop_map(|event| ParkedChange::Add(Box::new(event))),
            any::<u64>().prop_map(|id| ParkedChange::Remove { id }),
        ]
    }

    proptest! {
        #[test]
        fn changes_round_trip(change in any_change()) {
            round_trip(&change);
        }
    }
}
