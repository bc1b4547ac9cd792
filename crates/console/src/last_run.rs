//! What the last run noted beside the ledger: where its sinks write, and how it ended.
//!
//! It is a note for reports (`last-run.json` in the data folder). Nothing is decided by it, and a
//! folder without one is as good.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::delivery::{DeliveryNow, SinkNow};
use crate::metrics::NAMES_MAX;
use crate::now::{Now, QueueNow, StreamNow};

/// The note's name in the data folder.
pub const FILE: &str = "last-run.json";
/// The form of the note that this program writes.
pub const VERSION: u32 = 1;
/// How many different warnings and errors a note keeps.
pub const MESSAGES_MAX: usize = 50;

/// One run, as noted at its start and again at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// The note's form.
    pub version: u32,
    /// The program's version.
    pub onceflow_version: String,
    /// The process.
    pub pid: u32,
    /// When it began; ms since the Unix epoch.
    pub started_ms: i64,
    /// When it ended; `None` while it runs, and for ever if it was killed.
    pub ended_ms: Option<i64>,
    /// Its pipes.
    pub pipes: Vec<PipeRun>,
    /// The embedded broker, as it was seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<BrokerRun>,
    /// Warnings that it logged.
    pub warnings: u64,
    /// Errors that it logged.
    pub errors: u64,
    /// The first of them, each once.
    pub messages: Vec<String>,
}

/// The embedded broker, as it was seen at some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerRun {
    /// When; ms since the Unix epoch.
    pub at_ms: i64,
    /// Its queues.
    pub queues: Vec<QueueRun>,
    /// Its streams.
    pub streams: Vec<StreamRun>,
}

/// A queue, as it was seen at some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRun {
    /// Its name.
    pub queue: String,
    /// Messages that could be received.
    pub visible: u64,
    /// Received, neither deleted nor back.
    pub in_flight: u64,
    /// Not yet visible.
    pub delayed: u64,
    /// Age of the oldest message; ms.
    pub oldest_age_ms: i64,
    /// Messages ever sent.
    pub sent: u64,
    /// Messages that the retention removed.
    pub expired: u64,
}

/// A stream, as it was seen at some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRun {
    /// Its name.
    pub stream: String,
    /// Number of its shards.
    pub shards: u64,
    /// Records that were kept.
    pub records: u64,
    /// Age of the oldest record; ms.
    pub oldest_age_ms: i64,
    /// Records ever put.
    pub put: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

impl BrokerRun {
    /// Out of how a program stands; `None` without a broker.
    #[must_use]
    pub fn new(now: &Now) -> Option<BrokerRun> {
        now.broker_bytes?;
        let age = |from_ms: Option<i64>| from_ms.map_or(0, |from_ms| (now.at_ms - from_ms).max(0));
        let queue = |queue: &QueueNow| QueueRun {
            queue: queue.name.clone(),
            visible: queue.statistics.visible,
            in_flight: queue.statistics.in_flight,
            delayed: queue.statistics.delayed,
            oldest_age_ms: age(queue.statistics.oldest_sent_ms),
            sent: queue.statistics.sent,
            expired: queue.statistics.expired,
        };
        let stream = |stream: &StreamNow| StreamRun {
            stream: stream.name.clone(),
            shards: stream.shards as u64,
            records: stream.statistics.records,
            oldest_age_ms: age(stream.statistics.oldest_ms),
            put: stream.statistics.put,
            bytes: stream.statistics.bytes_on_disk,
        };
        Some(BrokerRun {
            at_ms: now.at_ms,
            queues: now.queues.iter().take(NAMES_MAX).map(queue).collect(),
            streams: now.streams.iter().take(NAMES_MAX).map(stream).collect(),
        })
    }
}

