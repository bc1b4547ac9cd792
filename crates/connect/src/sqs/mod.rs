//! Queues: as a source on the embedded broker or behind an endpoint, and as a sink.

pub mod embedded;
pub mod endpoint;
mod filling;
pub mod target;
