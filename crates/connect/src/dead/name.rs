//! How a letter's file is called: `consumer/year/month/day/hour/partition-key/timestamp-id.json`.
//!
//! Year to hour are UTC, of the time of death. Consumer and partition key are percent-encoded, so
//! that any text is one folder, and bounded; an event without a partition key lies in `-`. A
//! letter that was replayed is called `timestamp-id.done.json`.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use xxhash_rust::xxh3::xxh3_64;

use super::id::{parse_id, show_id};
use super::letter::Letter;

/// Longest name of a folder, bytes.
pub const PART_BYTES_MAX: usize = 120;
/// Ending of a letter.
pub const LETTER: &str = ".json";
/// Ending of a letter that was replayed.
pub const DONE: &str = ".done.json";
/// The folder of the store's own files.
pub const OWN: &str = "_onceflow";
/// The folder of events without a partition key.
const NO_PARTITION: &str = "-";
/// Hexadecimal digits of the hash that stands for what was cut, and the `~` before them.
const CUT_BYTES: usize = 17;
/// Years that have a folder.
const MS: std::ops::RangeInclusive<i64> = 0..=253_370_764_799_999;
const STAMP: &str = "%Y%m%dT%H%M%S%.3fZ";

/// A letter's name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LetterName {
    /// Folder of the consumer: [`part`] of the pipe's name.
    pub consumer: String,
    /// When it died; ms since the Unix epoch.
    pub died_ms: i64,
    /// Folder of the partition key.
    pub partition: String,
    /// The letter's id.
    pub id: u128,
    /// Whether it was replayed.
    pub done: bool,
}

impl LetterName {
    /// The name of a letter.
    #[must_use]
    pub fn of(letter: &Letter) -> Self {
        Self {
            consumer: part(letter.pipe.as_bytes()),
            died_ms: letter.died_ms.clamp(*MS.start(), *MS.end()),
            partition: partition(letter.partition_key.as_deref()),
            id: letter.id,
            done: false,
        }
    }

    /// Its folder, relative to the store.
    #[must_use]
    pub fn folder(&self) -> String {
        let hour = zoned(self.died_ms).strftime("%Y/%m/%d/%H").to_string();
        format!("{}/{hour}/{}", self.consumer, self.partition)
    }

    /// The name within its folder.
    #[must_use]
    pub fn file(&self) -> String {
        let stamp = zoned(self.died_ms).strftime(STAMP).to_string();
        let ending = if self.done { DONE } else { LETTER };
        format!("{stamp}-{}{ending}", show_id(self.id))
    }

    /// Its path, relative to the store, with `/` between the folders.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.folder(), self.file())
    }

    /// Takes a relative path apart; `None` when no letter is called so.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let mut parts = path.split('/');
        let consumer = parts.next()?;
        let mut hour = [""; 4];
        for place in &mut hour {
            *place = parts.next()?;
        }
        let (partition, file) = (parts.next()?, parts.next()?);
        let (died_ms, id, done) = parse_file(file)?;
        let (consumer, partition) = (consumer.to_owned(), partition.to_owned());
        let name = Self { consumer, died_ms, partition, id, done };
        (parts.next().is_none() && name.path() == path).then_some(name)
    }
}

/// Time of death, id and whether it was replayed, out of a file's name.
pub(super) fn parse_file(file: &str) -> Option<(i64, u128, bool)> {
    let (stem, done) = match file.strip_suffix(DONE) {
        Some(stem) => (stem, true),
        None => (file.strip_suffix(LETTER)?, false),
    };
    let (stamp, id) = stem.split_once('-')?;
    let time = jiff::civil::DateTime::strptime(STAMP, stamp).ok()?;
    let died_ms = time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond();
    Some((died_ms, parse_id(id)?, done))
}

/// Time as the folders count it.
pub(super) fn zoned(ms: i64) -> jiff::Zoned {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC)
}

/// The folder of a partition key.
#[must_use]
pub fn partition(key: Option<&[u8]>) -> String {
    key.filter(|key| !key.is_empty()).map_or_else(|| NO_PARTITION.to_owned(), part)
}

