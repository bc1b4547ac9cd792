//! What the tests of dead letters share.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use connect::dead::{
    DeadFolder, DeadStore, DeadStoreOptions, Found, Letter, LetterContext, LetterFilter,
};
use event::batch::{Attribute, Batch, Extent, Offsets, PartitionKeys, Span};
use event::death::{Attempt, Death};
use event::sink::{Guarantee, Publisher, Rows, Sink, SinkError, SinkState, Staged, StagedOutput};
use event::{BatchNumber, Event, Marks, Offset};
use journal::Disk;

pub const ROOT: &str = "/dead";
pub const NOW: i64 = 1_762_164_303_123;

pub fn context() -> Arc<LetterContext> {
    Arc::new(LetterContext {
        source: "kinesis:app".into(),
        config: 0xc0ffee,
        sinks: vec!["lake".into(), "hook".into()],
        types: Arc::new(|id| format!("type:{id}").into()),
    })
}

pub fn options(store_bytes_max: u64) -> DeadStoreOptions {
    DeadStoreOptions { root: PathBuf::from(ROOT), store_bytes_max, letters: 0, context: context() }
}

pub fn letter() -> Letter {
    Letter {
        id: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
        pipe: "app".into(),
        source: "kinesis:app".into(),
        shard: "app/1@00000000000000000000000000000007".into(),
        start: Offset::from_decimal("49590338271490256608559692538361571095921575989136588898")
            .unwrap(),
        end: Offset::from_decimal("49590338271490256608559692538361571095921575989136588899")
            .unwrap(),
        partition_key: Some(b"user-17".to_vec()),
        event_type: "payment:failed".into(),
        key: 0xab << 64,
        body_hash: u64::MAX,
        recorded_ms: NOW - 60_000,
        window_ms: 300_000,
        received_ms: NOW - 50_000,
        broker_ms: Some(NOW - 60_000),
        event_ms: Some(NOW - 61_000),
        died_ms: NOW,
        marks: Marks::LATE.with(Marks::REPLAYED),
        routes: vec!["lake".into()],
        held_by: vec!["hook".into()],
        stage: "deliver".into(),
        class: "http_400".into(),
        message: "400 Bad Request: \"no\"\n".into(),
        deterministic: true,
        sink: "other".into(),
        config: 0xc0ffee,
        attempts: vec![
            Attempt { at_ms: NOW - 9_000, sink: "hook".into(), error: String::new() },
            Attempt { at_ms: NOW, sink: "other".into(), error: "400 Bad Request".into() },
        ],
        replay_count: 1,
        replay: "1762164000000-1".into(),
        attributes: vec![
            Attribute {
                name: "a".into(),
                data_type: "String".into(),
                value: Bytes::from_static("\u{fc}".as_bytes()),
            },
            Attribute {
                name: "b".into(),
                data_type: "Binary".into(),
                value: Bytes::from_static(b"\xff\0"),
            },
        ],
        body: Bytes::from_static(b"{\"id\": 1,\r\n\t\"text\":\"\xc3\xbc\"}"),
    }
}

/// One event of [`dead_batch`]: payload, partition key and when it died.
pub type Dead<'a> = (&'a [u8], &'a [u8], i64);

/// A batch of which every event is dead.
pub fn dead_batch(shard: &str, first: u64, events: &[Dead<'_>]) -> Batch {
    let mut batch = Batch::default();
    let mut buffer = Vec::new();
    let mut keys = PartitionKeys::default();
    for (raw, key, died_ms) in events {
        let span = Span { start: buffer.len() as u32, len: raw.len() as u32 };
        buffer.extend_from_slice(raw);
        buffer.push(b'\n');
        keys.push(key);
        let index = batch.events.len();
        batch.events.push(Event { raw: span, recorded_ms: died_ms - 1, ..Event::default() });
        batch.kill(index, death(*died_ms));
    }
    batch.extents.push(Extent {
        shard: shard.into(),
        first_event: 0,
        events_received: events.len() as u32,
        received_ms: NOW,
        broker_ms: Vec::new(),
        offsets: Offsets::Listed((first..).take(events.len()).map(Offset::from).collect()),
        start: first.into(),
        end: (first + events.len() as u64).into(),
        mark: None,
    });
    batch.buffer = Bytes::from(buffer);
    batch.partition_keys = keys;
    batch
}

pub fn death(died_ms: i64) -> Death {
    Death {
        stage: "deliver",
        class: "http_400".into(),
        message: "no".into(),
        deterministic: true,
        sink: "hook".into(),
        letters: 0,
        attempts: vec![Attempt { at_ms: died_ms, sink: "hook".into(), error: "no".into() }],
    }
}

pub fn rows<'a>(batch: &'a Batch, number: u64, all: &'a [u32]) -> Rows<'a> {
    Rows { batch, number: BatchNumber(number), events: all, now_ms: NOW }
}

/// Stages and publishes.
pub fn settle(sink: &mut dyn Sink, number: u64, batch: &Batch) -> Result<StagedOutput, SinkError> {
    let all: Vec<u32> = (0..batch.events.len() as u32).collect();
    let staged = sink.stage(&rows(batch, number, &all))?;
    for pending in staged.pending {
        pending()?;
    }
    sink.publisher().publish(BatchNumber(number), &staged.output)?;
    Ok(staged.output)
}

pub fn store(disk: &Arc<dyn Disk>, store_bytes_max: u64) -> DeadStore {
    let identity = crate::fake_ledger::identity(1);
    let mut store = DeadStore::new(options(store_bytes_max), identity, Arc::clone(disk));
    store.open(&SinkState::default()).unwrap();
    store
}

pub fn folder(disk: &Arc<dyn Disk>) -> DeadFolder {
    DeadFolder::new(Arc::clone(disk), ROOT.as_ref())
}

pub fn found(disk: &Arc<dyn Disk>, filter: LetterFilter) -> Vec<Found> {
    folder(disk).letters(filter).collect::<Result<_, _>>().unwrap()
}

pub fn bodies(found: &[Found]) -> Vec<String> {
    found.iter().map(|one| String::from_utf8_lossy(&one.letter.body).into_owned()).collect()
}

/// A store of which every event that it is given is dead.
pub struct AllDead(pub DeadStore);

impl Sink for AllDead {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn guarantee(&self) -> Guarantee {
        self.0.guarantee()
    }

    fn open(&mut self, state: &SinkState) -> Result<StagedOutput, SinkError> {
        self.0.open(state)
    }

    fn stage(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError> {
        let mut batch = rows.batch.clone();
        for (extent, range) in rows.batch.extent_ranges() {
            for index in range {
                batch.kill(index, death(extent.received_ms));
                let key = (batch.events[index].key >> 64) as u64 % 3;
                let key = if key == 0 { String::new() } else { format!("user/{key}") };
                batch.partition_keys.push(key.as_bytes());
            }
        }
        self.0.stage(&Rows { batch: &batch, ..*rows })
    }

    fn withdraw(&mut self, output: &StagedOutput) -> Result<(), SinkError> {
        self.0.withdraw(output)
    }

    fn publisher(&self) -> Box<dyn Publisher> {
        self.0.publisher()
    }
}
