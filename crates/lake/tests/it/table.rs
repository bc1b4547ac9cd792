//! Lakes with a table, for tests: filled by the staging sink, read back from Parquet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float64Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use bytes::Bytes;
use event::TestClock;
use event::json::Raw;
use event::path::{FieldPath, Step as PathStep};
use event::sink::{Sink, SinkIdentity};
use event::source::Stop;
use journal::{Disk, SimDisk};
use lake::compact::compact_locked;
use lake::{
    ColumnType, CompactError, CompactOptions, Compaction, EventTime, PartitionField, Quiet,
    StagingOptions, StagingSink, TimeFormat,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::fake_ledger::{FakeLedger, Step, TestEvent, run};
use crate::json::J;

pub const LAKE: &str = "/lake";
pub const START: i64 = 1_793_613_600_000; // 2026-11-02T10:00:00Z

pub fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).unwrap()
}

pub fn options() -> CompactOptions {
    CompactOptions {
        partition: vec![
            PartitionField::Year,
            PartitionField::Month,
            PartitionField::Day,
            PartitionField::Field(path("$.specifics.lang")),
        ],
        event_time: Some(EventTime { path: path("$.at"), format: TimeFormat::EpochMillis }),
        threads: 1,
        ..CompactOptions::default()
    }
}

/// An event with this payload, received `id` ms after [`START`].
pub fn event(id: u64, payload: impl Into<String>) -> TestEvent {
    let received_ms = START + id as i64;
    TestEvent { id, payload: payload.into(), received_ms, event_ms: i64::MIN }
}

pub fn events(payloads: &[&str]) -> Vec<TestEvent> {
    payloads.iter().zip(1..).map(|(payload, id)| event(id, *payload)).collect()
}

fn sink(disk: Arc<dyn Disk>, identity: SinkIdentity) -> Box<dyn Sink> {
    let options = StagingOptions::new(PathBuf::from(LAKE));
    Box::new(StagingSink::new(options, identity, disk, Arc::new(TestClock::new(START))))
}

/// Stages batches, and finishes all files.
pub fn stage(disk: &SimDisk, ledger: &mut FakeLedger, batches: &[Vec<TestEvent>]) {
    let mut steps: Vec<Step> = (0..ledger.done).map(|_| Step::Stage(Vec::new())).collect();
    steps.extend(batches.iter().cloned().map(Step::Stage));
    steps.push(Step::Finish { now_ms: i64::MAX, all: true });
    run(disk, ledger, &sink, &steps).unwrap();
    // A record said that it is published: the ledger won't look for it again.
    ledger.state.unpublished.clear();
    ledger.state.files.clear();
}

/// A new lake with these batches in finished staging files.
pub fn lake(batches: &[Vec<TestEvent>]) -> SimDisk {
    let disk = SimDisk::new(1);
    stage(&disk, &mut FakeLedger::new(), batches);
    disk
}

pub fn compact(disk: &SimDisk, options: &CompactOptions) -> Result<Compaction, CompactError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock = TestClock::new(START);
    compact_locked(&disk, Path::new(LAKE), options, &clock, &|_| true, &Quiet, &Stop::default())
}

/// A row of the table, read back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub folder: String,
    pub file: String,
    pub payload: J,
    pub rescued: Option<String>,
    pub key: Option<u128>,
    pub event_us: Option<i64>,
    pub recorded_ms: i64,
    pub window_ms: i64,
    pub shard: String,
    pub offset: String,
    pub batch: i64,
    pub marks: i32,
}

fn member(column: &str, names: &[lake::Column]) -> String {
    names.iter().find(|known| known.column == column).map_or("?".into(), |known| known.name.clone())
}

fn value(array: &ArrayRef, at: usize, kind: &ColumnType) -> J {
    if array.is_null(at) {
        return J::Null;
    }
    match kind {
        ColumnType::Bool => J::Bool(array.as_boolean().value(at)),
        ColumnType::Int64 => J::Num(array.as_primitive::<Int64Type>().value(at).to_string()),
        ColumnType::Float64 => {
            J::Num(format!("{:?}", array.as_primitive::<Float64Type>().value(at)))
        }
        ColumnType::Utf8 => J::Str(array.as_string::<i32>().value(at).to_owned()),
        ColumnType::List(item) => {
            let items = array.as_list::<i32>().value(at);
            J::Arr((0..items.len()).map(|at| value(&items, at, item)).collect())
        }
        ColumnType::Struct(columns) => {
            let array = array.as_struct();
            let members = array.column_names().into_iter().zip(array.columns());
            let member = |(name, array): (&str, &ArrayRef)| {
                let column = columns.iter().find(|c| c.column == name).unwrap();
                (member(name, columns), value(array, at, &column.kind))
            };
            J::Obj(members.map(member).filter(|(_, value)| *value != J::Null).collect())
        }
    }
}

