//! Enriching: adds to an event what is known elsewhere, from a table in a file or by a call.
//!
//! A batch is enriched in two passes. In the first one [`Enricher::collect`] notes what an event
//! asks for; [`Enricher::fetch`] then gets all answers at once; in the second one
//! [`Enricher::apply`] puts them into the payloads. An answer that wasn't collected is fetched
//! alone, so that leaving the first pass out is slow and never wrong.

use std::sync::Arc;

use event::source::Stop;

use super::transform::Applied;
use crate::config::EnrichConfig;

/// What all workers of a pipe share: tables, caches, connections.
#[derive(Debug)]
pub struct Enrichers {}

/// Why enrichment can't begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("enrich {position}: {message}")]
pub struct EnrichError {
    /// Its place in the list, from 1.
    pub position: usize,
    /// What is wrong.
    pub message: String,
}

/// An event that can't be enriched: it is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("enrich {position}: {message}")]
pub struct EnrichFault {
    /// Its place in the list, from 1.
    pub position: usize,
    /// A stable snake_case name, used as the reason of the rejection.
    pub name: &'static str,
    /// What is wrong.
    pub message: String,
}

/// The pipe was asked to stop while a call was being tried again: the batch must be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("asked to stop while an enrichment was being fetched")]
pub struct Stopped;

impl Enrichers {
    /// Loads tables and makes the clients.
    ///
    /// # Errors
    /// [`EnrichError`]: a table can't be read, a client can't be made.
    pub fn new(_configs: &[EnrichConfig]) -> Result<Arc<Enrichers>, EnrichError> {
        Ok(Arc::new(Enrichers {}))
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_noop(&self) -> bool {
        true
    }

    /// Whether answers come from calls, so that the first pass over a batch is worth it.
    #[must_use]
    pub fn calls(&self) -> bool {
        false
    }
}

/// One worker.
#[derive(Debug)]
pub struct Enricher {
    #[expect(dead_code, reason = "the parts follow")]
    shared: Arc<Enrichers>,
}

impl Enricher {
    /// A worker with buffers of its own. `stop` ends the waiting for a service that is away.
    #[must_use]
    pub fn new(shared: Arc<Enrichers>, _stop: Stop) -> Enricher {
        Enricher { shared }
    }

    /// First pass: notes what an event of the batch asks for. `payload` is one that the scanner
    /// has accepted.
    pub fn collect(&mut self, _payload: &[u8]) {}

    /// Between the passes: looks whether tables have changed, gets the answers that calls give.
    /// Waits as long as a service is away.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn fetch(&mut self) -> Result<(), Stopped> {
        Ok(())
    }

    /// Second pass: appends the payload with the answers in it to `out`, if there are any.
    ///
    /// # Errors
    /// [`EnrichFault`]: the event is rejected; `out` is as it was then.
    pub fn apply(&mut self, _payload: &[u8], _out: &mut Vec<u8>) -> Result<Applied, EnrichFault> {
        Ok(Applied::Same)
    }
}
