//! The body of a block before compression: columns of what is known of the events, then their
//! payloads one after another.

use bytes::Bytes;
use event::batch::{Attribute, Attributes, NO_TIME};
use event::{Offset, ShardId};

use super::varint::{Cursor, fold, put, put_bytes, unfold};

/// What a column of starts and ends says instead of a difference: 24 bytes with the whole offset
/// follow.
const WHOLE: u64 = 0;

/// What is stored of an event beside its payload, its attributes and its partition key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) start: Offset,
    pub(super) end: Offset,
    pub(super) received_ms: i64,
    /// Each of these is [`NO_TIME`] where there is none.
    pub(super) broker_ms: i64,
    pub(super) event_ms: i64,
    pub(super) recorded_ms: i64,
}

/// The events of one block on their way out. Kept from block to block, so that nothing is
/// allocated anew.
#[derive(Default)]
pub(super) struct Columns {
    shards: Vec<ShardId>,
    /// The latest start in each shard.
    latest: Vec<Offset>,
    shard_runs: Vec<u8>,
    shard_run: (usize, u64),
    lens: Vec<u8>,
    starts: Vec<u8>,
    ends: Vec<u8>,
    received_runs: Vec<u8>,
    received_run: (i64, u64),
    received_before: i64,
    times: [Times; 3],
    partition_keys: Vec<u8>,
    has_partition_keys: bool,
    attributes: Vec<u8>,
    attributed: u64,
    attributed_before: u64,
    payloads: Vec<u8>,
    events: u32,
    received_min_ms: i64,
    received_max_ms: i64,
}

/// A column of times that may be missing.
#[derive(Default)]
struct Times {
    bytes: Vec<u8>,
    any: bool,
}

impl Times {
    fn push(&mut self, ms: i64, received_ms: i64) {
        if ms == NO_TIME {
            self.bytes.push(0);
        } else {
            self.any = true;
            // One more than the folded difference; the largest of them can't be told apart from
            // the one before it, which no clock reaches.
            put(&mut self.bytes, fold(ms.wrapping_sub(received_ms)).saturating_add(1));
        }
    }
}

impl Columns {
    pub(super) fn clear(&mut self) {
        let Self { lens, starts, ends, received_runs, shard_runs, .. } = self;
        for column in [lens, starts, ends, received_runs, shard_runs] {
            column.clear();
        }
        for column in [&mut self.partition_keys, &mut self.attributes, &mut self.payloads] {
            column.clear();
        }
        for times in &mut self.times {
            times.bytes.clear();
            times.any = false;
        }
        self.shards.clear();
        self.latest.clear();
        (self.shard_run, self.received_run, self.received_before) = ((0, 0), (0, 0), 0);
        (self.has_partition_keys, self.attributed, self.attributed_before) = (false, 0, 0);
        (self.events, self.received_min_ms, self.received_max_ms) = (0, i64::MAX, i64::MIN);
    }

    pub(super) const fn events(&self) -> u32 {
        self.events
    }

    /// When the first and the last event were received.
    pub(super) const fn received_ms(&self) -> (i64, i64) {
        (self.received_min_ms, self.received_max_ms)
    }

    /// About how long the body is.
    pub(super) fn bytes(&self) -> usize {
        self.payloads.len() + self.attributes.len() + self.partition_keys.len()
    }

    /// Gives memory back that an unusually large event needed.
    pub(super) fn shrink(&mut self, bytes_max: usize) {
        for column in [&mut self.payloads, &mut self.attributes, &mut self.partition_keys] {
            if column.capacity() > bytes_max {
                *column = Vec::new();
            }
        }
    }

