//! What a file source wants back from the ledger: enough to know the file again, and how far it
//! was read. Goes to disk: a new layout needs a new version.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

const VERSION: u8 = 1;
const FLAG_AT_END: u8 = 1;
/// Lengths of which a mark holds a hash, so that a file which is shorter than its head was can
/// still be told from another one.
const PREFIXES: [usize; 4] = [16, 64, 256, 1024];

/// The state of a file at the end of an extent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Where the file lay then; for messages.
    pub(super) path: PathBuf,
    /// Hashes of its first 16, 64, 256 and 1,024 bytes as stored; 0 where it was shorter.
    pub(super) prefixes: [u64; 4],
    /// Its time of birth, ns since the Unix epoch; 0 where the file system knows none.
    pub(super) created_ns: u64,
    /// Whether the extent ends where the content did.
    pub(super) at_end: bool,
    /// With `at_end`: the file's length as stored.
    pub(super) stored_len: u64,
    /// With `at_end`: hash of its last 4 KiB as stored.
    pub(super) stored_tail: u128,
    /// Hash of the last 4 KiB of content before the extent's end.
    pub(super) tail: u128,
}

/// The hashes of [`Mark::prefixes`].
pub(super) fn prefixes_of(head: &[u8]) -> [u64; 4] {
    PREFIXES.map(|len| head.get(..len).map_or(0, xxh3_64))
}

impl Mark {
    /// Whether a file that begins with `head` certainly begins in another way.
    pub(super) fn begins_otherwise(&self, head: &[u8]) -> bool {
        let now = prefixes_of(head);
        let known = self.prefixes.iter().zip(now).filter(|(then, now)| **then != 0 && *now != 0);
        known.into_iter().any(|(then, now)| *then != now)
    }

    /// For the ledger.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, if self.at_end { FLAG_AT_END } else { 0 }];
        self.prefixes.iter().for_each(|hash| bytes.extend(hash.to_le_bytes()));
        bytes.extend(self.created_ns.to_le_bytes());
        bytes.extend(self.stored_len.to_le_bytes());
        bytes.extend(self.stored_tail.to_le_bytes());
        bytes.extend(self.tail.to_le_bytes());
        bytes.extend(self.path.as_os_str().as_bytes());
        bytes
    }

    /// Out of the ledger; `None` for what this version doesn't know.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[version, flags], mut rest) = bytes.split_first_chunk()?;
        if version != VERSION || flags & !FLAG_AT_END != 0 {
            return None;
        }
        let mut prefixes = [0; 4];
        for prefix in &mut prefixes {
            *prefix = u64::from_le_bytes(take(&mut rest)?);
        }
        Some(Self {
            prefixes,
            created_ns: u64::from_le_bytes(take(&mut rest)?),
            at_end: flags & FLAG_AT_END != 0,
            stored_len: u64::from_le_bytes(take(&mut rest)?),
            stored_tail: u128::from_le_bytes(take(&mut rest)?),
            tail: u128::from_le_bytes(take(&mut rest)?),
            path: Path::new(OsStr::from_bytes(rest)).to_path_buf(),
        })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (front, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*front)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(at_end: bool) -> Mark {
        Mark {
            path: PathBuf::from(OsStr::from_bytes(b"/data/\xff.ndjson")),
            prefixes: prefixes_of(&[7; 300]),
            created_ns: 12,
            at_end,
            stored_len: 1 << 40,
            stored_tail: 5,
            tail: u128::MAX - 3,
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for at_end in [false, true] {
            let mark = mark(at_end);
            assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        }
        let bytes = mark(true).encode();
        assert_eq!(Mark::decode(&bytes[..40]), None);
        assert_eq!(Mark::decode(&[&[2], &bytes[1..]].concat()), None);
    }

    /// Frozen: bytes of version 1 must be understood for ever.
    #[test]
    fn a_mark_of_version_1_is_decoded() {
        let mut bytes = vec![1, 1];
        bytes.extend([0; 32]);
        bytes.extend([9, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([10, 1, 0, 0, 0, 0, 0, 0]);
        bytes.extend([3; 16]);
        bytes.extend([4; 16]);
        bytes.extend(b"/a/b");
        let mark = Mark::decode(&bytes).unwrap();
        assert_eq!((mark.created_ns, mark.stored_len, mark.at_end), (9, 266, true));
        assert_eq!(
            (mark.stored_tail, mark.tail),
            (
                0x0303 * 0x1_0001_0001_0001_0001_0001_0001_0001,
                0x0404 * 0x1_0001_0001_0001_0001_0001_0001_0001
            )
        );
        assert_eq!(mark.path, Path::new("/a/b"));
    }

    #[test]
    fn a_shorter_file_is_told_from_another_one() {
        let mark = mark(false);
        assert!(!mark.begins_otherwise(&[7; 100]));
        assert!(mark.begins_otherwise(&[8; 100]));
        assert!(!mark.begins_otherwise(&[8; 15]), "too short to tell");
    }
}
