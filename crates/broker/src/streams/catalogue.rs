//! Which streams there are, with their settings: a small journal of its own
//! (docs/formats/streams.md). A stream exists once its record is durable here, and no longer once
//! the record of its delete is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::{Disk, Journal, JournalConfig, OpenError};

use super::core::append_failed;
use crate::error::BrokerError;

const VERSION: u8 = 1;
const KIND_STREAM: u8 = 1;
const KIND_DELETED: u8 = 2;
/// Nothing before this record counts.
const KIND_ALL: u8 = 3;
/// Length of the catalogue's segments, bytes, unless those of the streams are shorter.
const SEGMENT_BYTES: u64 = 256 << 10;
/// Records after which the catalogue is written anew, if most of them are out of date.
const RECORDS_MAX: usize = 1_000;
const TAGS_MAX: usize = 50;

/// A stream in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: u128,
    pub(super) name: String,
    pub(super) shards: u32,
    pub(super) created_ms: i64,
    pub(super) settings: Settings,
}

/// What can be changed of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) retention_h: u32,
    /// What arrived before is gone for good, whatever the retention is now. Ms since the Unix epoch.
    pub(super) gone_before_ms: i64,
    pub(super) tags: BTreeMap<String, String>,
}

pub(super) struct Catalogue {
    journal: Option<Journal>,
    entries: BTreeMap<u128, Entry>,
    /// Records in the journal since it was written anew.
    records: usize,
}

/// As the service has it: at most 50 tags, keys of 1 to 128 characters, values of 0 to 256.
pub(super) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), BrokerError> {
    let invalid = |what: String| Err(BrokerError::Invalid { what });
    if tags.len() > TAGS_MAX {
        return invalid(format!("there are {} tags, there may be {TAGS_MAX}", tags.len()));
    }
    for (key, value) in tags {
        if !(1..=128).contains(&key.chars().count()) || value.chars().count() > 256 {
            return invalid(format!(
                "the key of a tag may have 1 to 128 characters and its value 256: `{key}`"
            ));
        }
    }
    Ok(())
}

impl Catalogue {
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        segment_bytes: u64,
    ) -> Result<Self, BrokerError> {
        let (mut entries, mut records) = (BTreeMap::new(), 0);
        let config = JournalConfig {
            segment_bytes: segment_bytes.min(SEGMENT_BYTES),
            ..JournalConfig::default()
        };
        let journal = Journal::open(disk, dir, config, &mut |_, bytes| {
            records += 1;
            let newer = bytes.first().filter(|version| **version > VERSION);
            replay(&mut entries, bytes).ok_or_else(|| match newer {
                Some(version) => format!(
                    "it has format version {version}, this program reads up to {VERSION}; use the \
                     newer program"
                )
                .into(),
                None => "it is not one of a catalogue of streams".into(),
            })
        });
        let journal = journal.map_err(open_failed)?;
        let mut catalogue = Self { journal: Some(journal), entries, records };
        catalogue.write_anew_if_due();
        Ok(catalogue)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Makes a stream or changes it; durable when it returns.
    pub(super) fn put(&mut self, entry: Entry) -> Result<(), BrokerError> {
        self.append(stream_record(&entry))?;
        self.entries.insert(entry.id, entry);
        self.write_anew_if_due();
        Ok(())
    }

    /// Removes a stream; durable when it returns.
    pub(super) fn remove(&mut self, id: u128) -> Result<(), BrokerError> {
        self.append(deleted_record(id))?;
        self.entries.remove(&id);
        self.write_anew_if_due();
        Ok(())
    }

    pub(super) fn close(&mut self) -> Result<(), BrokerError> {
        self.journal.take().map_or(Ok(()), |journal| journal.close().map_err(append_failed))
    }

    fn append(&mut self, bytes: Vec<u8>) -> Result<(), BrokerError> {
        let Some(journal) = &self.journal else {
            return Err(BrokerError::Stopped { cause: "the broker was closed".into() });
        };
        journal.append(bytes).map_err(append_failed)?;
        self.records += 1;
        Ok(())
    }

    /// Writes all entries into one record and drops what came before. What goes wrong here costs
    /// space only; a failed sync shows at the next append.
    fn write_anew_if_due(&mut self) {
        let Some(journal) = &self.journal else { return };
        if self.records < RECORDS_MAX + 2 * self.entries.len() {
            return;
        }
        let all = all_record(&self.entries);
        let written = journal.append(all).and_then(|position| journal.drop_before(position));
        match written {
            Ok(()) => self.records = 1,
            Err(error) => tracing::warn!(%error, "the catalogue of streams was not written anew"),
        }
    }
}

fn stream_record(entry: &Entry) -> Vec<u8> {
    let mut bytes = vec![VERSION, KIND_STREAM];
    entry.encode(&mut bytes);
    bytes
}

fn deleted_record(id: u128) -> Vec<u8> {
    let mut bytes = vec![VERSION, KIND_DELETED];
    bytes.extend(id.to_le_bytes());
    bytes
}

fn all_record(entries: &BTreeMap<u128, Entry>) -> Vec<u8> {
    let mut bytes = vec![VERSION, KIND_ALL];
    bytes.extend((entries.len() as u32).to_le_bytes());
    entries.values().for_each(|entry| entry.encode(&mut bytes));
    bytes
}

