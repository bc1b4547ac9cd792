//! What the queues promise.

mod crash_sweep;
mod kit;
mod rules;
mod world;
