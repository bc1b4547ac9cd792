//! What several actions show of a stream.

use broker::streams::{SequenceNumber, Shard, Stream};

use super::error::KinesisError;
use super::names::{self, ShardId};
use super::sequence::LongSequenceNumber;
use crate::options::GatewayOptions;
use crate::wire::{Out, Text};

/// Name, ARN, state, mode and time of creation, as members of an object.
pub(super) fn write_head(out: &mut Out, options: &GatewayOptions, stream: &Stream) {
    out.raw("\"StreamName\":").text(stream.name());
    out.raw(",\"StreamARN\":").text(&names::arn(options, stream.name()));
    out.raw(",\"StreamStatus\":\"ACTIVE\"");
    out.raw(",\"StreamModeDetails\":{\"StreamMode\":\"PROVISIONED\"}");
    out.raw(",\"StreamCreationTimestamp\":").seconds(stream.created_ms());
}

/// Retention and what is always so, as further members.
pub(super) fn write_settings(out: &mut Out, stream: &Stream) {
    out.raw(",\"RetentionPeriodHours\":").show(stream.retention_h());
    out.raw(",\"EnhancedMonitoring\":[{\"ShardLevelMetrics\":[]}],\"EncryptionType\":\"NONE\"");
}

/// `"Shards":[…]`.
pub(super) fn write_shards(out: &mut Out, stream: &Stream, shards: &[Shard]) {
    out.raw("\"Shards\":[").list(shards, |out, shard| {
        out.raw("{\"ShardId\":").quoted(ShardId(shard.number));
        out.raw(",\"HashKeyRange\":{\"StartingHashKey\":").quoted(shard.hash_start);
        out.raw(",\"EndingHashKey\":").quoted(shard.hash_end);
        let first = LongSequenceNumber::new(stream, shard.number, SequenceNumber(0));
        out.raw("},\"SequenceNumberRange\":{\"StartingSequenceNumber\":").quoted(first).raw("}}");
    });
    out.raw("]");
}

/// The shards after `after`, at most `limit`; and whether there are more.
pub(super) fn shards_after(
    stream: &Stream,
    after: Option<&Text<'_>>,
    limit: Option<i64>,
    field: &str,
    default: usize,
) -> Result<(Vec<Shard>, bool), KinesisError> {
    let limit = match limit {
        None => default,
        Some(limit) => usize::try_from(limit)
            .ok()
            .filter(|limit| (1..=10_000).contains(limit))
            .ok_or_else(|| {
                let what = "Member must have value between 1 and 10000, inclusive";
                KinesisError::constraint(limit, field, what)
            })?,
    };
    let from = match after {
        None => 0,
        Some(id) => match names::of_shard(id) {
            Some(number) => u64::from(number) + 1,
            None => {
                let what = "Member must satisfy regular expression pattern: shardId-\\d{12}";
                return Err(KinesisError::constraint(&**id, "exclusiveStartShardId", what));
            }
        },
    };
    let mut shards = stream.shards();
    shards.retain(|shard| u64::from(shard.number) >= from);
    let more = shards.len() > limit;
    shards.truncate(limit);
    Ok((shards, more))
}