/// Takes a record of the catalogue; `None` if it isn't one.
fn replay(entries: &mut BTreeMap<u128, Entry>, bytes: &[u8]) -> Option<()> {
    let (head, rest) = bytes.split_first_chunk()?;
    let mut from = Decoder(rest);
    match *head {
        [VERSION, KIND_STREAM] => {
            let entry = Entry::decode(&mut from)?;
            entries.insert(entry.id, entry);
        }
        [VERSION, KIND_DELETED] => {
            entries.remove(&u128::from_le_bytes(from.array()?));
        }
        [VERSION, KIND_ALL] => {
            entries.clear();
            for _ in 0..u32::from_le_bytes(from.array()?) {
                let entry = Entry::decode(&mut from)?;
                entries.insert(entry.id, entry);
            }
        }
        _ => return None,
    }
    from.0.is_empty().then_some(())
}

impl Entry {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.id.to_le_bytes());
        bytes.extend(self.shards.to_le_bytes());
        bytes.extend(self.created_ms.to_le_bytes());
        bytes.extend(self.settings.retention_h.to_le_bytes());
        bytes.extend(self.settings.gone_before_ms.to_le_bytes());
        text(bytes, &self.name);
        bytes.extend((self.settings.tags.len() as u16).to_le_bytes());
        for (key, value) in &self.settings.tags {
            text(bytes, key);
            text(bytes, value);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Option<Self> {
        let id = u128::from_le_bytes(from.array()?);
        let shards = u32::from_le_bytes(from.array()?);
        let created_ms = i64::from_le_bytes(from.array()?);
        let retention_h = u32::from_le_bytes(from.array()?);
        let gone_before_ms = i64::from_le_bytes(from.array()?);
        let name = from.text()?;
        let mut tags = BTreeMap::new();
        for _ in 0..u16::from_le_bytes(from.array()?) {
            let key = from.text()?;
            tags.insert(key, from.text()?);
        }
        let settings = Settings { retention_h, gone_before_ms, tags };
        Some(Self { id, name, shards, created_ms, settings })
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
}

struct Decoder<'a>(&'a [u8]);

impl Decoder<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn text(&mut self) -> Option<String> {
        let bytes = u16::from_le_bytes(self.array()?);
        let (text, rest) = self.0.split_at_checked(bytes.into())?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}

/// What a journal that can't be opened means.
pub(super) fn open_failed(error: OpenError) -> BrokerError {
    match error {
        OpenError::Io { what, path, source } => BrokerError::io(what, &path, source),
        other => BrokerError::Unreadable { what: other.to_string() },
    }
}

/// The folder of a stream.
pub(super) fn stream_dir(dir: &Path, id: u128) -> PathBuf {
    dir.join(format!("{id:032x}"))
}

#[cfg(test)]
mod tests {
    use journal::SimDisk;

    use super::*;

    fn entry(id: u128) -> Entry {
        let tags = [("team".to_owned(), "\u{e4}".to_owned()), ("empty".to_owned(), String::new())];
        Entry {
            id,
            name: "app-events".into(),
            shards: 4,
            created_ms: 1_800_000_000_123,
            settings: Settings { retention_h: 48, gone_before_ms: -5, tags: tags.into() },
        }
    }

    #[test]
    fn the_fixtures_of_version_1_are_what_is_written_today() {
        let two = BTreeMap::from([(1, entry(1)), (2, entry(2))]);
        let stream = include_bytes!("../../tests/fixtures/streams-v1/catalogue-stream");
        let deleted = include_bytes!("../../tests/fixtures/streams-v1/catalogue-deleted");
        let all = include_bytes!("../../tests/fixtures/streams-v1/catalogue-all");
        assert_eq!(stream_record(&entry(1)), stream);
        assert_eq!(deleted_record(3), deleted);
        assert_eq!(all_record(&two), all);
        let mut entries = BTreeMap::from([(3, entry(3))]);
        for record in [stream.as_slice(), deleted] {
            replay(&mut entries, record).unwrap();
        }
        assert_eq!(entries, BTreeMap::from([(1, entry(1))]));
        replay(&mut entries, all).unwrap();
        assert_eq!(entries, two);
    }

    #[test]
    fn a_record_that_is_cut_or_too_long_is_refused() {
        let all = all_record(&BTreeMap::from([(1, entry(1)), (2, entry(2))]));
        for bytes in 0..all.len() {
            assert!(replay(&mut BTreeMap::new(), &all[..bytes]).is_none(), "{bytes}");
        }
        assert!(replay(&mut BTreeMap::new(), &[all, vec![0]].concat()).is_none());
    }

    #[test]
    fn p6_the_catalogue_stays_small_however_often_it_changes() {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
        let open = || Catalogue::open(Arc::clone(&disk), Path::new("/c"), 4096).unwrap();
        let mut catalogue = open();
        catalogue.put(entry(1)).unwrap();
        for _ in 0..3_000 {
            catalogue.put(entry(2)).unwrap();
            catalogue.remove(2).unwrap();
        }
        let bytes: u64 = disk.list(Path::new("/c")).unwrap().iter().map(|file| file.bytes).sum();
        assert!(bytes < 1_100 * 130, "{bytes} bytes for one stream");
        drop(catalogue);
        assert_eq!(open().entries, BTreeMap::from([(1, entry(1))]));
    }
}
