//! Which fields to note, and where they stood.

use std::ops::Range;
use std::sync::Arc;

use super::scan::{Next, Scanner, Stop};
use super::trie::{Node, NodeId, Trie};
use super::{DEPTH_MAX, JsonError, JsonErrorKind, Raw};
use crate::path::FieldPath;

/// Several field paths, compiled for one common walk over each payload.
#[derive(Debug, Clone)]
pub struct Selection {
    paths: Box<[FieldPath]>,
    trie: Trie,
    /// The node at which each path ends.
    ends: Arc<[NodeId]>,
}

impl Selection {
    /// Compiles the paths. A path may stand there twice, and one may lead through another.
    #[must_use]
    pub fn new(paths: &[FieldPath]) -> Selection {
        let (trie, ends) = Trie::new(paths);
        Selection { paths: paths.into(), trie, ends: ends.into() }
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
        let mut walk =
            Walk { scanner: Scanner::new(json), trie: &self.trie, spans: &mut found.spans };
        match walk.document() {
            Ok(()) => Ok(()),
            Err(Stop) => Err(walk.scanner.error()),
        }
    }
}

/// Where the selected fields stood in the payload that was scanned last. Made once by
/// `Found::default()` and used again for every payload.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The node at which each path ends, shared with the selection that it is from.
    ends: Arc<[NodeId]>,
    /// By node.
    spans: Vec<Span>,
}

/// Where a value begins and ends; `ABSENT` if it isn't there.
type Span = (usize, usize);

const ABSENT: Span = (usize::MAX, usize::MAX);

impl Found {
    #[inline(always)]
    fn begin(&mut self, selection: &Selection) {
        if !Arc::ptr_eq(&self.ends, &selection.ends) {
            self.ends = Arc::clone(&selection.ends);
            self.spans.resize(selection.trie.len(), ABSENT);
        }
        self.spans.fill(ABSENT);
    }

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
        let end = *self.ends.get(index)?;
        let span = *self.spans.get(end as usize)?;
        (span != ABSENT).then_some(span.0..span.1)
    }
}

/// One walk over one payload. It recurses only into fields that are on the way to a selected one,
/// so no deeper than a path has steps; all else is left to the scanner.
struct Walk<'a> {
    scanner: Scanner<'a>,
    trie: &'a Trie,
    spans: &'a mut [Span],
}

impl Walk<'_> {
    fn document(&mut self) -> Result<(), Stop> {
        let at = self.scanner.space(0);
        if self.scanner.byte(at) != b'{' {
            let empty = at == self.scanner.json().len();
            let what = if empty { JsonErrorKind::Empty } else { JsonErrorKind::NotAnObject };
            return Err(self.scanner.stop(at, what));
        }
        let end = self.field(0, at, at, 0)?;
        self.scanner.finish(end)
    }

    /// The value at `at` of a node, with `depth` containers around it. A second one for the same
    /// node is refused; `name` is where it is named.
    fn field(&mut self, id: NodeId, name: usize, at: usize, depth: usize) -> Result<usize, Stop> {
        let (Some(node), Some(span)) = (self.trie.node(id), self.spans.get(id as usize)) else {
            return self.scanner.value(at, depth);
        };
        if *span != ABSENT {
            return Err(self.scanner.stop(name, JsonErrorKind::AmbiguousField(node.path())));
        }
        let byte = self.scanner.byte(at);
        let inside = (byte == b'{' && node.has_fields()) || (byte == b'[' && node.has_elements());
        let end = if !inside {
            self.scanner.value(at, depth)?
        } else if depth == DEPTH_MAX {
            return Err(self.scanner.stop(at, JsonErrorKind::TooDeep));
        } else if byte == b'{' {
            self.object(node, at, depth + 1)?
        } else {
            self.array(node, at, depth + 1)?
        };
        if let Some(span) = self.spans.get_mut(id as usize) {
            *span = (at, end);
        }
        Ok(end)
    }

    fn object(&mut self, node: &Node, open: usize, depth: usize) -> Result<usize, Stop> {
        let Some(mut at) = self.scanner.open(open, b'{', b'}') else {
            return Ok(self.scanner.space(open + 1) + 1);
        };
        loop {
            let name = self.scanner.name(at)?;
            let len = name.end - at - 1;
            let child = if node.may_have(len) || name.escaped {
                let text = self.scanner.json().get(at + 1..name.end).unwrap_or_default();
                if name.escaped { node.escaped_field(text) } else { node.field(text) }
            } else {
                None
            };
            let end = match child {
                None => self.scanner.value(name.value, depth)?,
                Some(child) => self.field(child, at, name.value, depth)?,
            };
            match self.scanner.comma(end, b'}')? {
                Next::More(next) => at = next,
                Next::Closed(end) => return Ok(end),
            }
        }
    }

    fn array(&mut self, node: &Node, open: usize, depth: usize) -> Result<usize, Stop> {
        let Some(mut at) = self.scanner.open(open, b'[', b']') else {
            return Ok(self.scanner.space(open + 1) + 1);
        };
        let mut index = 0_u32;
        loop {
            let end = match node.element(index) {
                None => self.scanner.value(at, depth)?,
                Some(child) => self.field(child, at, at, depth)?,
            };
            index = index.saturating_add(1);
            match self.scanner.comma(end, b']')? {
                Next::More(next) => at = next,
                Next::Closed(end) => return Ok(end),
            }
        }
    }
}
