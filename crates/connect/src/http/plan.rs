//! Which events go into which call.

use std::ops::Range;

use bytes::Bytes;
use event::sink::{Failure, FailureKind, Rows};

use super::failure::failure;
use super::key::Keys;
use super::{HttpBody, HttpOptions};

/// How events make the body of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) events_max: usize,
    pub(super) bytes_max: usize,
    pub(super) body: HttpBody,
}

/// An event that is to be delivered.
pub(super) struct Item {
    /// Its place among the rows.
    pub(super) row: usize,
    pub(super) body: Bytes,
    pub(super) key: u128,
}

/// A wave of events, in calls.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) items: Vec<Item>,
    /// Ranges of `items`.
    pub(super) calls: Vec<Range<usize>>,
    /// Rows that no call can hold.
    pub(super) refused: Vec<(usize, Failure)>,
}

impl Shape {
    pub(super) fn new(options: &HttpOptions) -> Self {
        let count = |value: u64| usize::try_from(value).unwrap_or(usize::MAX).max(1);
        Self {
            events_max: count(options.events_max),
            bytes_max: count(options.bytes_max),
            body: options.body,
        }
    }

    pub(super) fn content_type(&self) -> &'static str {
        match self.body {
            HttpBody::Ndjson if self.events_max > 1 => "application/x-ndjson",
            _ => "application/json",
        }
    }

    /// Bytes of a body with `events` whose payloads have `payload_bytes` together.
    fn bytes(&self, events: usize, payload_bytes: usize) -> usize {
        match self.body {
            _ if self.events_max == 1 => payload_bytes,
            HttpBody::Array => payload_bytes + events + 1, // brackets and the commas between
            HttpBody::Ndjson => payload_bytes + events,
        }
    }

    /// The body of a call with these events, in `out` where it must be put together.
    pub(super) fn write<'a>(&self, items: &'a [Item], out: &'a mut Vec<u8>) -> &'a [u8] {
        if let (1, [only]) = (self.events_max, items) {
            return &only.body;
        }
        out.clear();
        match self.body {
            HttpBody::Array => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(&item.body);
                }
                out.push(b']');
            }
            HttpBody::Ndjson => {
                for item in items {
                    line(&item.body, out);
                    out.push(b'\n');
                }
            }
        }
        out
    }

    /// Packs the rows, in their order, into as few calls as the limits allow.
    pub(super) fn plan(&self, rows: &Rows<'_>, pipe: &str) -> Plan {
        let mut plan = Plan::default();
        let mut keys = Keys::new(*rows, pipe);
        let (mut from, mut payload_bytes) = (0, 0);
        for (row, body) in bodies(rows, self.bytes_max, &mut plan.refused) {
            if self.bytes(1, body.len()) > self.bytes_max {
                plan.refused.push((row, self.too_large(body.len())));
                continue;
            }
            let Some(&index) = rows.events.get(row) else { continue };
            let Some(event) = rows.batch.events.get(index as usize) else { continue };
            let count = plan.items.len() - from;
            if count == self.events_max
                || self.bytes(count + 1, payload_bytes + body.len()) > self.bytes_max
            {
                plan.calls.push(from..plan.items.len());
                (from, payload_bytes) = (plan.items.len(), 0);
            }
            payload_bytes += body.len();
            let key = keys.of(index as usize, event);
            plan.items.push(Item { row, body, key });
        }
        plan.calls.push(from..plan.items.len());
        plan.calls.retain(|call| !call.is_empty());
        plan
    }

    fn too_large(&self, bytes: usize) -> Failure {
        let message = format!("{bytes} bytes don't fit into a call of {} bytes", self.bytes_max);
        failure(FailureKind::Deterministic, "too_large", message)
    }
}

/// What is sent of each row, by its place among the rows. Payloads as received stay where they
/// are; rewritten ones are copied in one piece, since the batch lends them only.
fn bodies(
    rows: &Rows<'_>,
    bytes_max: usize,
    refused: &mut Vec<(usize, Failure)>,
) -> Vec<(usize, Bytes)> {
    let batch = rows.batch;
    let events = rows.events.iter().enumerate();
    let events: Vec<_> = events
        .filter_map(|(row, &index)| Some((row, index, batch.events.get(index as usize)?)))
        .collect();
    let mut copied = Vec::new();
    for (_, _, event) in &events {
        if let Some(span) = event.rewritten {
            copied.extend_from_slice(span.of(&batch.rewritten));
        }
    }
    let mut copied = Bytes::from(copied);
    let mut all = Vec::with_capacity(events.len());
    for (row, index, event) in events {
        let body = match event.rewritten {
            Some(span) => copied.split_to(span.of(&batch.rewritten).len()),
            None if !batch.spilled.is_empty() && batch.spilled(index as usize).is_some() => {
                match spilled(rows, index as usize, bytes_max) {
                    Ok(body) => body,
                    Err(why) => {
                        refused.push((row, why));
                        continue;
                    }
                }
            }
            None => batch.buffer.slice_ref(event.raw.of(&batch.buffer)),
        };
        all.push((row, body));
    }
    all
}

