//! Streams.

mod basics;
mod crash;
mod kit;
mod no_space;
mod parallel;
mod world;