    /// Adds an event; `payload` appends what came, and says how much that was.
    pub(super) fn push<E>(
        &mut self,
        shard: &ShardId,
        facts: &Facts,
        partition_key: &[u8],
        attributes: &[Attribute],
        payload: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let before = self.payloads.len();
        if let Err(error) = payload(&mut self.payloads) {
            self.payloads.truncate(before);
            return Err(error);
        }
        put(&mut self.lens, (self.payloads.len() - before) as u64);
        self.push_position(shard, facts);
        self.push_received(facts.received_ms);
        let times = [facts.broker_ms, facts.event_ms, facts.recorded_ms];
        for (column, ms) in self.times.iter_mut().zip(times) {
            column.push(ms, facts.received_ms);
        }
        self.has_partition_keys |= !partition_key.is_empty();
        put_bytes(&mut self.partition_keys, partition_key);
        if !attributes.is_empty() {
            let index = u64::from(self.events);
            put(&mut self.attributes, index - self.attributed_before);
            (self.attributed_before, self.attributed) = (index, self.attributed + 1);
            put(&mut self.attributes, attributes.len() as u64);
            for attribute in attributes {
                put_bytes(&mut self.attributes, attribute.name.as_bytes());
                put_bytes(&mut self.attributes, attribute.data_type.as_bytes());
                put_bytes(&mut self.attributes, &attribute.value);
            }
        }
        self.events += 1;
        Ok(())
    }

    fn push_position(&mut self, shard: &ShardId, facts: &Facts) {
        let (current, run) = self.shard_run;
        let same = self.shards.get(current).is_some_and(|known| same_shard(known, shard));
        let index = if same {
            self.shard_run.1 += 1;
            current
        } else {
            if run > 0 {
                put(&mut self.shard_runs, run);
                put(&mut self.shard_runs, current as u64);
            }
            let known = self.shards.iter().position(|known| same_shard(known, shard));
            let index = known.unwrap_or_else(|| {
                self.shards.push(ShardId::clone(shard));
                self.latest.push(Offset::ZERO);
                self.shards.len() - 1
            });
            self.shard_run = (index, 1);
            index
        };
        if let Some(latest) = self.latest.get_mut(index) {
            put_offset(&mut self.starts, *latest, facts.start);
            *latest = facts.start;
        }
        put_offset(&mut self.ends, facts.start, facts.end);
    }

    fn push_received(&mut self, received_ms: i64) {
        if self.received_run.1 > 0 && self.received_run.0 == received_ms {
            self.received_run.1 += 1;
            return;
        }
        self.end_received_run();
        self.received_run = (received_ms, 1);
        self.received_min_ms = self.received_min_ms.min(received_ms);
        self.received_max_ms = self.received_max_ms.max(received_ms);
    }

    fn end_received_run(&mut self) {
        let (ms, run) = self.received_run;
        if run > 0 {
            put(&mut self.received_runs, run);
            put(&mut self.received_runs, fold(ms.wrapping_sub(self.received_before)));
            self.received_before = ms;
        }
    }

    /// Writes the body of all that was pushed into `out`, which is emptied before.
    pub(super) fn write(&mut self, source: &str, out: &mut Vec<u8>) {
        self.end_received_run();
        let (shard, run) = self.shard_run;
        put(&mut self.shard_runs, run);
        put(&mut self.shard_runs, shard as u64);
        out.clear();
        put_bytes(out, source.as_bytes());
        put(out, self.shards.len() as u64);
        for shard in &self.shards {
            put_bytes(out, shard.as_bytes());
        }
        for column in [&self.lens, &self.shard_runs, &self.starts, &self.ends, &self.received_runs]
        {
            out.extend_from_slice(column);
        }
        for times in &self.times {
            out.push(u8::from(times.any));
            if times.any {
                out.extend_from_slice(&times.bytes);
            }
        }
        out.push(u8::from(self.has_partition_keys));
        if self.has_partition_keys {
            out.extend_from_slice(&self.partition_keys);
        }
        put(out, self.attributed);
        out.extend_from_slice(&self.attributes);
        out.extend_from_slice(&self.payloads);
    }
}

fn same_shard(one: &ShardId, other: &ShardId) -> bool {
    ShardId::ptr_eq(one, other) || one == other
}

/// `offset` as its difference from `from`.
fn put_offset(out: &mut Vec<u8>, from: Offset, offset: Offset) {
    let ((from_hi, from_lo), (hi, lo)) = (from.parts(), offset.parts());
    let difference = i64::try_from(lo.wrapping_sub(from_lo) as i128);
    match difference.map(fold) {
        Ok(folded) if hi == from_hi && folded < u64::MAX => put(out, folded + 1),
        _ => {
            put(out, WHOLE);
            out.extend_from_slice(&hi.to_le_bytes());
            out.extend_from_slice(&lo.to_le_bytes());
        }
    }
}

