//! The ends of a pipe on trial: a source that hands over what a test gives, a sink that collects.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use event::batch::Offsets;
use event::sink::{Guarantee, Rows, Sink, SinkError, SinkState, Staged, StagedOutput};
use event::source::{Acker, BatchLimits, Received, Source, SourceError, Stop};
use event::{Batch, BatchNumber, Clock, Event, Extent, Offset, Outcome, Span, TestClock};

use crate::config::Given;

/// The one shard that the given events stand in.
const SHARD: &str = "given";

/// What happened, as the ends of the pipe saw it. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Shelf(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    settled: Vec<Settled>,
    delivered: BTreeMap<(BatchNumber, usize), Vec<u8>>,
}

/// An event that was acknowledged.
pub(super) struct Settled {
    /// Which of the given events.
    pub(super) index: usize,
    pub(super) outcome: Outcome,
    pub(super) type_id: u32,
    pub(super) reason: Option<String>,
}

impl Shelf {
    fn with<T>(&self, f: impl FnOnce(&mut Seen) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Everything: what settled, and what was delivered.
    pub(super) fn take(&self) -> (Vec<Settled>, Vec<Vec<u8>>) {
        self.with(|seen| {
            let delivered = std::mem::take(&mut seen.delivered);
            (std::mem::take(&mut seen.settled), delivered.into_values().collect())
        })
    }
}

/// Hands over the given events; those between two waits as one batch.
pub(super) struct GivenSource {
    given: std::vec::IntoIter<Given>,
    /// Events so far.
    next: u64,
    clock: TestClock,
    shelf: Shelf,
}

impl GivenSource {
    pub(super) fn new(given: Vec<Given>, clock: TestClock, shelf: Shelf) -> GivenSource {
        GivenSource { given: given.into_iter(), next: 0, clock, shelf }
    }
}

impl Source for GivenSource {
    fn name(&self) -> &str {
        SHARD
    }

    fn receive(&mut self, limits: &BatchLimits, _: &Stop) -> Result<Received, SourceError> {
        let mut payloads = Vec::new();
        let mut bytes = 0;
        while payloads.len() < limits.events_max && bytes < limits.bytes_max {
            match self.given.as_slice().first() {
                Some(Given::Event(payload)) => {
                    bytes += payload.len();
                    payloads.push(payload.clone());
                }
                // What came before has to be settled first.
                Some(Given::Wait(_)) if !payloads.is_empty() => break,
                Some(Given::Wait(time)) => {
                    self.clock.advance(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
                }
                None => break,
            }
            self.given.next();
        }
        if payloads.is_empty() {
            return Ok(Received::End);
        }
        let first = self.next;
        self.next += payloads.len() as u64;
        Ok(Received::Batch(batch(&payloads, first, self.clock.now_ms())))
    }

    fn acker(&self) -> Box<dyn Acker> {
        Box::new(ShelfAcker(self.shelf.clone()))
    }
}

/// All given events as one batch, to look at.
pub(super) fn scratch_batch(given: &[Given]) -> Batch {
    let payloads = given.iter().filter_map(|given| match given {
        Given::Event(payload) => Some(payload.clone()),
        Given::Wait(_) => None,
    });
    batch(&payloads.collect::<Vec<_>>(), 0, 0)
}

fn batch(payloads: &[Vec<u8>], first: u64, now_ms: i64) -> Batch {
    let mut buffer = Vec::new();
    let mut batch = Batch::default();
    for payload in payloads {
        // A config is far smaller than 4 GiB.
        let start = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        buffer.extend_from_slice(payload);
        buffer.push(b'\n');
        batch.events.push(Event { raw: Span { start, len }, ..Event::default() });
    }
    let end = first + payloads.len() as u64;
    batch.extents.push(Extent {
        shard: SHARD.into(),
        first_event: 0,
        events_received: u32::try_from(payloads.len()).unwrap_or(u32::MAX),
        received_ms: now_ms,
        broker_ms: vec![now_ms; payloads.len()],
        offsets: Offsets::Listed((first..end).map(Offset::from).collect()),
        start: first.into(),
        end: end.into(),
        mark: None,
    });
    batch.buffer = Bytes::from(buffer);
    batch
}

struct ShelfAcker(Shelf);

impl Acker for ShelfAcker {
    fn settled(&mut self, batch: &Batch) -> Result<(), SourceError> {
        for (extent, range) in batch.extent_ranges() {
            for index in range.clone() {
                let Some(event) = batch.events.get(index) else { continue };
                let Some(outcome) = event.fate.outcome() else { continue };
                let at = batch.position(extent, &range, index).0.as_u64();
                let reason = batch
                    .rejection(event)
                    .map(|rejection| format!("{}: {}", rejection.reason, rejection.detail));
                self.0.with(|seen| {
                    seen.settled.push(Settled {
                        index: at.and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX),
                        outcome,
                        type_id: event.type_id,
                        reason,
                    });
                });
            }
        }
        Ok(())
    }
}

/// A sink that keeps what it gets, or forgets it.
pub(super) struct Collector {
    name: String,
    /// Its bit of the routes.
    number: u8,
    shelf: Option<Shelf>,
}

impl Collector {
    pub(super) fn new(name: &str, number: u8, shelf: Option<Shelf>) -> Collector {
        Collector { name: name.to_owned(), number, shelf }
    }
}

impl Sink for Collector {
    fn name(&self) -> &str {
        &self.name
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn open(&mut self, _: &SinkState) -> Result<StagedOutput, SinkError> {
        Ok(StagedOutput::default())
    }

    fn stage(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError> {
        if let Some(shelf) = &self.shelf {
            // An event that goes to several sinks is delivered once, as the tests see it.
            let first = rows
                .iter()
                .filter(|(_, event)| event.routes.trailing_zeros() == u32::from(self.number));
            let bodies =
                first.map(|(index, event)| ((rows.number, index), rows.batch.body(event).to_vec()));
            shelf.with(|seen| seen.delivered.extend(bodies));
        }
        Ok(Staged::nothing())
    }

    fn withdraw(&mut self, _: &StagedOutput) -> Result<(), SinkError> {
        Ok(())
    }
}
