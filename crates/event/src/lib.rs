//! The words that every crate above speaks: event, batch, position, outcome, `Source`, `Sink`,
//! clock, and the lazy look into an event's raw bytes.
//!
//! This crate deliberately knows nothing of disks, ledgers, brokers or configuration, and it
//! builds no tree per event: a batch owns one read buffer, and an event is a few numbers that
//! point into it.
//!
//! Start reading at [`batch::Batch`], then [`source::Source`] and [`sink::Sink`]: an event's way
//! goes from `Source::receive` through a batch to `Sink::stage` and `Publisher::publish`.

pub mod batch;
pub mod clock;
pub mod death;
pub mod ids;
pub mod json;
pub mod outcome;
pub mod path;
pub mod position;
pub mod replay;
pub mod sink;
pub mod source;

pub use batch::{Batch, DuplicateOf, Event, Extent, Rejection, Span};
pub use clock::{Clock, SystemClock, TestClock};
pub use death::{Attempt, Death};
pub use ids::{BatchNumber, Epoch, LedgerId};
pub use outcome::{Fate, Marks, Outcome};
pub use position::{Offset, ShardId};
pub use replay::{Origin, Replay, Replayed};
