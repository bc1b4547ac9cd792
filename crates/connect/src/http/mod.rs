//! Receivers behind HTTP: how they are called.

pub mod options;

pub use options::{HttpAuth, HttpBody, HttpOptions};

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
