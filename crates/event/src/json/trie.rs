//! The selected paths, laid over each other.

use super::text;
use crate::path::{FieldPath, Step};

/// A place in the [`Trie`]: one field that is selected, or on the way to one.
pub(super) type NodeId = u32;

/// The tree of all steps of all paths. Node 0 is the whole document.
#[derive(Debug, Clone)]
pub(super) struct Trie {
    nodes: Box<[Node]>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    fields: Vec<(Box<str>, NodeId)>,
    elements: Vec<(u32, NodeId)>,
    /// Bit n says that a name in `fields` is n bytes long (63: or longer). Most names of a payload
    /// are told apart by this alone.
    lengths: u64,
    /// The first path that leads here.
    path: usize,
}

impl Trie {
    /// Lays the paths over each other. Also answers where each of them ends.
    pub(super) fn new(paths: &[FieldPath]) -> (Trie, Vec<NodeId>) {
        let mut nodes = vec![Node::default()];
        let ends = paths.iter().enumerate().map(|(path, steps)| {
            steps.steps().iter().fold(0, |id, step| descend(&mut nodes, id, step, path))
        });
        let ends = ends.collect();
        (Trie { nodes: nodes.into() }, ends)
    }

    #[inline(always)]
    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id as usize)
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }
}

/// The node that `step` leads to from node `id`; made if there is none yet.
fn descend(nodes: &mut Vec<Node>, id: NodeId, step: &Step, path: usize) -> NodeId {
    let fresh = nodes.len() as NodeId;
    let Some(node) = nodes.get_mut(id as usize) else { return id };
    let child = match step {
        Step::Field(name) => {
            let known = node.fields.iter().find(|(own, _)| own == name);
            known.map(|(_, child)| *child).unwrap_or_else(|| {
                node.lengths |= length_bit(name.len());
                node.fields.push((name.clone(), fresh));
                fresh
            })
        }
        Step::Index(index) => node.element(*index).unwrap_or_else(|| {
            node.elements.push((*index, fresh));
            fresh
        }),
    };
    if child == fresh {
        nodes.push(Node { path, ..Node::default() });
    }
    child
}

#[inline(always)]
fn length_bit(len: usize) -> u64 {
    1 << len.min(63)
}

impl Node {
    pub(super) fn path(&self) -> usize {
        self.path
    }

    pub(super) fn has_fields(&self) -> bool {
        !self.fields.is_empty()
    }

    pub(super) fn has_elements(&self) -> bool {
        !self.elements.is_empty()
    }

    /// Whether a field of this length is looked for at all.
    #[inline(always)]
    pub(super) fn may_have(&self, len: usize) -> bool {
        self.lengths & length_bit(len) != 0
    }

    /// The node of the field with this name (as it stands between its quotes).
    #[inline(always)]
    pub(super) fn field(&self, name: &[u8]) -> Option<NodeId> {
        self.fields.iter().find(|(own, _)| own.as_bytes() == name).map(|(_, child)| *child)
    }

    /// The node of the field whose name holds escapes.
    #[cold]
    pub(super) fn escaped_field(&self, name: &[u8]) -> Option<NodeId> {
        let mut fields = self.fields.iter();
        fields.find(|(own, _)| text::stands_for(name, own.as_bytes())).map(|(_, child)| *child)
    }

    /// The node of the element at this index.
    pub(super) fn element(&self, index: u32) -> Option<NodeId> {
        self.elements.iter().find(|(own, _)| *own == index).map(|(_, child)| *child)
    }
}