/// Puts what was rescued back to where it stood.
fn restore(row: &mut J, rescued: &str) {
    for (name, raw) in Raw::new(rescued.as_bytes()).members() {
        let path = name.as_str().unwrap();
        let repeated = path.rfind("[#").filter(|_| path.ends_with(']'));
        let path = &path[..repeated.unwrap_or(path.len())];
        let path = FieldPath::parse(path).unwrap_or_else(|error| panic!("{rescued}: {error}"));
        let mut place = &mut *row;
        let (last, steps) = path.steps().split_last().unwrap();
        for step in steps {
            place = match (step, place) {
                (PathStep::Field(name), J::Obj(members)) => {
                    &mut members.iter_mut().find(|(known, _)| **known == **name).unwrap().1
                }
                (PathStep::Index(at), J::Arr(items)) => &mut items[*at as usize],
                other => panic!("{other:?}"),
            };
        }
        match (last, place) {
            (PathStep::Field(name), J::Obj(members)) => {
                members.push((name.to_string(), J::of(raw)))
            }
            (PathStep::Index(at), J::Arr(items)) => items[*at as usize] = J::of(raw),
            other => panic!("{other:?}"),
        }
    }
}

fn rows_of(batch: &RecordBatch, columns: &[lake::Column], folder: &str, file: &str) -> Vec<Row> {
    let own = |name: &str| batch.column_by_name(name).unwrap();
    let texts = |name: &str| own(name).as_string::<i32>().clone();
    let ints = |name: &str| own(name).as_primitive::<Int64Type>().clone();
    let mut rows = Vec::new();
    for at in 0..batch.num_rows() {
        let mut members = Vec::new();
        for column in columns {
            if let Some(array) = batch.column_by_name(&column.column) {
                members.push((column.name.clone(), value(array, at, &column.kind)));
            }
        }
        members.retain(|(_, value)| *value != J::Null);
        let mut payload = J::Obj(members);
        let rescued = texts("_rescued");
        let rescued = (!rescued.is_null(at)).then(|| rescued.value(at).to_owned());
        if let Some(rescued) = &rescued {
            restore(&mut payload, rescued);
        }
        let keys = own("_onceflow_key").as_fixed_size_binary();
        let event = own("_onceflow_event_time").as_primitive::<TimestampMicrosecondType>();
        let recorded = own("_onceflow_recorded_time").as_primitive::<TimestampMillisecondType>();
        let offset = ints("_onceflow_offset");
        let wide = texts("_onceflow_offset_wide");
        rows.push(Row {
            folder: folder.into(),
            file: file.into(),
            payload,
            rescued,
            key: (!keys.is_null(at))
                .then(|| u128::from_be_bytes(keys.value(at).try_into().unwrap())),
            event_us: (!event.is_null(at)).then(|| event.value(at)),
            recorded_ms: recorded.value(at),
            window_ms: ints("_onceflow_window_ms").value(at),
            shard: texts("_onceflow_shard").value(at).into(),
            offset: if offset.is_null(at) {
                wide.value(at).into()
            } else {
                offset.value(at).to_string()
            },
            batch: ints("_onceflow_batch").value(at),
            marks: own("_onceflow_marks").as_primitive::<Int32Type>().value(at),
        });
    }
    rows
}

pub fn columns(disk: &SimDisk) -> Vec<lake::Column> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    lake::table_state(&disk, Path::new(LAKE)).unwrap().unwrap().columns
}

/// The table's files with their bytes.
pub fn files(disk: &SimDisk) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (path, _) in disk.files() {
        let text = path.to_str().unwrap();
        if let Some(name) = text.strip_prefix("/lake/table/")
            && name.ends_with(".parquet")
        {
            files.insert(name.to_owned(), disk.read_file(&path).unwrap());
        }
    }
    files
}

/// All rows of the table, file by file; or which file can't be read.
pub fn try_rows(disk: &SimDisk) -> Result<Vec<Row>, String> {
    let columns = columns(disk);
    let mut rows = Vec::new();
    for (name, bytes) in files(disk) {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", &name));
        let wrong = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes));
        for batch in reader.map_err(|e| wrong(&e))?.build().map_err(|e| wrong(&e))? {
            let batch = batch.map_err(|error| wrong(&error))?;
            rows.extend(rows_of(&batch, &columns, folder, file));
        }
    }
    Ok(rows)
}

/// All rows of the table, file by file.
pub fn rows(disk: &SimDisk) -> Vec<Row> {
    try_rows(disk).unwrap()
}

/// Payloads of the table, in order.
pub fn payloads(disk: &SimDisk) -> Vec<J> {
    rows(disk).into_iter().map(|row| row.payload.normal()).collect()
}

/// Every event is in the table once, whole.
pub fn assert_same(disk: &SimDisk, events: &[TestEvent]) {
    let mut found = payloads(disk);
    let mut expected: Vec<J> =
        events.iter().map(|event| J::parse(&event.payload).normal()).collect();
    found.sort();
    expected.sort();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}
