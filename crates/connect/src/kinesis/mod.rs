//! Streams: as a source on the embedded broker or behind an endpoint, and as a sink.

pub mod embedded;
pub mod endpoint;
mod filling;
pub mod target;

/// Where to begin in a shard that the pipe hasn't read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamStart {
    /// With the oldest record.
    TrimHorizon,
    /// With the first record that comes after the start.
    Latest,
    /// With the first record that came then or later; ms since the Unix epoch.
    AtTimestamp(i64),
}