/// One pipe of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipeRun {
    /// Its name.
    pub pipe: String,
    /// Where it delivers.
    pub sinks: Vec<SinkRun>,
    /// The rejected file.
    pub rejected: PathBuf,
    /// The report warns when what the pipe wrote is more than this.
    pub storage_bytes_max: Option<u64>,
    /// Why it stopped early.
    pub failure: Option<String>,
    /// What its source said of what it did not read.
    pub remarks: Vec<String>,
    /// Rejected events by reason, of this run.
    pub reasons: BTreeMap<String, u64>,
    /// The folders of its dead letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead_letters: Vec<DeadLettersRun>,
    /// The folder of its archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<PathBuf>,
    /// Its deliveries by sink, as they were seen last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<SinkNow>,
    /// Dead events by class, of this run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dead: BTreeMap<String, u64>,
}

/// A folder of dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLettersRun {
    /// The folder.
    pub path: PathBuf,
    /// Bytes that it may hold.
    pub bytes_max: u64,
}

impl PipeRun {
    /// Takes over how its deliveries stand. Sinks that were never called say nothing.
    pub fn saw(&mut self, delivery: &DeliveryNow) {
        let called = delivery.sinks.iter().filter(|sink| sink.was_called());
        self.deliveries = called.cloned().collect();
        self.dead.clone_from(&delivery.dead_by_class);
    }
}

/// One sink of a pipe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkRun {
    /// Its name.
    pub name: String,
    /// `lake`, `file`, `stdout`.
    pub kind: String,
    /// Its file or folder.
    pub path: Option<PathBuf>,
}

impl LastRun {
    /// Takes over how the program stands: its broker, and the deliveries of its pipes.
    pub fn saw(&mut self, now: &Now) {
        if let Some(broker) = BrokerRun::new(now) {
            self.broker = Some(broker);
        }
        for pipe in &mut self.pipes {
            if let Some(seen) = now.pipes.iter().find(|seen| seen.name == pipe.pipe) {
                pipe.saw(&seen.delivery);
            }
        }
    }

    /// The note of a data folder; `None` if there is none that this program can read.
    ///
    /// # Errors
    /// What the system says, other than that there is no such file.
    pub fn read(data_dir: &Path) -> io::Result<Option<LastRun>> {
        match std::fs::read(data_dir.join(FILE)) {
            Ok(text) => {
                let note: Option<LastRun> = serde_json::from_slice(&text).ok();
                Ok(note.filter(|note| note.version == VERSION))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A pipe by its name.
    #[must_use]
    pub fn pipe(&self, name: &str) -> Option<&PipeRun> {
        self.pipes.iter().find(|pipe| pipe.pipe == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_can_not_be_read_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(LastRun::read(dir.path()).unwrap(), None);
        let write = |text: &[u8]| {
            use std::io::Write as _;
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(true);
            options.open(dir.path().join(FILE)).unwrap().write_all(text).unwrap();
        };
        write(b"{ half");
        assert_eq!(LastRun::read(dir.path()).unwrap(), None);
        let note = LastRun { version: VERSION, pid: 7, ..LastRun::default() };
        write(&serde_json::to_vec(&note).unwrap());
        assert_eq!(LastRun::read(dir.path()).unwrap(), Some(note.clone()));
        write(&serde_json::to_vec(&LastRun { version: VERSION + 1, ..note }).unwrap());
        assert_eq!(LastRun::read(dir.path()).unwrap(), None);
    }

    /// Written once by version 1 of the form; must be readable for ever.
    #[test]
    fn the_frozen_note_of_version_1_is_read() {
        let frozen = include_bytes!("../tests/fixtures/last-run-v1.json");
        let note: LastRun = serde_json::from_slice(frozen).unwrap();
        assert_eq!(
            (note.version, note.pid, note.ended_ms),
            (1, 4711, Some(1_793_520_002_500)),
            "{note:?}"
        );
        let app = note.pipe("app").unwrap();
        assert_eq!(app.reasons["json_broken"], 3);
        assert_eq!(app.sinks[0].path.as_deref(), Some(Path::new("/data/lake")));
        let as_it_stands: serde_json::Value = serde_json::from_slice(frozen).unwrap();
        assert_eq!(
            serde_json::to_value(&note).unwrap(),
            as_it_stands,
            "a new form needs a new version"
        );
    }
}
