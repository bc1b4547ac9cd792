//! The limits of a journal.

use super::error::OpenError;
use super::format::{GROUP_HEADER_BYTES, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES};

/// The limits of a journal. They may differ from one open to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// Size to which a segment is preallocated; at least 4 KiB. A record that doesn't fit gets a
    /// segment of its own size. Default 64 MiB.
    pub segment_bytes: u64,
    /// Longest record that is taken; at most 1 GiB. Default 256 MiB.
    pub record_bytes_max: u32,
    /// Bytes of records that may wait for the disk; past them a submit waits for room. One record
    /// is always let in. Default 64 MiB.
    pub queue_bytes_max: u64,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, record_bytes_max: 256 << 20, queue_bytes_max: 64 << 20 }
    }
}

impl JournalConfig {
    /// Smallest size of a segment.
    pub const SEGMENT_BYTES_MIN: u64 = 4096;
    /// Largest value of `record_bytes_max`.
    pub const RECORD_BYTES_MAX: u32 = 1 << 30;

    pub(super) fn check(&self) -> Result<(), OpenError> {
        let refuse = |what: String| Err(OpenError::Config { what });
        if self.segment_bytes < Self::SEGMENT_BYTES_MIN {
            let min = Self::SEGMENT_BYTES_MIN;
            return refuse(format!("segment_bytes is {}, the least is {min}", self.segment_bytes));
        }
        if self.record_bytes_max > Self::RECORD_BYTES_MAX {
            let max = Self::RECORD_BYTES_MAX;
            return refuse(format!(
                "record_bytes_max is {}, the most is {max}",
                self.record_bytes_max
            ));
        }
        Ok(())
    }

    /// Bytes of a segment that holds a single group with a single record of `bytes`.
    pub(super) fn segment_bytes_for(bytes: u64) -> u64 {
        let all = SEGMENT_HEADER_BYTES + 2 * GROUP_HEADER_BYTES + RECORD_HEADER_BYTES + bytes;
        all.next_multiple_of(Self::SEGMENT_BYTES_MIN)
    }
}
