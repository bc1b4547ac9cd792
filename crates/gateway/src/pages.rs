//! Pages that others provide.

/// A page to answer a GET with.
#[derive(Clone, Debug)]
pub struct Page {
    /// HTTP status.
    pub status: u16,
    /// Its `content-type`.
    pub content_type: &'static str,
    /// The content.
    pub body: Vec<u8>,
}

/// Pages for GET requests: `/metrics`, `/healthz`, `/readyz` and the like. Called on the gateway's
/// threads, so it must not wait for long.
pub trait Pages: Send + Sync + 'static {
    /// The page at `path` (without its query), or `None`: 404.
    fn page(&self, path: &str) -> Option<Page>;
}

/// No pages at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPages;

impl Pages for NoPages {
    fn page(&self, _path: &str) -> Option<Page> {
        None
    }
}
