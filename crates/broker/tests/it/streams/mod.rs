//! Streams.

mod basics;
mod kit;
