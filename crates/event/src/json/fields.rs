//! Which of the selected fields a walk is in, and where those stand that it has met.

use super::JsonErrorKind;
use super::trie::{NONE, Node, NodeId};

/// What is known of the field of one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    start: usize,
    end: usize,
    /// In an array: the index of the element that comes next.
    next_index: u32,
}

impl Slot {
    /// Not met yet.
    pub(super) const ABSENT: Slot = Slot { start: usize::MAX, end: usize::MAX, next_index: 0 };

    /// Where the value begins and ends, if there is one.
    pub(super) fn span(&self) -> Option<(usize, usize)> {
        (self.start != usize::MAX).then_some((self.start, self.end))
    }
}

/// The selected fields during one walk.
///
/// A node stands for one place in the document, so the walk needs no stack: the innermost open
/// container that is on the way to a selected field is `innermost`, and the one around it is that
/// node's parent.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    nodes: &'a [Node],
    /// By node.
    slots: &'a mut [Slot],
    innermost: NodeId,
}

impl<'a> Fields<'a> {
    pub(super) fn new(nodes: &'a [Node], slots: &'a mut [Slot]) -> Fields<'a> {
        Fields { nodes, slots, innermost: 0 }
    }

    fn node(&self, id: NodeId) -> Option<&'a Node> {
        self.nodes.get(id as usize)
    }

    fn slot(&mut self, id: NodeId) -> Option<&mut Slot> {
        self.slots.get_mut(id as usize)
    }

    /// What is looked for in this container: [`Node::name_lengths`] of an object; of an array not 0
    /// if there is anything.
    fn wanted(node: &Node, object: bool) -> u64 {
        if object { node.name_lengths() } else { u64::from(node.has_elements()) }
    }

    /// The value of node `id`, a container, begins. Answers what is looked for in it.
    #[inline(never)]
    pub(super) fn open(&mut self, id: NodeId, at: usize, object: bool) -> u64 {
        self.note(id, at, at);
        match self.node(id) {
            None => 0,
            Some(node) => {
                self.innermost = id;
                Self::wanted(node, object)
            }
        }
    }

    /// The innermost of `depth` open containers, of a node or not, ended. Answers what is looked
    /// for in the one around it, which is an object or not.
    #[inline(never)]
    pub(super) fn close(&mut self, depth: usize, end: usize, object: bool) -> u64 {
        let Some(node) = self.node(self.innermost) else { return 0 };
        let mut around = node;
        if node.level + 1 == depth {
            if let Some(slot) = self.slot(self.innermost) {
                slot.end = end;
            }
            self.innermost = node.parent;
            around = self.node(node.parent).unwrap_or(node);
        }
        if around.level + 2 == depth { Self::wanted(around, object) } else { 0 }
    }

    /// The field of the innermost container whose name stands at `start..end`.
    #[inline(never)]
    pub(super) fn field(&self, json: &[u8], start: usize, end: usize, escaped: bool) -> NodeId {
        match self.node(self.innermost) {
            None => NONE,
            Some(node) if escaped => node.field_by_text(json, start, end),
            Some(node) => node.field(json, start, end),
        }
    }

    /// Whether the walk has met that field before.
    #[inline(always)]
    pub(super) fn is_known(&self, id: NodeId) -> bool {
        self.slots.get(id as usize).is_some_and(|slot| slot.start != usize::MAX)
    }

    /// What is wrong if it meets it again.
    #[cold]
    pub(super) fn ambiguous(&self, id: NodeId) -> JsonErrorKind {
        JsonErrorKind::AmbiguousField(self.node(id).map_or(0, |node| node.path))
    }

    /// The next element of the innermost container.
    #[inline(never)]
    pub(super) fn element(&mut self) -> NodeId {
        let Some(node) = self.node(self.innermost) else { return NONE };
        let Some(slot) = self.slot(self.innermost) else { return NONE };
        let index = slot.next_index;
        slot.next_index = index.saturating_add(1);
        node.element(index)
    }

    /// Notes where the value of node `id` begins and ends.
    #[inline(always)]
    pub(super) fn note(&mut self, id: NodeId, start: usize, end: usize) {
        if let Some(slot) = self.slot(id) {
            *slot = Slot { start, end, next_index: 0 };
        }
    }
}
