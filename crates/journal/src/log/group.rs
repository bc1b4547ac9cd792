//! Puts a group together, so that it is written in one go.

use std::io::{self, IoSlice};

use crc32c::crc32c_append;

use super::format::{
    GROUP_HEADER_BYTES, GroupHeader, RECORD_HEADER_BYTES, RecordHeader, group_bytes,
};
use super::queue::Queued;
use crate::disk::DiskFile;

/// Records from this size on are written from where they are, smaller ones are copied together.
const COPIED_BYTES_MAX: usize = 16 << 10;
/// Most memory that is kept for the next group.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// Where a group stands and what it goes on from.
pub(super) struct Place {
    pub(super) seed: u32,
    pub(super) offset: u64,
    pub(super) position: u64,
    pub(super) synced_through: u64,
    pub(super) prev_checksum: u32,
}

/// What became of a group.
pub(super) struct Written {
    pub(super) checksum: u32,
    /// With its padding.
    pub(super) bytes: u64,
}

/// Writes groups; holds the memory for it.
#[derive(Default)]
pub(super) struct GroupWriter {
    /// Header, record headers and small records, one after the other.
    copied: Vec<u8>,
    /// After how many of the copied bytes which record comes in.
    large: Vec<(usize, usize)>,
}

impl GroupWriter {
    /// Writes the records as one group, without a sync.
    pub(super) fn write<'a>(
        &mut self,
        file: &dyn DiskFile,
        place: &Place,
        records: impl ExactSizeIterator<Item = &'a Queued> + Clone,
    ) -> io::Result<Written> {
        let (mut payload_bytes, mut payload_crc) = (0, 0);
        let count = records.len();
        self.copied.resize(GROUP_HEADER_BYTES as usize, 0);
        for (index, queued) in records.clone().enumerate() {
            let position = place.position + GROUP_HEADER_BYTES + payload_bytes;
            let bytes = queued.record.len();
            let last = index + 1 == count;
            let header = RecordHeader::new(bytes as u32, last, queued.crc, position).encode();
            payload_crc = crc32c_append(payload_crc, &header);
            payload_bytes += RECORD_HEADER_BYTES + bytes as u64;
            self.copied.extend_from_slice(&header);
            if bytes > COPIED_BYTES_MAX {
                self.large.push((self.copied.len(), index));
            } else {
                self.copied.extend_from_slice(&queued.record);
            }
        }
        let header = GroupHeader {
            payload_bytes: payload_bytes as u32,
            records: count as u32,
            position: place.position,
            synced_through: place.synced_through,
            prev_checksum: place.prev_checksum,
            payload_crc,
        };
        let (header, checksum) = header.encode(place.seed, place.offset);
        if let Some(front) = self.copied.get_mut(..header.len()) {
            front.copy_from_slice(&header);
        }
        let bytes = group_bytes(payload_bytes);
        let padding = bytes - GROUP_HEADER_BYTES - payload_bytes;
        self.copied.resize(self.copied.len() + padding as usize, 0);
        let outcome = self.write_parts(file, place.offset, records);
        self.copied.clear();
        self.copied.shrink_to(KEPT_BYTES_MAX);
        self.large.clear();
        outcome.map(|()| Written { checksum, bytes })
    }

    fn write_parts<'a>(
        &self,
        file: &dyn DiskFile,
        offset: u64,
        records: impl Iterator<Item = &'a Queued>,
    ) -> io::Result<()> {
        if self.large.is_empty() {
            return file.write_at(offset, &self.copied);
        }
        let mut parts = Vec::with_capacity(2 * self.large.len() + 1);
        let mut large = self.large.iter().peekable();
        let mut from = 0;
        for (index, queued) in records.enumerate() {
            if let Some((to, _)) = large.next_if(|(_, at)| *at == index) {
                parts.push(IoSlice::new(self.copied.get(from..*to).unwrap_or_default()));
                parts.push(IoSlice::new(&queued.record));
                from = *to;
            }
        }
        parts.push(IoSlice::new(self.copied.get(from..).unwrap_or_default()));
        file.write_vectored_at(offset, &parts)
    }
}
