//! HTTP: listener, limits, the host check, routing.

mod answer;
mod body;
mod connection;
mod connections;
mod host;
mod listener;
mod request_id;
mod route;
mod watched;

pub(crate) use answer::Answer;
pub(crate) use connections::{Connections, sweep};
pub(crate) use host::HostCheck;
pub(crate) use listener::listen;
