//! What the queues promise.

mod kit;
mod rules;
