//! Several sorted sources as one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::CompactError;
use super::run::{RowRef, Run, Source, Span};

/// The rows of one partition of several runs in order of time; rows of the same time in the order
/// of the runs.
pub(super) struct Merge<'a> {
    sources: Vec<Source<'a>>,
    /// Time of the current row and place of each source but the current one.
    heap: BinaryHeap<Reverse<(i64, usize)>>,
    current: Option<usize>,
    buffer_bytes: usize,
}

impl<'a> Merge<'a> {
    pub(super) fn new(
        runs: impl Iterator<Item = &'a Run>,
        partition: u32,
        span: Span,
        buffer_bytes: usize,
    ) -> Result<Self, CompactError> {
        let mut sources = Vec::new();
        for run in runs {
            sources.extend(run.source(partition, span, buffer_bytes)?);
        }
        let mut heap = BinaryHeap::new();
        for (at, source) in sources.iter().enumerate() {
            heap.extend(source.time().map(|time| Reverse((time, at))));
        }
        let current = heap.pop().map(|Reverse((_, at))| at);
        Ok(Self { sources, heap, current, buffer_bytes })
    }

    /// The current row.
    #[inline]
    pub(super) fn row(&self) -> Option<RowRef<'_>> {
        self.sources.get(self.current?)?.row()
    }

    /// Goes to the next row.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<(), CompactError> {
        let Some(at) = self.current else { return Ok(()) };
        let Some(source) = self.sources.get_mut(at) else { return Ok(()) };
        source.advance(self.buffer_bytes)?;
        let Some(time) = source.time() else {
            self.current = self.heap.pop().map(|Reverse((_, at))| at);
            return Ok(());
        };
        // Events come nearly in order, so the source that was least mostly still is.
        if let Some(mut least) = self.heap.peek_mut()
            && least.0 < (time, at)
        {
            let next = least.0.1;
            *least = Reverse((time, at));
            self.current = Some(next);
        }
        Ok(())
    }
}
