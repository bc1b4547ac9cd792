//! Standard queues: messages that hide while they are worked on, and come back until deleted.
//!
//! The way of a message: `send.rs` puts its record together, `shared.rs` sends it to the journal,
//! `effect.rs` shows it once it is durable, `receive.rs` hides it, `removal.rs` lets it go,
//! `cleaner.rs` gives its space back. `replay.rs` makes the same of the journal after a restart.

mod attributes;
mod bodies;
mod cleaner;
mod core;
mod effect;
mod housekeeping;
mod line;
mod message;
mod options;
mod queue;
#[expect(clippy::module_inception, reason = "the noun is that of the module")]
mod queues;
mod receipt_problem;
mod receive;
mod record;
mod removal;
mod replay;
mod segments;
mod send;
mod shared;
mod signal;
mod slots;
mod statistics;
mod warnings;

pub use attributes::{QueueAttributes, Redrive};
pub use message::{Message, MessageAttribute, MessageId, NewMessage, Receipt, Receive};
pub use options::QueuesOptions;
pub use queue::Queue;
pub use queues::Queues;
pub use receipt_problem::ReceiptProblem;
pub use statistics::QueueStatistics;
