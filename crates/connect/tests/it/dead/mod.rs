//! Dead letters.

mod kit;
mod letter;
mod queue;
mod read;
mod replay;
mod room;
mod store_crash;