fn take_offset(cursor: &mut Cursor<'_>, from: Offset) -> Option<Offset> {
    match cursor.number()? {
        WHOLE => {
            let hi = u64::from_le_bytes(cursor.array()?);
            Some(Offset::from_parts(hi, u128::from_le_bytes(cursor.array()?)))
        }
        folded => {
            let (hi, lo) = from.parts();
            Some(Offset::from_parts(hi, lo.wrapping_add_signed(unfold(folded - 1).into())))
        }
    }
}

/// One event out of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) payload: Bytes,
    pub(super) shard: ShardId,
    pub(super) facts: Facts,
    pub(super) partition_key: Bytes,
    pub(super) attributes: Option<Attributes>,
}

/// All events of a body, and the name of their source; `None` when it is none.
pub(super) fn read(body: &Bytes, events: u32) -> Option<(String, Vec<Row>)> {
    let count = events as usize;
    let mut cursor = Cursor(body);
    // Every event has a byte in each of several columns: more of them than bytes is nonsense.
    if count > body.len() {
        return None;
    }
    let source = cursor.text()?.to_owned();
    let shards = (0..cursor.size()?)
        .map(|_| cursor.text().map(ShardId::from))
        .collect::<Option<Vec<ShardId>>>()?;
    let lens = (0..count).map(|_| cursor.size()).collect::<Option<Vec<usize>>>()?;
    let of = runs(&mut cursor, count, |cursor, _| cursor.size())?;
    let mut latest = vec![Offset::ZERO; shards.len()];
    let mut starts = Vec::with_capacity(count);
    for shard in &of {
        let latest = latest.get_mut(*shard)?;
        *latest = take_offset(&mut cursor, *latest)?;
        starts.push(*latest);
    }
    let ends = starts
        .iter()
        .map(|start| take_offset(&mut cursor, *start))
        .collect::<Option<Vec<Offset>>>()?;
    let received = runs(&mut cursor, count, |cursor, before: Option<i64>| {
        Some(before.unwrap_or(0).wrapping_add(unfold(cursor.number()?)))
    })?;
    let mut times = || times(&mut cursor, &received);
    let (broker, event, recorded) = (times()?, times()?, times()?);
    let partition_keys = partition_keys(&mut cursor, body, count)?;
    let mut attributes = attributes(&mut cursor, body, count)?.into_iter().peekable();
    let mut rows = Vec::with_capacity(count);
    for (index, len) in lens.into_iter().enumerate() {
        let payload = body.slice_ref(cursor.take(len)?);
        let facts = Facts {
            start: *starts.get(index)?,
            end: *ends.get(index)?,
            received_ms: *received.get(index)?,
            broker_ms: *broker.get(index)?,
            event_ms: *event.get(index)?,
            recorded_ms: *recorded.get(index)?,
        };
        rows.push(Row {
            payload,
            shard: ShardId::clone(shards.get(*of.get(index)?)?),
            facts,
            partition_key: partition_keys.get(index).cloned().unwrap_or_default(),
            attributes: attributes.next_if(|(of, _)| *of == index).map(|(_, all)| all),
        });
    }
    cursor.0.is_empty().then_some((source, rows))
}

