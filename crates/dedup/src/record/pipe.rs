//! Pipes: that one was started, and all that a checkpoint says of one.

use std::collections::BTreeMap;

use event::{BatchNumber, ShardId};

use super::cursor::{Cursor, Decoded, put_i64, put_list, put_option, put_str, put_u64};
use super::scope::ScopeEntry;
use super::{KeyPart, OnDisk};
use crate::state::{DedupCounts, ParkedEvent, PipeState};

/// A pipe was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PipeRecord {
    /// Its number; the next free one for a pipe that is new.
    pub(crate) pipe: u16,
    /// Its name.
    pub(crate) name: String,
    /// Its source's number; the next free one for a source that is new.
    pub(crate) source: u16,
    /// Its source's name.
    pub(crate) source_name: String,
    /// Names of its sinks.
    pub(crate) sinks: Vec<String>,
    /// Its scope, with the definition.
    pub(crate) scope: Option<ScopeEntry>,
    /// Fingerprint of its config.
    pub(crate) config_fingerprint: u64,
    /// How it makes its scope's keys; records of pipes with a scope have it since 0.5.
    pub(crate) key: Option<KeyPart>,
}

impl OnDisk for PipeRecord {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.pipe.into());
        put_str(out, &self.name);
        put_u64(out, self.source.into());
        put_str(out, &self.source_name);
        put_list(out, self.sinks.iter(), |out, sink| put_str(out, sink));
        put_option(out, self.scope.as_ref(), |out, scope| scope.put(out));
        out.extend_from_slice(&self.config_fingerprint.to_le_bytes());
        // Left out where there is none, so that records without it read as they always did.
        if let Some(key) = &self.key {
            key.put(out);
        }
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self {
            pipe: cursor.u16()?,
            name: cursor.string()?,
            source: cursor.u16()?,
            source_name: cursor.string()?,
            sinks: cursor.list(Cursor::string)?,
            scope: cursor.option(OnDisk::take)?,
            config_fingerprint: u64::from_le_bytes(cursor.array()?),
            key: if cursor.is_at_end() { None } else { Some(OnDisk::take(cursor)?) },
        })
    }
}

impl OnDisk for PipeState {
    fn put(&self, out: &mut Vec<u8>) {
        put_str(out, &self.name);
        put_u64(out, self.source.into());
        put_option(out, self.scope, |out, scope| put_u64(out, scope.into()));
        out.extend_from_slice(&self.config_fingerprint.to_le_bytes());
        put_u64(out, self.invocations);
        put_u64(out, self.committed.0);
        put_list(out, self.positions.iter(), |out, (shard, state)| {
            put_str(out, shard);
            state.put(out);
        });
        put_list(out, self.message_ids.iter(), |out, (id, &until_ms)| {
            out.extend_from_slice(&id.to_le_bytes());
            put_i64(out, until_ms);
        });
        put_list(out, self.parked.values(), |out, (source, event)| {
            put_u64(out, (*source).into());
            event.put(out);
        });
        put_list(out, self.sinks.iter(), |out, sink| sink.put(out));
        put_list(out, self.types.iter(), |out, (name, outcomes)| {
            put_str(out, name);
            outcomes.put(out);
        });
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self {
            name: cursor.string()?,
            source: cursor.u16()?,
            scope: cursor.option(Cursor::u16)?,
            config_fingerprint: u64::from_le_bytes(cursor.array()?),
            invocations: cursor.u64()?,
            committed: BatchNumber(cursor.u64()?),
            positions: cursor
                .list(|cursor| Ok((ShardId::from(cursor.str()?), OnDisk::take(cursor)?)))?,
            message_ids: cursor.list(|cursor| Ok((cursor.u128()?, cursor.i64()?)))?,
            parked: cursor.list(|cursor| {
                let (source, event) = (cursor.u16()?, ParkedEvent::take(cursor)?);
                Ok((event.id, (source, event)))
            })?,
            sinks: cursor.list(OnDisk::take)?,
            types: cursor.list(OnDisk::take)?,
            // These stand at the end of a checkpoint.
            dedup_counts: DedupCounts::default(),
            letters: BTreeMap::new(),
            prepared: Vec::new(),
            key_paths: Vec::new(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::Record;
    use super::super::files::tests::any_sink;
    use super::super::key_part::tests::any_key_part;
    use super::super::parked::tests::any_parked;
    use super::super::positions::tests::any_shard;
    use super::super::scope::tests::any_entry;
    use super::super::tests::{record_round_trip, round_trip};
    use super::*;

    prop_compose! {
        pub(crate) fn any_pipe()(
            name: String,
            (source, scope, config_fingerprint) in any::<(u16, Option<u16>, u64)>(),
            (invocations, committed) in any::<(u64, u64)>(),
            positions in prop::collection::btree_map(
                any::<String>().prop_map(ShardId::from), any_shard(), 0..3),
            message_ids in prop::collection::btree_map(any::<u128>(), any::<i64>(), 0..3),
            parked in prop::collection::vec((any::<u16>(), any_parked()), 0..2),
            sinks in prop::collection::vec(any_sink(), 0..3),
            types in prop::collection::btree_map(any::<String>(), any::<[u64; 6]>(), 0..3),
        ) -> PipeState {
            let committed = BatchNumber(committed);
            let parked = parked.into_iter().map(|parked| (parked.1.id, parked)).collect();
            PipeState {
                dedup_counts: DedupCounts::default(),
                name, source, scope, config_fingerprint, invocations, committed, positions,
                message_ids, parked, sinks, types, letters: BTreeMap::new(), prepared: Vec::new(),
                key_paths: Vec::new(),
            }
        }
    }

    proptest! {
        #[test]
        fn starts_round_trip(
            (pipe, source, config_fingerprint) in any::<(u16, u16, u64)>(),
            (name, source_name, sinks) in any::<(String, String, Vec<String>)>(),
            scope in prop::option::of(any_entry()),
            key in prop::option::of(any_key_part()),
        ) {
            record_round_trip(&Record::Pipe(PipeRecord {
                pipe, name, source, source_name, sinks, scope, config_fingerprint, key,
            }));
        }

        #[test]
        fn states_round_trip(pipe in any_pipe()) {
            round_trip(&pipe);
        }
    }
}
