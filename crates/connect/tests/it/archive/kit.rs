//! An archive on a simulated disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use connect::archive::read::{Archive, Archived, Range};
use connect::{ArchiveOptions, ArchiveSink};
use event::sink::{Publisher, Rows, Sink, SinkState, StagedOutput};
use event::{Batch, BatchNumber, TestClock};
use journal::{Disk, SimDisk};

use crate::fake_ledger::{TestEvent, batch, identity};

pub const ROOT: &str = "/data/archive/my-pipe";
pub const START: i64 = 1_762_164_000_000; // 2025-11-03T10:00:00Z
pub const HOUR: i64 = 3_600_000;
pub const PIPE: &str = "my-pipe";

pub fn options() -> ArchiveOptions {
    ArchiveOptions {
        root: PathBuf::from(ROOT),
        source: "file:test".into(),
        retention: None,
        file_bytes_max: 256 << 20,
        file_age_max: Duration::from_secs(3600),
        level: 1,
    }
}

/// A sink whose batches commit and are published at once.
pub struct World {
    pub disk: SimDisk,
    pub clock: TestClock,
    pub sink: ArchiveSink,
    publisher: Box<dyn Publisher>,
    number: u64,
}

impl World {
    pub fn new(options: ArchiveOptions) -> Self {
        let disk = SimDisk::new(1);
        Self::on(disk, options, 2)
    }

    pub fn on(disk: SimDisk, options: ArchiveOptions, epoch: u64) -> Self {
        let clock = TestClock::new(START);
        let shared = Arc::new(disk.clone());
        let mut sink = ArchiveSink::new(options, identity(epoch), shared, Arc::new(clock.clone()));
        assert!(sink.open(&SinkState::default()).unwrap().is_empty());
        let publisher = sink.publisher();
        Self { disk, clock, sink, publisher, number: 0 }
    }

    pub fn stage(&mut self, batch: &Batch, now_ms: i64) -> StagedOutput {
        self.number += 1;
        let all: Vec<u32> = (0..batch.events.len() as u32).collect();
        let number = BatchNumber(self.number);
        let staged = self.sink.stage(&Rows { batch, number, events: &all, now_ms }).unwrap();
        self.commit(staged)
    }

    pub fn finish(&mut self, now_ms: i64, all: bool) -> StagedOutput {
        self.number += 1;
        let staged = self.sink.finish(BatchNumber(self.number), now_ms, all).unwrap();
        self.commit(staged)
    }

    fn commit(&mut self, staged: event::sink::Staged) -> StagedOutput {
        for pending in staged.pending {
            pending().unwrap();
        }
        self.publisher.publish(BatchNumber(self.number), &staged.output).unwrap();
        staged.output
    }

    pub fn stage_events(&mut self, events: &[TestEvent]) -> StagedOutput {
        let now_ms = events.last().map_or(START, |event| event.received_ms);
        self.stage(&batch(events), now_ms)
    }

    /// The paths of its archive files.
    pub fn files(&self) -> Vec<PathBuf> {
        let all = self.disk.files().into_iter().map(|(path, _)| path);
        all.filter(|path| path.to_string_lossy().contains(".archive")).collect()
    }
}

pub fn open(disk: &SimDisk, range: Range) -> Archive {
    Archive::open(Arc::new(disk.clone()), Path::new(ROOT), PIPE, range).unwrap()
}

/// All that can be read, and what is damaged, as text.
pub fn read(disk: &SimDisk, range: Range) -> (Vec<Archived>, Vec<String>) {
    let mut reader = open(disk, range).read();
    let events = reader.by_ref().collect();
    (events, reader.damages().iter().map(ToString::to_string).collect())
}

pub fn payloads(events: &[Archived]) -> Vec<String> {
    events.iter().map(|event| String::from_utf8(event.payload.to_vec()).unwrap()).collect()
}

/// Puts `bytes` in the place of a file.
pub fn replace(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    disk.unlink(path).unwrap();
    disk.create_new(path).unwrap().write_at(0, bytes).unwrap();
}
