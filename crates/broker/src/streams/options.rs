//! Limits of all streams together.

use std::time::Duration;

/// Limits of all streams together.
#[derive(Clone, Debug)]
pub struct StreamsOptions {
    /// Shards of all streams at most.
    pub shards_max: usize,
    /// Length of a journal segment, bytes: space is given back in such pieces.
    pub segment_bytes: u64,
    /// Partition key and data of one record together, bytes. The service takes 1 MiB, and up to
    /// 10 MiB where it is told to.
    pub record_bytes_max: usize,
    /// Producers that one stream remembers for [`super::Stream::put_once`].
    pub producers_max: usize,
    /// How often space is given back without anyone putting.
    pub trim_interval: Duration,
}

impl Default for StreamsOptions {
    fn default() -> Self {
        Self {
            shards_max: 1_000,
            segment_bytes: 64 << 20,
            record_bytes_max: 1 << 20,
            producers_max: 1_024,
            trim_interval: Duration::from_secs(30),
        }
    }
}