/// A payload that was too long for the batch's buffer.
fn spilled(rows: &Rows<'_>, index: usize, bytes_max: usize) -> Result<Bytes, Failure> {
    let Some(payload) = rows.batch.spilled(index) else { return Ok(Bytes::new()) };
    let len = usize::try_from(payload.len()).unwrap_or(usize::MAX);
    if len > bytes_max {
        let message = format!("{len} bytes don't fit into a call of {bytes_max} bytes");
        return Err(failure(FailureKind::Deterministic, "too_large", message));
    }
    let broken = |why: String| failure(FailureKind::Transient, "spilled", why);
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match payload.read_at(filled as u64, rest) {
            Ok(0) => {
                return Err(broken("a payload beside its batch is shorter than it was".into()));
            }
            Ok(read) => filled += read,
            Err(error) => {
                return Err(broken(format!("cannot read a payload beside its batch: {error}")));
            }
        }
    }
    Ok(Bytes::from(bytes))
}

/// One event on one line. Line breaks in JSON stand between its parts only, where a space means
/// the same.
fn line(body: &[u8], out: &mut Vec<u8>) {
    if memchr::memchr2(b'\n', b'\r', body).is_none() {
        out.extend_from_slice(body);
    } else {
        out.extend(
            body.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }),
        );
    }
}

#[cfg(test)]
mod tests {
    use event::BatchNumber;
    use event::batch::{Batch, Event, Span};

    use super::*;

    fn batch(bodies: &[&str]) -> Batch {
        let mut batch = Batch::default();
        let mut buffer = Vec::new();
        for (key, body) in (1..).zip(bodies) {
            let raw = Span { start: buffer.len() as u32, len: body.len() as u32 };
            buffer.extend_from_slice(body.as_bytes());
            batch.events.push(Event { raw, key, ..Event::default() });
        }
        batch.buffer = buffer.into();
        batch
    }

    fn bodies_of(shape: Shape, batch: &Batch) -> (Vec<String>, Vec<usize>) {
        let events: Vec<u32> = (0..batch.events.len() as u32).collect();
        let rows = Rows { batch, number: BatchNumber(1), events: &events, now_ms: 0 };
        let plan = shape.plan(&rows, "pipe");
        let mut out = Vec::new();
        let mut text = |call: &Range<usize>| {
            let body = shape.write(&plan.items[call.clone()], &mut out);
            assert!(body.len() <= shape.bytes_max, "{} bytes", body.len());
            String::from_utf8(body.to_vec()).unwrap()
        };
        let calls = plan.calls.iter().map(&mut text).collect();
        (calls, plan.refused.iter().map(|(row, _)| *row).collect())
    }

    #[test]
    fn a_call_holds_what_its_limits_allow_to_the_byte() {
        let batch = batch(&["1111", "2222", "33333333333", "44", "5"]);
        let shape = Shape { events_max: 10, bytes_max: 11, body: HttpBody::Array };
        let (calls, refused) = bodies_of(shape, &batch);
        assert_eq!(calls, ["[1111,2222]", "[44,5]"]);
        assert_eq!(refused, [2], "13 bytes with its brackets");

        let shape = Shape { events_max: 2, bytes_max: 12, body: HttpBody::Ndjson };
        let (calls, refused) = bodies_of(shape, &batch);
        assert_eq!(calls, ["1111\n2222\n", "33333333333\n", "44\n5\n"]);
        assert!(refused.is_empty());

        let shape = Shape { events_max: 1, bytes_max: 11, body: HttpBody::Array };
        let (calls, refused) = bodies_of(shape, &batch);
        assert_eq!(calls, ["1111", "2222", "33333333333", "44", "5"], "as they are");
        assert!(refused.is_empty());
    }

    #[test]
    fn what_a_stage_rewrote_goes_instead_of_what_came() {
        let mut batch = batch(&["{\n1}", "2", "3"]);
        batch.rewritten = b"xxTWO".to_vec();
        batch.events[1].rewritten = Some(Span { start: 2, len: 3 });
        let shape = Shape { events_max: 9, bytes_max: 99, body: HttpBody::Ndjson };
        assert_eq!(bodies_of(shape, &batch).0, ["{ 1}\nTWO\n3\n"], "and each on one line");
    }
}
