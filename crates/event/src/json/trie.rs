//! The selected paths, laid over each other.

use super::grammar::window;
use super::text;
use crate::path::{FieldPath, Step};

/// A place in the trie: one field that is selected, or on the way to one. 0 is the whole document.
pub(super) type NodeId = u32;

/// No field that anybody asked for.
pub(super) const NONE: NodeId = NodeId::MAX;

/// One place of the trie with the ways that lead on from there.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    fields: Vec<Field>,
    elements: Vec<(u32, NodeId)>,
    /// See [`Node::name_lengths`].
    name_lengths: u64,
    /// How many steps lead here: its value stands in as many containers.
    pub(super) level: usize,
    /// The node that the last of them comes from.
    pub(super) parent: NodeId,
    /// The first path that leads here.
    pub(super) path: usize,
}

#[derive(Debug, Clone)]
struct Field {
    name: Box<str>,
    /// The first and the last eight bytes of the name, which are all of it up to 16. A shorter one
    /// than eight is padded with zeros in `head`, and `tail` is zero.
    head: u64,
    tail: u64,
    child: NodeId,
}

/// Lays the paths over each other. Also answers at which node each of them ends.
pub(super) fn lay(paths: &[FieldPath]) -> (Vec<Node>, Vec<NodeId>) {
    let mut nodes = vec![Node::default()];
    let ends = paths.iter().enumerate().map(|(path, steps)| {
        steps.steps().iter().fold(0, |id, step| descend(&mut nodes, id, step, path))
    });
    let ends = ends.collect();
    (nodes, ends)
}

/// The node that `step` leads to from node `id`; made if there is none yet.
fn descend(nodes: &mut Vec<Node>, id: NodeId, step: &Step, path: usize) -> NodeId {
    let fresh = nodes.len() as NodeId;
    let Some(node) = nodes.get_mut(id as usize) else { return id };
    let level = node.level + 1;
    let known = match step {
        Step::Field(name) => node.fields.iter().find(|own| own.name == *name).map(|own| own.child),
        Step::Index(index) => Some(node.element(*index)).filter(|child| *child != NONE),
    };
    if let Some(child) = known {
        return child;
    }
    match step {
        Step::Field(name) => {
            node.name_lengths |= length_bit(name.len());
            node.fields.push(Field::new(name, fresh));
        }
        Step::Index(index) => node.elements.push((*index, fresh)),
    }
    nodes.push(Node { level, parent: id, path, ..Node::default() });
    fresh
}

#[inline(always)]
fn length_bit(len: usize) -> u64 {
    1 << len.min(63)
}

/// Whether a name of this length is among the [`Node::name_lengths`].
#[inline(always)]
pub(super) fn may_be(name_lengths: u64, len: usize) -> bool {
    name_lengths & length_bit(len) != 0
}

impl Field {
    fn new(name: &str, child: NodeId) -> Field {
        let bytes = name.as_bytes();
        let head = match bytes.first_chunk() {
            Some(head) => *head,
            None => std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0)),
        };
        let tail = bytes.last_chunk().copied().unwrap_or([0; 8]);
        let (head, tail) = (u64::from_le_bytes(head), u64::from_le_bytes(tail));
        Field { name: name.into(), head, tail, child }
    }
}

impl Node {
    /// A node that leads nowhere.
    pub(super) const fn leaf() -> Node {
        Node {
            fields: Vec::new(),
            elements: Vec::new(),
            name_lengths: 0,
            level: 0,
            parent: 0,
            path: 0,
        }
    }

    /// Bit n says that a field's name is n bytes long (63: or longer). Most names of a payload are
    /// told apart from the selected ones by this alone.
    pub(super) fn name_lengths(&self) -> u64 {
        self.name_lengths
    }

    pub(super) fn has_elements(&self) -> bool {
        !self.elements.is_empty()
    }

    /// The node of the field whose name stands, without an escape, at `start..end`.
    #[inline(always)]
    pub(super) fn field(&self, json: &[u8], start: usize, end: usize) -> NodeId {
        let len = end - start;
        let (Some(head), 0..=16) = (window(json, start), len) else {
            return self.field_by_text(json, start, end);
        };
        let mut head = u64::from_le_bytes(*head);
        let mut tail = 0;
        if len < 8 {
            head &= (1 << (8 * len)) - 1;
        } else if let Some(bytes) = window(json, end - 8) {
            tail = u64::from_le_bytes(*bytes);
        }
        let is = |own: &&Field| own.head == head && own.tail == tail && own.name.len() == len;
        self.fields.iter().find(is).map_or(NONE, |own| own.child)
    }

    /// The node of the field whose name stands at `start..end`, perhaps with escapes.
    #[inline(never)]
    pub(super) fn field_by_text(&self, json: &[u8], start: usize, end: usize) -> NodeId {
        let name = json.get(start..end).unwrap_or_default();
        let is = |own: &&Field| text::stands_for(name, own.name.as_bytes());
        self.fields.iter().find(is).map_or(NONE, |own| own.child)
    }

    /// The node of the element at this index.
    pub(super) fn element(&self, index: u32) -> NodeId {
        let is = |own: &&(u32, NodeId)| own.0 == index;
        self.elements.iter().find(is).map_or(NONE, |own| own.1)
    }
}
