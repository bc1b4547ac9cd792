//! What the queues promise.

mod backlog;
mod crash_sweep;
mod kit;
mod reference;
mod rules;
mod space;
mod threads_crash;
mod waiting;
mod world;
