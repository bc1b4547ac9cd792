//! How events become NDJSON rows: slices of the batch's buffers, gathered for one vectored write.

use std::io::IoSlice;

use event::batch::{Batch, Event, Offsets};

const NEWLINE: &[u8] = b"\n";
const SPACE: &[u8] = b" ";

/// The rows of some events of a batch, as slices to be written one after the other.
///
/// A row is the payload (as it came, or as rewritten) and a newline. Rows that lie one after
/// another in a buffer, with the newline in between, become one slice: nothing is copied. A
/// newline inside a payload becomes a space; in JSON it can only stand between tokens.
pub struct RowParts<'a> {
    batch: &'a Batch,
    /// Payloads as received hold no newline, so they needn't be searched.
    by_line: bool,
    run: Option<Run>,
    parts: Vec<IoSlice<'a>>,
    bytes: u64,
    rows: usize,
}

/// Rows with their newlines, one after another in a buffer.
#[derive(Clone, Copy)]
struct Run {
    rewritten: bool,
    start: usize,
    end: usize,
}

impl<'a> RowParts<'a> {
    /// No rows of `batch` yet.
    #[must_use]
    pub fn new(batch: &'a Batch) -> Self {
        let contiguous = |offsets: &Offsets| matches!(offsets, Offsets::Contiguous { .. });
        let by_line = batch.extents.iter().all(|extent| contiguous(&extent.offsets));
        Self { batch, by_line, run: None, parts: Vec::new(), bytes: 0, rows: 0 }
    }

    /// Adds the row of `event`.
    pub fn push(&mut self, event: &Event) {
        let batch = self.batch;
        let (rewritten, buffer, span) = match event.rewritten {
            Some(span) => (true, batch.rewritten.as_slice(), span),
            None => (false, &batch.buffer[..], event.raw),
        };
        let payload = span.of(buffer);
        let start = span.start as usize;
        let end = start + payload.len();
        self.bytes += payload.len() as u64 + 1;
        self.rows += 1;
        if (rewritten || !self.by_line) && memchr::memchr(b'\n', payload).is_some() {
            self.flush();
            self.push_without_newlines(payload);
            return;
        }
        debug_assert!(memchr::memchr(b'\n', payload).is_none(), "a line holds no newline");
        if buffer.get(end) != Some(&b'\n') {
            self.flush();
            self.parts.push(IoSlice::new(payload));
            self.parts.push(IoSlice::new(NEWLINE));
            return;
        }
        match &mut self.run {
            Some(run) if run.rewritten == rewritten && run.end == start => run.end = end + 1,
            _ => {
                self.flush();
                self.run = Some(Run { rewritten, start, end: end + 1 });
            }
        }
    }

    fn push_without_newlines(&mut self, payload: &'a [u8]) {
        for (index, piece) in payload.split(|byte| *byte == b'\n').enumerate() {
            if index > 0 {
                self.parts.push(IoSlice::new(SPACE));
            }
            self.parts.push(IoSlice::new(piece));
        }
        self.parts.push(IoSlice::new(NEWLINE));
    }

    fn flush(&mut self) {
        let batch = self.batch;
        if let Some(run) = self.run.take() {
            let buffer = if run.rewritten { batch.rewritten.as_slice() } else { &batch.buffer[..] };
            if let Some(slice) = buffer.get(run.start..run.end) {
                self.parts.push(IoSlice::new(slice));
            }
        }
    }

    /// The slices.
    pub fn parts(&mut self) -> &[IoSlice<'a>] {
        self.flush();
        &self.parts
    }

    /// Their length together.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use event::{Extent, Offset, Span};

    use super::*;

    fn batch(buffer: &'static [u8], spans: &[(u32, u32)], offsets: Offsets) -> Batch {
        let event =
            |&(start, len): &(u32, u32)| Event { raw: Span { start, len }, ..Event::default() };
        let extent = Extent {
            shard: "s".into(),
            first_event: 0,
            events_received: spans.len() as u32,
            received_ms: 0,
            broker_ms: Vec::new(),
            offsets,
            start: Offset::ZERO,
            end: Offset::from(99),
            mark: None,
        };
        Batch {
            buffer: bytes::Bytes::from_static(buffer),
            events: spans.iter().map(event).collect(),
            extents: vec![extent],
            ..Batch::default()
        }
    }

    fn text(parts: &mut RowParts<'_>) -> String {
        let bytes: Vec<u8> = parts.parts().iter().flat_map(|part| part.to_vec()).collect();
        assert_eq!(bytes.len() as u64, parts.bytes());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn neighbours_become_one_slice() {
        let spans = [(0, 1), (2, 2), (5, 0), (6, 1)];
        let batch = batch(b"a\nbb\n\nc", &spans, Offsets::Contiguous { base: 0 });
        let mut parts = RowParts::new(&batch);
        batch.events.iter().for_each(|event| parts.push(event));
        assert_eq!(text(&mut parts), "a\nbb\n\nc\n");
        assert_eq!(parts.parts().len(), 3);
        let mut parts = RowParts::new(&batch);
        [0, 2].iter().for_each(|&index: &usize| parts.push(&batch.events[index]));
        assert_eq!(text(&mut parts), "a\n\n");
    }

    #[test]
    fn a_newline_in_a_payload_becomes_a_space() {
        let listed = Offsets::Listed(vec![Offset::ZERO, Offset::from(1)]);
        let mut batch = batch(b"{\n\"a\":\n1}{}", &[(0, 9), (9, 2)], listed);
        batch.rewritten = b"[\n]\n7\n8".to_vec();
        batch.events[1].rewritten = Some(Span { start: 0, len: 3 });
        let rewritten =
            |start| Event { rewritten: Some(Span { start, len: 1 }), ..Event::default() };
        batch.events.extend([rewritten(4), rewritten(6)]);
        let mut parts = RowParts::new(&batch);
        batch.events.iter().for_each(|event| parts.push(event));
        assert_eq!(text(&mut parts), "{ \"a\": 1}\n[ ]\n7\n8\n");
    }
}