/// Any bytes as one name of a folder. Letters, digits and `-_.` stay, but for a name that would
/// mean something else (`.`, `..`, `-`, one that begins with `_`); every other byte is `%` and two
/// hexadecimal digits. A longer one than [`PART_BYTES_MAX`] is cut and ends with `~` and a hash.
#[must_use]
pub fn part(text: &[u8]) -> String {
    let means_else = matches!(text, b"." | b".." | b"-" | b"") || text.first() == Some(&b'_');
    let mut out = String::with_capacity(text.len().min(PART_BYTES_MAX) + 2);
    for (at, byte) in text.iter().enumerate() {
        let stays = byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        let piece_bytes = if stays && !(means_else && at == 0) { 1 } else { 3 };
        if out.len() + piece_bytes > PART_BYTES_MAX {
            return cut(out, text);
        }
        if piece_bytes == 1 {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    if out.is_empty() { "%".into() } else { out }
}

fn cut(mut out: String, text: &[u8]) -> String {
    let mut end = out.len().min(PART_BYTES_MAX - CUT_BYTES);
    // Not in the middle of a `%XX`.
    if let Some(percent) = out.get(end.saturating_sub(2)..end).and_then(|tail| tail.find('%')) {
        end = end - 2 + percent;
    }
    out.truncate(end);
    out.push_str(&format!("~{:016x}", xxh3_64(text)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_one_short_folder_and_no_two_are_the_same() {
        let long = |last: u8| [vec![b'x'; 300], vec![last]].concat();
        let all: Vec<Vec<u8>> = vec![
            b"user-17".to_vec(),
            b".".to_vec(),
            b"..".to_vec(),
            b"-".to_vec(),
            b"_onceflow".to_vec(),
            b"a/b".to_vec(),
            b"a%2Fb".to_vec(),
            b"a b".to_vec(),
            b"\0".to_vec(),
            b"".to_vec(),
            "\u{fc}".as_bytes().to_vec(),
            b"\xff\xfe".to_vec(),
            long(b'1'),
            long(b'2'),
            vec![b'/'; 39],
            vec![b'/'; 40],
            vec![b'/'; 41],
            vec![b'x'; PART_BYTES_MAX],
            vec![b'x'; PART_BYTES_MAX + 1],
        ];
        let mut seen = std::collections::BTreeSet::new();
        for text in &all {
            let name = part(text);
            assert!((1..=PART_BYTES_MAX).contains(&name.len()), "{name}");
            assert!(!name.contains('/') && !matches!(name.as_str(), "." | ".." | "-"), "{name}");
            assert!(!name.starts_with('_'), "{name}");
            assert!(seen.insert(name.clone()), "{name}");
        }
        assert_eq!(part(b"user-17"), "user-17");
        assert_eq!(part(b".."), "%2E.");
        assert_eq!(part("\u{fc}/".as_bytes()), "%C3%BC%2F");
        // Cut between two encoded bytes, never within one.
        let cut = part(&[b'/'; 100]);
        let (kept, hash) = cut.split_once('~').unwrap();
        assert!(kept.len().is_multiple_of(3) && hash.len() == 16, "{cut}");
        assert_eq!(partition(None), "-");
        assert_eq!(partition(Some(b"-")), "%2D");
    }

    #[test]
    fn names_are_read_back() {
        for died_ms in [0, 1_762_164_303_123, *MS.end()] {
            for done in [false, true] {
                let name = LetterName {
                    consumer: "app".into(),
                    died_ms,
                    partition: part(b"user 17"),
                    id: 7 << 90,
                    done,
                };
                assert_eq!(LetterName::parse(&name.path()), Some(name.clone()), "{}", name.path());
            }
        }
        let name = LetterName {
            consumer: "app".into(),
            died_ms: 1_762_164_303_123,
            partition: "-".into(),
            id: 0xab,
            done: false,
        };
        let path = "app/2025/11/03/10/-/20251103T100503.123Z-000000000000000000000000000000ab.json";
        assert_eq!(name.path(), path);
        for bad in [
            "app/2025/11/03/11/-/20251103T100503.123Z-000000000000000000000000000000ab.json",
            "app/2025/11/03/10/-/20251103T100503.123Z-ab.json",
            "2025/11/03/10/-/20251103T100503.123Z-000000000000000000000000000000ab.json",
            "app/2025/11/03/10/-/notes.json",
        ] {
            assert_eq!(LetterName::parse(bad), None, "{bad}");
        }
    }
}
