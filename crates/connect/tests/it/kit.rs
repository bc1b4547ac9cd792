//! What the tests of the file source share: a folder, a source, and a ledger of positions.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use connect::{Compression, FilePattern, FileSource, FileSourceOptions};
use event::batch::Batch;
use event::source::{BatchLimits, Received, Source, SourceError, SourceState, Stop};
use event::{Offset, ShardId, TestClock};

pub const NOW: i64 = 1_762_164_000_000;

/// An event as it came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub shard: ShardId,
    pub start: Offset,
    pub end: Offset,
    pub raw: Vec<u8>,
    pub spilled: bool,
}

impl Seen {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }
}

/// Runs of a source over files in one folder; what is settled is remembered from run to run.
pub struct World {
    pub dir: tempfile::TempDir,
    pub state: SourceState,
    pub limits: BatchLimits,
    pub event_bytes_max: usize,
    pub compression: Compression,
    pub reread: bool,
    /// Settle no more than so many batches a run, as a run that is killed.
    pub settle_max: usize,
}

impl World {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            state: SourceState::new(),
            limits: BatchLimits {
                bytes_max: 1 << 20,
                events_max: 65_536,
                interval_max: Duration::from_secs(60),
            },
            event_bytes_max: 1 << 20,
            compression: Compression::Auto,
            reread: false,
            settle_max: usize::MAX,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Appends in place, as a program that logs does.
    pub fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().append(true).open(self.path(name)).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    pub fn options(&self, paths: FilePattern) -> FileSourceOptions {
        FileSourceOptions {
            paths,
            compression: self.compression,
            event_bytes_max: self.event_bytes_max,
            spill_dir: self.path("spill"),
            reread: self.reread,
        }
    }

    pub fn open(&self, paths: FilePattern) -> Result<FileSource, SourceError> {
        FileSource::open(self.options(paths), &self.state, Arc::new(TestClock::new(NOW)))
    }

    /// Reads one file to its end and settles what came.
    pub fn read(&mut self, name: &str) -> Vec<Seen> {
        self.try_read(name).unwrap()
    }

    pub fn try_read(&mut self, name: &str) -> Result<Vec<Seen>, SourceError> {
        let mut source = self.open(FilePattern::Path(self.path(name)))?;
        let (seen, error) = self.drain(&mut source);
        error.map_or(Ok(seen), Err)
    }

    /// Everything that a source gives, and the error that it ends with.
    pub fn drain(&mut self, source: &mut FileSource) -> (Vec<Seen>, Option<SourceError>) {
        let mut seen = Vec::new();
        let mut settled = 0;
        loop {
            match source.receive(&self.limits, &Stop::default()) {
                Ok(Received::Batch(batch)) => {
                    check(&batch, &self.limits);
                    if settled < self.settle_max {
                        self.settle(&batch);
                        settled += 1;
                    }
                    seen.extend(events(&batch));
                }
                Ok(Received::Idle) => {}
                Ok(Received::End) => return (seen, None),
                Err(error) => return (seen, Some(error)),
            }
        }
    }

    pub fn settle(&mut self, batch: &Batch) {
        for extent in &batch.extents {
            let state = self.state.entry(extent.shard.clone()).or_default();
            state.settle(extent.start, extent.end);
            if let Some(mark) = &extent.mark {
                state.mark = Some((extent.end, mark.clone()));
            }
        }
    }

    /// What was settled through of the only shard.
    pub fn settled(&self) -> u64 {
        assert_eq!(self.state.len(), 1, "{:?}", self.state.keys());
        self.state.values().next().unwrap().settled_through.as_u64().unwrap()
    }
}

/// The next batch, however long it takes.
pub fn next_batch(source: &mut FileSource, limits: &BatchLimits) -> Batch {
    loop {
        match source.receive(limits, &Stop::default()).unwrap() {
            Received::Batch(batch) => return batch,
            Received::Idle => {}
            Received::End => panic!("no batch"),
        }
    }
}

/// What every batch must keep to.
fn check(batch: &Batch, limits: &BatchLimits) {
    assert!(!batch.events.is_empty());
    assert!(batch.events.len() <= limits.events_max);
    let bytes: usize = batch.events.iter().map(|event| event.raw.len as usize).sum();
    assert!(bytes <= limits.bytes_max || batch.events.len() == 1, "{bytes} bytes");
    let received: u32 = batch.extents.iter().map(|extent| extent.events_received).sum();
    assert_eq!(received as usize, batch.events.len());
    assert!(batch.extents.iter().all(|extent| extent.received_ms == NOW));
}

/// The events of a batch with their positions, spilled ones read back.
pub fn events(batch: &Batch) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (extent, range) in batch.extent_ranges() {
        let mut last = extent.start;
        for index in range.clone() {
            let (start, end) = batch.position(extent, &range, index);
            assert_eq!(start, last, "events follow one another without a gap");
            assert!(start < end);
            last = end;
            let event = &batch.events[index];
            let (raw, spilled) = match batch.spilled(index) {
                None => (batch.raw(event).to_vec(), false),
                Some(payload) => {
                    assert_eq!(event.raw.len, 0);
                    assert_eq!(range.len(), 1, "an extent of its own");
                    let mut raw = vec![0; payload.len() as usize];
                    let mut done = 0;
                    while done < raw.len() {
                        done += payload.read_at(done as u64, &mut raw[done..]).unwrap();
                    }
                    (raw, true)
                }
            };
            seen.push(Seen { shard: extent.shard.clone(), start, end, raw, spilled });
        }
        assert_eq!(last, extent.end);
    }
    seen
}

pub fn texts(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(Seen::text).collect()
}

/// The message of an error of the kind "not what it was".
pub fn changed(result: Result<Vec<Seen>, SourceError>) -> String {
    match result {
        Err(SourceError::Changed { what, help }) => {
            assert!(!help.is_empty());
            what
        }
        other => panic!("{other:?}"),
    }
}

pub fn file_in(dir: &Path, name: &str) -> FilePattern {
    FilePattern::Path(dir.join(name))
}
