//! Receivers behind HTTP: a client that calls them, and the sink that delivers events to one.
//!
//! Start reading at [`sink`]: a wave of events is planned into calls ([`plan`]), worker threads
//! ([`workers`]) make them with the [`client`], and what a call says of its events is read by
//! [`failure`] (status and connection) and [`partial`] (a list of failed events).

mod auth;
pub mod client;
mod connect;
pub mod error;
mod failure;
mod key;
mod oauth;
pub mod options;
mod partial;
mod plan;
mod rate;
mod secrets;
pub mod sink;
mod tls;
mod wave;
mod workers;

pub use client::{ANSWER_BYTES_MAX, HttpAnswer, HttpClient, HttpRequest, NotAnswered};
pub use error::HttpError;
pub use options::{HttpAuth, HttpBody, HttpOptions};
pub use sink::HttpSink;

/// What of a URL may be shown: scheme, host and port. Path and query may hold secrets.
#[must_use]
pub(crate) fn origin(url: &str) -> String {
    let Ok(uri) = url.parse::<ureq::http::Uri>() else { return "(not a URL)".into() };
    let host = uri.host().unwrap_or("");
    let scheme = uri.scheme_str().unwrap_or("http");
    match uri.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}
