//! Dead letters.

mod hydrate;
mod kit;
mod letter;
mod queue;
mod read;
mod replay;
mod room;
mod store_crash;
