//! Where a record stands.

use std::fmt;

/// Where a record stands in its journal.
///
/// Positions grow with every record and are never used again, but they are not dense: the
/// difference of two positions is about the bytes between them. Only a position that the journal
/// gave out is the position of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
