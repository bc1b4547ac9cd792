//! How a pipe makes its scope's keys, and how they were made before: a later part of the record of
//! a pipe that starts, and of a checkpoint.

use super::OnDisk;
use super::cursor::{Cursor, Decoded, put_i64, put_list, put_str, put_u64};
use crate::scope::DedupClock;
use crate::state::PreviousDefinition;

const RECEIVED: u8 = 0;
const BROKER: u8 = 1;
const EVENT: u8 = 2;

/// How a pipe makes its scope's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyPart {
    /// The key's paths, as in the config.
    pub(crate) paths: Vec<String>,
    /// The scope's clock.
    pub(crate) clock: DedupClock,
    /// All definitions of the scope before this one whose keys are still looked up.
    pub(crate) previous: Vec<PreviousDefinition>,
}

pub(super) fn put_clock(out: &mut Vec<u8>, clock: DedupClock) {
    out.push(match clock {
        DedupClock::Received => RECEIVED,
        DedupClock::Broker => BROKER,
        DedupClock::Event => EVENT,
    });
}

pub(super) fn take_clock(cursor: &mut Cursor<'_>) -> Decoded<DedupClock> {
    match cursor.u8()? {
        RECEIVED => Ok(DedupClock::Received),
        BROKER => Ok(DedupClock::Broker),
        EVENT => Ok(DedupClock::Event),
        _ => Err(cursor.missing("known clock")),
    }
}

pub(super) fn put_paths(out: &mut Vec<u8>, paths: &[String]) {
    put_list(out, paths.iter(), |out, path| put_str(out, path));
}

pub(super) fn take_paths(cursor: &mut Cursor<'_>) -> Decoded<Vec<String>> {
    cursor.list(Cursor::string)
}

impl OnDisk for KeyPart {
    fn put(&self, out: &mut Vec<u8>) {
        put_paths(out, &self.paths);
        put_clock(out, self.clock);
        put_list(out, self.previous.iter(), |out, previous| previous.put(out));
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self {
            paths: take_paths(cursor)?,
            clock: take_clock(cursor)?,
            previous: cursor.list(OnDisk::take)?,
        })
    }
}

impl OnDisk for PreviousDefinition {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.fields.into());
        out.push(self.across_types.into());
        put_i64(out, self.until_ms);
        put_list(out, self.paths.iter(), |out, (pipe, paths)| {
            put_u64(out, (*pipe).into());
            put_paths(out, paths);
        });
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self {
            fields: cursor.u32()?,
            across_types: cursor.bool()?,
            until_ms: cursor.i64()?,
            paths: cursor.list(|cursor| Ok((cursor.u16()?, take_paths(cursor)?)))?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::tests::round_trip;
    use super::*;

    fn any_paths() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(any::<String>(), 0..3)
    }

    pub(crate) fn any_clock() -> impl Strategy<Value = DedupClock> {
        prop_oneof![Just(DedupClock::Received), Just(DedupClock::Broker), Just(DedupClock::Event)]
    }

    prop_compose! {
        pub(crate) fn any_previous()(
            (fields, across_types, until_ms) in any::<(u32, bool, i64)>(),
            paths in prop::collection::btree_map(any::<u16>(), any_paths(), 0..3),
        ) -> PreviousDefinition {
            PreviousDefinition { fields, across_types, until_ms, paths }
        }
    }

    prop_compose! {
        pub(crate) fn any_key_part()(
            paths in any_paths(),
            clock in any_clock(),
            previous in prop::collection::vec(any_previous(), 0..3),
        ) -> KeyPart {
            KeyPart { paths, clock, previous }
        }
    }

    proptest! {
        #[test]
        fn key_parts_round_trip(part in any_key_part()) {
            round_trip(&part);
        }
    }
}
