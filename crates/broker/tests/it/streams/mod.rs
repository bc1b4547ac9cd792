//! Streams.

mod basics;
mod crash;
mod fixture;
mod kit;
mod no_space;
mod parallel;
mod reads;
mod unreadable;
mod world;
