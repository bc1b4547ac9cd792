//! What the queues promise.

mod crash_sweep;
mod kit;
mod rules;
mod space;
mod waiting;
mod world;
