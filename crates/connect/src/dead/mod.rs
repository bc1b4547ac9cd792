//! Dead letters: events that could not be delivered, whole (P5), in a folder whose names list by
//! consumer, time and partition key, and, where the config says so, in a queue too.
//!
//! A letter's way: a dead event of a batch becomes a [`Letter`] ([`letter`]), stands in its file
//! as [`form`] says, and is staged and published by [`store`] and [`queue`]. [`read`] finds it
//! again, [`replay`] makes a batch of it, [`hydrate`] makes letters out of queues that other
//! systems filled.

mod form;
pub mod hydrate;
mod id;
mod letter;
pub mod name;
mod publish;
pub mod queue;
pub mod read;
pub mod replay;
mod room;
mod staged;
pub mod store;

pub use form::{LetterError, ReadLetter, VERSION};
pub use id::{letter_id, parse_id, show_id};
pub use letter::{Letter, LetterContext};
pub use name::LetterName;
pub use queue::DeadQueue;
pub use read::{
    After, DeadFolder, FindError, Found, LetterFilter, Letters, Names, Skipped, Standing,
};
pub use replay::{Refused, ReplayBatch, admit, batch_of};
pub use store::{DeadStore, DeadStoreOptions};
