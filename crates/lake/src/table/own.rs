//! The columns that the table has of its own: what the sidecar says of a row, and what was rescued.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, FixedSizeBinaryArray, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use arrow_schema::{DataType, Field, TimeUnit};
use event::{Marks, Offset};

/// What a sidecar says of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SideRow {
    pub(crate) key: u128,
    pub(crate) recorded_ms: i64,
    pub(crate) window_ms: i64,
    pub(crate) batch: u64,
    pub(crate) offset: Offset,
    /// Place in the compaction's list of shards.
    pub(crate) shard: u32,
    pub(crate) marks: Marks,
}

impl SideRow {
    pub(crate) fn has_key(&self) -> bool {
        self.marks.0 & Marks::NO_KEY.0 == 0
    }
}

/// Text values on their way to an array.
struct Texts {
    ends: Vec<i32>,
    bytes: Vec<u8>,
    valid: Vec<bool>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { ends: vec![0], bytes: Vec::new(), valid: Vec::new() }
    }
}

impl Texts {
    fn push(&mut self, text: Option<&[u8]>) {
        self.bytes.extend_from_slice(text.unwrap_or_default());
        self.ends.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
        self.valid.push(text.is_some());
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let Self { ends, bytes, valid } = std::mem::take(self);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_vec(bytes), nulls(valid))?))
    }
}

fn nulls(valid: Vec<bool>) -> Option<NullBuffer> {
    if valid.iter().all(|valid| *valid) { None } else { Some(BooleanBuffer::from(valid).into()) }
}

fn optional<T: Copy + Default>(values: Vec<Option<T>>) -> (Vec<T>, Option<NullBuffer>) {
    let valid = values.iter().map(Option::is_some).collect();
    (values.into_iter().map(Option::unwrap_or_default).collect(), nulls(valid))
}

/// The table's own columns on their way to arrays.
#[derive(Default)]
pub(super) struct Own {
    rescued: Texts,
    keys: Vec<u8>,
    keyed: Vec<bool>,
    event_us: Vec<Option<i64>>,
    recorded_ms: Vec<i64>,
    window_ms: Vec<i64>,
    shards: Texts,
    offsets: Vec<Option<i64>>,
    wide: Texts,
    batches: Vec<i64>,
    marks: Vec<i32>,
}

impl Own {
    pub(super) fn push(
        &mut self,
        row: &SideRow,
        shard: &str,
        event_ns: Option<i64>,
        rescued: Option<&[u8]>,
    ) {
        self.rescued.push(rescued);
        self.keys.extend_from_slice(&row.key.to_be_bytes());
        self.keyed.push(row.has_key());
        self.event_us.push(event_ns.map(|ns| ns.div_euclid(1000)));
        self.recorded_ms.push(row.recorded_ms);
        self.window_ms.push(row.window_ms);
        self.shards.push(Some(shard.as_bytes()));
        let short = row.offset.as_u64().and_then(|offset| i64::try_from(offset).ok());
        self.offsets.push(short);
        match short {
            Some(_) => self.wide.push(None),
            None => self.wide.push(Some(row.offset.to_string().as_bytes())),
        }
        self.batches.push(row.batch.cast_signed());
        self.marks.push(i32::from(row.marks.0));
    }

    /// Names and types, in the order of [`Own::finish`].
    pub(super) fn fields() -> Vec<Field> {
        let utc = || Some(Arc::from("UTC"));
        vec![
            Field::new("_rescued", DataType::Utf8, true),
            Field::new("_onceflow_key", DataType::FixedSizeBinary(16), true),
            Field::new(
                "_onceflow_event_time",
                DataType::Timestamp(TimeUnit::Microsecond, utc()),
                true,
            ),
            Field::new(
                "_onceflow_recorded_time",
                DataType::Timestamp(TimeUnit::Millisecond, utc()),
                true,
            ),
            Field::new("_onceflow_window_ms", DataType::Int64, true),
            Field::new("_onceflow_shard", DataType::Utf8, true),
            Field::new("_onceflow_offset", DataType::Int64, true),
            Field::new("_onceflow_offset_wide", DataType::Utf8, true),
            Field::new("_onceflow_batch", DataType::Int64, true),
            Field::new("_onceflow_marks", DataType::Int32, true),
        ]
    }

    pub(super) fn finish(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut own = std::mem::take(self);
        let keys = FixedSizeBinaryArray::try_new(16, Buffer::from_vec(own.keys), nulls(own.keyed))?;
        let (event_us, event_nulls) = optional(own.event_us);
        let event = TimestampMicrosecondArray::try_new(event_us.into(), event_nulls)?;
        let recorded = TimestampMillisecondArray::try_new(own.recorded_ms.into(), None)?;
        let (offsets, offset_nulls) = optional(own.offsets);
        Ok(vec![
            own.rescued.finish()?,
            Arc::new(keys),
            Arc::new(event.with_timezone("UTC")),
            Arc::new(recorded.with_timezone("UTC")),
            Arc::new(Int64Array::try_new(own.window_ms.into(), None)?),
            own.shards.finish()?,
            Arc::new(Int64Array::try_new(offsets.into(), offset_nulls)?),
            own.wide.finish()?,
            Arc::new(Int64Array::try_new(own.batches.into(), None)?),
            Arc::new(Int32Array::try_new(own.marks.into(), None)?),
        ])
    }
}
