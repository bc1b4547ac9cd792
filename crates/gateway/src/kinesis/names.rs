//! Names of streams and shards, and ARNs.

use super::error::{Kind, KinesisError};
use crate::options::GatewayOptions;

const NAME_PATTERN: &str = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
const SHARD_PREFIX: &str = "shardId-";

/// The ARN of a stream.
pub(super) fn arn(options: &GatewayOptions, name: &str) -> String {
    format!("arn:aws:kinesis:{}:{}:stream/{name}", options.region, options.account)
}

/// The stream that an ARN names; region and account must be these.
pub(super) fn of_arn<'a>(options: &GatewayOptions, arn: &'a str) -> Result<&'a str, KinesisError> {
    let mut parts = arn.splitn(6, ':');
    let head: Vec<_> = parts.by_ref().take(5).collect();
    let name = parts.next().and_then(|rest| rest.strip_prefix("stream/"));
    match (head.as_slice(), name) {
        (["arn", "aws", "kinesis", region, account], Some(name)) => {
            check(name)?;
            if *region == options.region && *account == options.account {
                return Ok(name);
            }
            let message = format!("Stream {name} under account {account} in {region} not found.");
            Err(KinesisError::new(Kind::ResourceNotFound, message))
        }
        _ => Err(KinesisError::constraint(
            arn,
            "streamARN",
            "Member must satisfy regular expression pattern: \
             arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+",
        )),
    }
}

/// Whether a stream may have this name: 1 to 128 letters, digits, `_`, `.`, `-`.
pub(super) fn check(name: &str) -> Result<(), KinesisError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if name.is_empty() || !name.bytes().all(good) {
        return Err(KinesisError::constraint(name, "streamName", NAME_PATTERN));
    }
    if name.len() > 128 {
        let what = "Member must have length less than or equal to 128";
        return Err(KinesisError::constraint(name, "streamName", what));
    }
    Ok(())
}

/// A shard's id, shown.
pub(super) struct ShardId(pub(super) u32);

impl std::fmt::Display for ShardId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{SHARD_PREFIX}{:012}", self.0)
    }
}

/// The number of the shard with this id.
pub(super) fn of_shard(id: &str) -> Option<u32> {
    let digits = id.strip_prefix(SHARD_PREFIX)?;
    let all_digits = digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits { digits.parse().ok() } else { None }
}
