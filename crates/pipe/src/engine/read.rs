//! The first step: receive, and leave out what an earlier run settled.

use event::batch::{Mixed, Offsets};
use event::source::{BatchLimits, Received, ShardState, Source, SourceError, SourceState, Stop};
use event::{Batch, Fate};

use crate::replay::Outbox;

/// Receives batches.
pub struct Read {
    source: Box<dyn Source>,
    settled: SourceState,
    limits: BatchLimits,
    outbox: Outbox,
}

impl Read {
    /// `settled` is what the ledger knew of the source at the start.
    #[must_use]
    pub fn new(
        source: Box<dyn Source>,
        settled: SourceState,
        limits: BatchLimits,
        outbox: Outbox,
    ) -> Self {
        Self { source, settled, limits, outbox }
    }

    /// The next batch, with the positions marked [`Fate::Reread`] that recovery drops before they
    /// are decoded (DESIGN §3 "Positions have gaps then").
    ///
    /// # Errors
    /// [`SourceError`].
    pub fn receive(&mut self, stop: &Stop) -> Result<Received, SourceError> {
        if let Some(batch) = self.outbox.next() {
            return Ok(Received::Batch(batch));
        }
        let mut received = self.source.receive(&self.limits, stop)?;
        if let Received::Batch(batch) = &mut received {
            self.drop_settled(batch);
        }
        Ok(received)
    }

    /// What the source has to say at its end.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        self.source.remarks()
    }

    fn drop_settled(&self, batch: &mut Batch) {
        if self.settled.is_empty() {
            return;
        }
        let mut settled = Vec::new();
        for (extent, range) in batch.extent_ranges() {
            match &extent.offsets {
                Offsets::Contiguous { .. } | Offsets::Listed(_) => {}
                Offsets::Mixed(mixed) => {
                    self.find_settled(mixed, range.start, &mut settled);
                    continue;
                }
                // A source of messages knows by itself which of them were settled.
                Offsets::Messages(_) | Offsets::Nowhere(_) => continue,
            }
            let Some(shard) = self.settled.get(&extent.shard) else { continue };
            let beyond = shard.settled_beyond.last().map_or(shard.settled_through, |last| last.1);
            if extent.start >= beyond {
                continue;
            }
            for index in range.clone() {
                if shard.is_settled(batch.position(extent, &range, index).0) {
                    settled.push(index);
                }
            }
        }
        for index in settled {
            if let Some(event) = batch.events.get_mut(index) {
                event.fate = Fate::Reread;
            }
        }
    }

    /// Adds the events of a mixed extent, which begins at event `first`, that are settled.
    fn find_settled(&self, mixed: &Mixed, first: usize, settled: &mut Vec<usize>) {
        let beyond = |shard: &ShardState| {
            shard.settled_beyond.last().map_or(shard.settled_through, |last| last.1)
        };
        let known: Vec<Option<&ShardState>> = mixed
            .shards
            .iter()
            .map(|shard| self.settled.get(&shard.shard).filter(|known| shard.start < beyond(known)))
            .collect();
        if known.iter().all(Option::is_none) {
            return;
        }
        for (within, (of, offset)) in mixed.of.iter().zip(&mixed.offsets).enumerate() {
            let shard = known.get(usize::from(*of)).copied().flatten();
            if shard.is_some_and(|shard| shard.is_settled(*offset)) {
                settled.push(first + within);
            }
        }
    }

    /// How far the source is behind.
    #[must_use]
    pub fn status(&self) -> Option<std::sync::Arc<event::source::SourceStatus>> {
        self.source.status()
    }
}
