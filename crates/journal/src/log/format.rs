//! What stands on disk (docs/formats/journal.md).

/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER_BYTES: u64 = 64;
/// Bytes of a group's header.
pub(super) const GROUP_HEADER_BYTES: u64 = 40;
/// Bytes of a record's header.
pub(super) const RECORD_HEADER_BYTES: u64 = 8;
