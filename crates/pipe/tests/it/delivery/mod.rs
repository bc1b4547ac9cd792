//! Sinks that deliver at once: retries, circuits, order, letters, parking.

mod circuit;
pub(crate) mod kit;
mod parking;
mod poison;
mod replay;
mod retry;
mod sinks;
mod sweep;
