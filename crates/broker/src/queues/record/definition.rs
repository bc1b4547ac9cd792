//! A queue as it is made, changed, or written again when a segment is cleaned.

use std::collections::BTreeMap;

use super::codec::{Decoder, Encoder};
use crate::queues::attributes::{QueueAttributes, Redrive};
use crate::queues::statistics::Counters;

/// Everything of a queue but its messages and producers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::queues) struct Definition {
    pub(in crate::queues) number: u32,
    pub(in crate::queues) creation_id: u128,
    pub(in crate::queues) name: String,
    pub(in crate::queues) created_ms: i64,
    pub(in crate::queues) modified_ms: i64,
    /// When it was purged last.
    pub(in crate::queues) purged_ms: Option<i64>,
    pub(in crate::queues) attributes: QueueAttributes,
    pub(in crate::queues) tags: BTreeMap<String, String>,
    /// In a copy: the counts as of the mark before it.
    pub(in crate::queues) counters: Option<Counters>,
}

pub(super) fn encode(into: &mut Encoder, definition: &Definition) {
    into.u32(definition.number);
    into.u128(definition.creation_id);
    into.bytes(definition.name.as_bytes());
    into.i64(definition.created_ms);
    into.i64(definition.modified_ms);
    into.u8(u8::from(definition.purged_ms.is_some()));
    into.i64(definition.purged_ms.unwrap_or_default());
    encode_attributes(into, &definition.attributes);
    encode_tags(into, &definition.tags);
    into.u8(u8::from(definition.counters.is_some()));
    if let Some(counters) = &definition.counters {
        into.u64(counters.sent);
        into.u64(counters.deleted);
        into.u64(counters.moved);
        into.u64(counters.expired);
        into.u64(counters.purged);
    }
}

pub(super) fn encode_attributes(into: &mut Encoder, attributes: &QueueAttributes) {
    into.u32(attributes.visibility_timeout_s);
    into.u32(attributes.delay_s);
    into.u32(attributes.receive_wait_s);
    into.u32(attributes.retention_s);
    into.u32(attributes.message_bytes_max);
    let redrive = attributes.redrive.as_ref();
    into.option(redrive.map(|redrive| redrive.dead_letter_queue.as_str()));
    into.u32(redrive.map_or(0, |redrive| redrive.receive_count_max));
}

pub(super) fn encode_tags(into: &mut Encoder, tags: &BTreeMap<String, String>) {
    into.u32(tags.len() as u32);
    for (key, value) in tags {
        into.bytes(key.as_bytes());
        into.bytes(value.as_bytes());
    }
}

pub(super) fn decode(from: &mut Decoder<'_>) -> Option<Definition> {
    let (number, creation_id) = (from.u32()?, from.u128()?);
    let name = from.text()?.to_string();
    let (created_ms, modified_ms) = (from.i64()?, from.i64()?);
    let (purged, purged_ms) = (from.flag()?, from.i64()?);
    let attributes = decode_attributes(from)?;
    let tags = decode_tags(from)?;
    let counters = match from.flag()? {
        false => None,
        true => Some(Counters {
            sent: from.u64()?,
            deleted: from.u64()?,
            moved: from.u64()?,
            expired: from.u64()?,
            purged: from.u64()?,
        }),
    };
    Some(Definition {
        number,
        creation_id,
        name,
        created_ms,
        modified_ms,
        purged_ms: purged.then_some(purged_ms),
        attributes,
        tags,
        counters,
    })
}

pub(super) fn decode_attributes(from: &mut Decoder<'_>) -> Option<QueueAttributes> {
    let mut attributes = QueueAttributes {
        visibility_timeout_s: from.u32()?,
        delay_s: from.u32()?,
        receive_wait_s: from.u32()?,
        retention_s: from.u32()?,
        message_bytes_max: from.u32()?,
        redrive: None,
    };
    let dead_letter_queue = from.option()?.map(String::from);
    let receive_count_max = from.u32()?;
    attributes.redrive =
        dead_letter_queue.map(|dead_letter_queue| Redrive { dead_letter_queue, receive_count_max });
    Some(attributes)
}

pub(super) fn decode_tags(from: &mut Decoder<'_>) -> Option<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    for _ in 0..from.u32()? {
        tags.insert(from.text()?.to_string(), from.text()?.to_string());
    }
    Some(tags)
}
