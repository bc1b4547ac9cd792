//! Why a client can't be made.

use std::path::PathBuf;

/// Options that can't be used. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The URL can't be called.
    #[error("the URL {origin} can't be called: {why}")]
    Url {
        /// What of it may be shown.
        origin: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The method isn't one that sends a body.
    #[error("`{method}` is not a method that events can be sent with: take POST, PUT or PATCH")]
    Method {
        /// As given.
        method: String,
    },
    /// A header can't be sent.
    #[error("the header `{name}` can't be sent: {why}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The file of certificates can't be read.
    #[error("cannot read {}: {error}", path.display())]
    CaFile {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: std::io::Error,
    },
    /// The file of certificates holds none.
    #[error("{} holds no certificate (PEM, `-----BEGIN CERTIFICATE-----`)", .0.display())]
    CaFileEmpty(PathBuf),
    /// There is nobody to trust.
    #[error(
        "no trusted certificates were found on this system, so nothing behind https:// can be \
         called: install them (`ca-certificates`), or name a file with `ca_file`"
    )]
    NoRoots,
    /// A thread can't be started.
    #[error("cannot start a thread for calls: {0}")]
    Thread(#[source] std::io::Error),
}
