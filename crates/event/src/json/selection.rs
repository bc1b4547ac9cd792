//! Which fields to note, and where they stood.

use std::ops::Range;
use std::sync::Arc;

use super::fields::{Fields, Slot};
use super::quotes::Quotes;
use super::strings::{Searched, Strings};
use super::trie::{self, Node, NodeId};
use super::{JsonError, JsonErrorKind, Raw, grammar, walk};
use crate::path::FieldPath;

/// Several field paths, compiled for one common walk over each payload.
#[derive(Debug, Clone)]
pub struct Selection {
    paths: Box<[FieldPath]>,
    nodes: Box<[Node]>,
    /// The node at which each path ends.
    ends: Arc<[NodeId]>,
}

impl Selection {
    /// Compiles the paths. A path may stand there twice, and one may lead through another.
    #[must_use]
    pub fn new(paths: &[FieldPath]) -> Selection {
        let (nodes, ends) = trie::lay(paths);
        Selection { paths: paths.into(), nodes: nodes.into(), ends: ends.into() }
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
    /// [`JsonError`]: the first thing that is wrong, except that bytes which aren't UTF-8 are
    /// noticed last. `found` is of no use then.
    pub fn scan(&self, json: &[u8], found: &mut Found) -> Result<(), JsonError> {
        found.begin(self);
        let mut fields = Fields::new(&self.nodes, &mut found.slots);
        match found.quotes.find(json) {
            Some(strings) => document(json, strings, &mut fields),
            None => document(json, Searched::default(), &mut fields),
        }
    }
}

#[cfg(test)]
impl Selection {
    /// The same in the way that payloads with escapes take, for any payload.
    pub(super) fn scan_searching(&self, json: &[u8], found: &mut Found) -> Result<(), JsonError> {
        found.begin(self);
        let mut fields = Fields::new(&self.nodes, &mut found.slots);
        document(json, Searched::default(), &mut fields)
    }
}

/// A whole payload: one object, and nothing but whitespace around it.
fn document<S: Strings>(json: &[u8], strings: S, fields: &mut Fields<'_>) -> Result<(), JsonError> {
    let at = grammar::space(json, 0);
    if grammar::byte(json, at) != b'{' {
        let empty = at == json.len();
        let what = if empty { JsonErrorKind::Empty } else { JsonErrorKind::NotAnObject };
        return grammar::fail(at, what);
    }
    let (end, strings) = walk::value(json, at, strings, fields)?;
    let at = grammar::space(json, end);
    if at < json.len() {
        return grammar::fail(at, JsonErrorKind::TrailingBytes);
    }
    // Outside of strings the grammar has let nothing pass that isn't ASCII.
    if strings.high() { utf8(json) } else { Ok(()) }
}

#[inline(never)]
fn utf8(json: &[u8]) -> Result<(), JsonError> {
    match simdutf8::compat::from_utf8(json) {
        Ok(_) => Ok(()),
        Err(error) => grammar::fail(error.valid_up_to(), JsonErrorKind::InvalidUtf8),
    }
}

/// Where the selected fields stood in the payload that was scanned last. Made once by
/// `Found::default()` (it holds some 16 KiB of working memory) and used again for every payload.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The node at which each path ends, shared with the selection that it is from.
    ends: Arc<[NodeId]>,
    /// By node.
    slots: Vec<Slot>,
    quotes: Quotes,
}

impl Found {
    #[inline(always)]
    fn begin(&mut self, selection: &Selection) {
        if !Arc::ptr_eq(&self.ends, &selection.ends) {
            self.ends = Arc::clone(&selection.ends);
            self.slots.resize(selection.nodes.len(), Slot::ABSENT);
        }
        self.slots.fill(Slot::ABSENT);
    }

    /// The value of the selected path `index` in `json`, which must be the payload that was
    /// scanned last (with another one the answer is wrong, or `None`). `None` if the field isn't
    /// there.
    #[must_use]
    #[inline]
    pub fn get<'a>(&self, json: &'a [u8], index: usize) -> Option<Raw<'a>> {
        json.get(self.span(index)?).map(Raw::whole)
    }

    /// The bytes that the value of the selected path `index` takes in the payload.
    #[must_use]
    #[inline]
    pub fn span(&self, index: usize) -> Option<Range<usize>> {
        let end = *self.ends.get(index)?;
        let (start, end) = self.slots.get(end as usize)?.span()?;
        Some(start..end)
    }
}
