//! By what a file is known again: device, inode and its first bytes.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use event::ShardId;
use xxhash_rust::xxh3::xxh3_128;

/// Bytes at the start, and before the settled offset, by which a file is known again.
pub(super) const SAMPLE_BYTES: usize = 4096;

/// A file, as far as it can be told from others.
///
/// An inode is given to a new file once the old one is deleted; then the hash of the first bytes
/// tells the two apart. Two files on one inode, one after the other, that begin alike are told
/// apart only by the bytes before the settled offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// min([`SAMPLE_BYTES`], the file's length when it was first read).
    pub(super) head_len: u32,
    /// Of that many first bytes, as stored.
    pub(super) head_hash: u128,
}

impl Identity {
    /// Of a file that is read for the first time.
    pub(super) fn of(meta: &Metadata, head: &[u8]) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            head_len: head.len() as u32,
            head_hash: xxh3_128(head),
        }
    }

    /// The text before which all shards of this device and inode come.
    pub(super) fn prefix(meta: &Metadata) -> String {
        format!("file:{:x}:{:x}:", meta.dev(), meta.ino())
    }

    /// The shard's text. `reread` is 1 the first time.
    pub(super) fn shard(&self, reread: u32) -> ShardId {
        let Self { device, inode, head_len, head_hash } = self;
        let text = format!("file:{device:x}:{inode:x}:{head_len}:{head_hash:032x}");
        if reread > 1 { format!("{text}#{reread}").into() } else { text.into() }
    }

    /// Out of the shard's text, with the count of rereads.
    pub(super) fn parse(shard: &str) -> Option<(Self, u32)> {
        let (text, reread) = match shard.split_once('#') {
            Some((text, reread)) => (text, reread.parse().ok()?),
            None => (shard, 1),
        };
        let mut fields = text.strip_prefix("file:")?.split(':');
        let identity = Self {
            device: u64::from_str_radix(fields.next()?, 16).ok()?,
            inode: u64::from_str_radix(fields.next()?, 16).ok()?,
            head_len: fields.next()?.parse().ok()?,
            head_hash: u128::from_str_radix(fields.next()?, 16).ok()?,
        };
        fields.next().is_none().then_some((identity, reread))
    }

    /// Whether a file that begins with `head` begins as this one did.
    pub(super) fn begins_as(&self, head: &[u8]) -> bool {
        head.get(..self.head_len as usize).is_some_and(|head| xxh3_128(head) == self.head_hash)
    }
}

/// The first bytes of a file, as stored.
pub(super) fn head_of(file: &File) -> io::Result<Vec<u8>> {
    read_at(file, 0, SAMPLE_BYTES)
}

/// The last [`SAMPLE_BYTES`] before `end`, as stored.
pub(super) fn stored_tail(file: &File, end: u64) -> io::Result<Vec<u8>> {
    let len = end.min(SAMPLE_BYTES as u64);
    read_at(file, end - len, len as usize)
}

fn read_at(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

/// The last bytes that were read of a file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let (_, new) = bytes.split_at(bytes.len().saturating_sub(SAMPLE_BYTES));
        let kept = SAMPLE_BYTES - new.len();
        let gone = self.0.len().saturating_sub(kept);
        self.0.drain(..gone);
        self.0.extend_from_slice(new);
    }

    pub(super) fn hash(&self) -> u128 {
        xxh3_128(&self.0)
    }

    /// Whether the last line was read without its newline.
    pub(super) fn ends_inside_a_line(&self) -> bool {
        self.0.last().is_some_and(|byte| *byte != b'\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_read_back() {
        let identity = Identity { device: 0xfe01, inode: 77, head_len: 12, head_hash: 1 << 90 };
        for reread in [1, 2, 30] {
            let shard = identity.shard(reread);
            assert_eq!(Identity::parse(&shard), Some((identity, reread)));
        }
        for other in ["stdin", "file:1:2:3", "file:1:2:3:4:5", "file:x:2:3:4", "file:1:2:3:4#x"] {
            assert_eq!(Identity::parse(other), None);
        }
    }

    #[test]
    fn a_tail_is_the_same_however_it_was_read() {
        let bytes: Vec<u8> = (0..20_000_u32).map(|i| ((i * i) >> 3) as u8).collect();
        for piece in [1, 7, 4095, 4096, 4097, 20_000] {
            let mut tail = Tail::default();
            bytes.chunks(piece).for_each(|chunk| tail.push(chunk));
            assert_eq!(tail.0, &bytes[20_000 - SAMPLE_BYTES..], "pieces of {piece}");
        }
    }
}
