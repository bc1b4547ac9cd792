//! Reads records back.

use super::error::ReadError;
use super::position::Position;

/// Reads the durable records of an open journal, in order.
pub struct Reader {}

impl Reader {
    /// The next record; `None` when the end of what is durable is reached (a later call may find
    /// more).
    ///
    /// # Errors
    /// See [`ReadError`].
    #[expect(clippy::should_implement_trait, reason = "lends from the reader's buffer")]
    pub fn next(&mut self) -> Result<Option<(Position, &[u8])>, ReadError> {
        Ok(None)
    }
}
