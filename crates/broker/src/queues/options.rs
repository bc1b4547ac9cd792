//! Limits of all queues together.

/// Limits of all queues together.
#[derive(Clone, Debug)]
pub struct QueuesOptions {
    /// Queues at most.
    pub queues_max: usize,
    /// Bytes of recent messages that are kept in memory, so that a receive needs no read.
    pub recent_bytes_max: usize,
    /// Length of a journal segment, bytes: space is given back in such pieces.
    pub segment_bytes: u64,
    /// Messages of all queues at most; each takes about 130 bytes of memory.
    pub messages_max: usize,
}

impl Default for QueuesOptions {
    fn default() -> Self {
        Self {
            queues_max: 10_000,
            recent_bytes_max: 8 << 20,
            segment_bytes: 16 << 20,
            messages_max: 10_000_000,
        }
    }
}