/// A column of (number, value) pairs, each value repeated so often.
fn runs<T: Copy>(
    cursor: &mut Cursor<'_>,
    count: usize,
    mut value: impl FnMut(&mut Cursor<'_>, Option<T>) -> Option<T>,
) -> Option<Vec<T>> {
    let mut all = Vec::with_capacity(count);
    let mut before = None;
    while all.len() < count {
        let run = cursor.size()?;
        let value = value(cursor, before)?;
        if run == 0 || run > count - all.len() {
            return None;
        }
        all.resize(all.len() + run, value);
        before = Some(value);
    }
    Some(all)
}

fn times(cursor: &mut Cursor<'_>, received: &[i64]) -> Option<Vec<i64>> {
    let [any] = cursor.array()?;
    if any == 0 {
        return Some(vec![NO_TIME; received.len()]);
    }
    let one = |received_ms: &i64| match cursor.number()? {
        0 => Some(NO_TIME),
        folded => Some(received_ms.wrapping_add(unfold(folded - 1))),
    };
    received.iter().map(one).collect()
}

fn partition_keys(cursor: &mut Cursor<'_>, body: &Bytes, count: usize) -> Option<Vec<Bytes>> {
    let [any] = cursor.array()?;
    if any == 0 {
        return Some(Vec::new());
    }
    (0..count).map(|_| Some(body.slice_ref(cursor.bytes()?))).collect()
}

fn attributes(
    cursor: &mut Cursor<'_>,
    body: &Bytes,
    count: usize,
) -> Option<Vec<(usize, Attributes)>> {
    let attributed = cursor.size()?;
    if attributed > count {
        return None;
    }
    let mut all = Vec::with_capacity(attributed);
    let mut index = 0;
    for _ in 0..attributed {
        index = cursor.size()?.checked_add(index)?;
        let number = cursor.size()?;
        let attribute = |_| {
            Some(Attribute {
                name: cursor.text()?.to_owned(),
                data_type: cursor.text()?.to_owned(),
                value: body.slice_ref(cursor.bytes()?),
            })
        };
        let of_event = (0..number).map(attribute).collect::<Option<Vec<Attribute>>>()?;
        all.push((index, Attributes::from(of_event)));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(start: Offset, end: Offset, received_ms: i64) -> Facts {
        let (broker_ms, event_ms, recorded_ms) = (received_ms - 7, NO_TIME, received_ms);
        Facts { start, end, received_ms, broker_ms, event_ms, recorded_ms }
    }

    fn attribute(name: &str) -> Attribute {
        let value = Bytes::copy_from_slice(b"\0v");
        Attribute { name: name.into(), data_type: "Binary".into(), value }
    }

    type Sample = (ShardId, Facts, &'static [u8], Vec<Attribute>, &'static [u8]);

    fn samples() -> Vec<Sample> {
        let at = Offset::from;
        let far = Offset::from_parts(9, u128::MAX);
        let mut none = facts(far, Offset::ZERO, i64::MIN + 10);
        none.broker_ms = NO_TIME;
        vec![
            ("a".into(), facts(at(0), at(9), 1000), b"", vec![], b"{\"a\":1}"),
            ("a".into(), facts(at(9), at(10), 1000), b"k", vec![], b""),
            ("b".into(), facts(far, far.next(), 999), b"", vec![attribute("x")], b"\xff\n"),
            ("a".into(), facts(at(10), at(5), 1000), b"", vec![], b"x"),
            ("b".into(), none, b"", vec![attribute("y"), attribute("z")], b"y"),
        ]
    }

    fn written() -> (Vec<u8>, u32) {
        let mut columns = Columns::default();
        columns.clear();
        for (shard, facts, key, attributes, payload) in samples() {
            let pushed = columns.push(&shard, &facts, key, &attributes, |out| {
                out.extend_from_slice(payload);
                Ok::<(), ()>(())
            });
            assert_eq!(pushed, Ok(()));
        }
        let mut out = vec![1, 2, 3];
        columns.write("file:x", &mut out);
        (out, columns.events())
    }

    #[test]
    fn bodies_round_trip() {
        let (bytes, events) = written();
        let (source, rows) = read(&bytes.into(), events).unwrap();
        assert_eq!(source, "file:x");
        let expected = samples().into_iter().map(|(shard, facts, key, attributes, payload)| Row {
            payload: Bytes::from_static(payload),
            shard,
            facts,
            partition_key: Bytes::from_static(key),
            attributes: (!attributes.is_empty()).then(|| Attributes::from(attributes)),
        });
        assert_eq!(rows, expected.collect::<Vec<_>>());
    }

    #[test]
    fn what_is_no_body_is_refused() {
        let (bytes, events) = written();
        for at in 0..bytes.len() {
            assert_eq!(read(&Bytes::copy_from_slice(&bytes[..at]), events), None, "cut to {at}");
            for change in [1, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                let _ = read(&changed.into(), events); // whatever it says: no panic, no hang
            }
        }
        for events in [0, 4, 6, u32::MAX] {
            assert_eq!(read(&Bytes::copy_from_slice(&bytes), events), None, "{events} events");
        }
    }
}
