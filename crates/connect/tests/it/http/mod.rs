//! The http sink against receivers that behave and that don't.

mod auth;
mod batches;
mod broken;
mod keys;
mod kit;
mod rate;
mod statuses;
mod tls;
mod waves;
