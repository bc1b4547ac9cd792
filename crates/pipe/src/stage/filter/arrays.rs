//! Matching where the pattern leads into arrays of objects: all fields of a match come from the
//! same element of each array that they stand in.
//!
//! An element that is an object or an array opens a *scope*; scopes nest as the elements do, and
//! the event itself is the outermost. A value stands in the innermost scope around it. Two values
//! go together if the scope of one lies within that of the other. (Values of one field's path
//! can't part into two different arrays, unless an event spells one path both with dots and
//! nested; then the two don't go together here, and would with the service.)
//!
//! A combination of conditions is decided one by one, in the order of their paths, with the set of
//! scopes that the values so far allow. That takes time in proportion to the size of the event,
//! not to the number of ways in which elements could combine.

use super::walk::child;
use super::{Condition, Node, Pattern};
use crate::stage::cursor::Cursor;

/// Whether an event matches, decided with scopes.
pub(super) fn matches(pattern: &Pattern, json: &[u8]) -> bool {
    let Some(top) = pattern.nodes.first() else { return false };
    let values = vec![Values::default(); pattern.conditions.len()];
    let mut event = Event { pattern, cursor: Cursor::new(json), scopes: Vec::new(), values };
    event.scopes.push(Scope { parent: 0, end: 0, node: 0, depth: 0 });
    event.value(top, 0);
    event.close(0);
    for values in &mut event.values {
        values.sort();
    }
    let mut marks = Marks { round: 0, marked: vec![0; event.scopes.len()] };
    pattern.combinations.iter().any(|combination| event.allows(combination, &mut marks))
}

#[derive(Debug, Clone, Copy)]
struct Scope {
    parent: usize,
    /// The scopes inside this one have the numbers from its own to before this.
    end: usize,
    /// Where the array of which this is an element stands: node and its depth.
    node: usize,
    depth: usize,
}

/// The scopes in which a condition's field has values.
#[derive(Debug, Clone, Default)]
struct Values {
    /// Those for which the condition holds.
    held: Vec<usize>,
    /// All of them; noted only if the condition asks for absence.
    seen: Vec<usize>,
}

impl Values {
    fn sort(&mut self) {
        for scopes in [&mut self.held, &mut self.seen] {
            scopes.sort_unstable();
            scopes.dedup();
        }
    }
}

struct Event<'p, 'e> {
    pattern: &'p Pattern,
    cursor: Cursor<'e>,
    /// In the order in which they open.
    scopes: Vec<Scope>,
    /// By condition.
    values: Vec<Values>,
}

impl Event<'_, '_> {
    /// Goes through the value that begins here.
    fn value(&mut self, node: &Node, scope: usize) {
        match self.cursor.peek() {
            Some(b'{') if !node.children.is_empty() => self.object(node, scope),
            Some(b'[') => self.array(node, scope),
            Some(b'{') | None => {
                self.cursor.skip();
            }
            _ => self.scalar(node, scope),
        }
    }

    fn object(&mut self, node: &Node, scope: usize) {
        self.cursor.enter(b'{');
        while let Some(name) = self.cursor.name() {
            match child(self.pattern, node, self.cursor.bytes(name)) {
                Some(child) => self.value(child, scope),
                None => {
                    self.cursor.skip();
                }
            }
        }
    }

    fn array(&mut self, node: &Node, scope: usize) {
        self.cursor.enter(b'[');
        while let Some(first) = self.cursor.element() {
            if first == b'[' || (first == b'{' && !node.children.is_empty()) {
                let inner = self.scopes.len();
                let Node { index, depth, .. } = *node;
                self.scopes.push(Scope { parent: scope, end: 0, node: index, depth });
                self.value(node, inner);
                self.close(inner);
            } else if first == b'{' {
                self.cursor.skip();
            } else {
                self.scalar(node, scope);
            }
        }
    }

    fn scalar(&mut self, node: &Node, scope: usize) {
        let Some(value) = self.cursor.value() else { return };
        for &condition in &node.conditions {
            let (Some(asked), Some(values)) =
                (self.pattern.conditions.get(condition), self.values.get_mut(condition))
            else {
                continue;
            };
            if asked.or_absent && values.seen.last() != Some(&scope) {
                values.seen.push(scope);
            }
            if values.held.last() != Some(&scope)
                && asked.tests.iter().any(|test| test.holds(value))
            {
                values.held.push(scope);
            }
        }
    }

    fn close(&mut self, scope: usize) {
        let end = self.scopes.len();
        if let Some(scope) = self.scopes.get_mut(scope) {
            scope.end = end;
        }
    }

    /// Whether all conditions hold together.
    fn allows(&self, combination: &[usize], marks: &mut Marks) -> bool {
        let mut allowed = vec![0];
        for &condition in combination {
            let (Some(asked), Some(values)) =
                (self.pattern.conditions.get(condition), self.values.get(condition))
            else {
                return false;
            };
            for scope in &mut allowed {
                *scope = self.out_of_the_way(*scope, asked);
            }
            allowed.sort_unstable();
            allowed.dedup();
            allowed = self.narrow(&allowed, asked, values, marks);
            if allowed.is_empty() {
                return false;
            }
        }
        true
    }

    /// The innermost scope around this one whose array stands on the way to the field: the arrays
    /// beside the way don't matter any more, as fields in them come together in the order of paths.
    fn out_of_the_way(&self, mut scope: usize, asked: &Condition) -> usize {
        while let Some(own) = self.scopes.get(scope)
            && scope != 0
            && asked.trail.get(own.depth) != Some(&own.node)
        {
            scope = own.parent;
        }
        scope
    }

    /// The scopes that are left when one more condition has to hold.
    fn narrow(
        &self,
        allowed: &[usize],
        asked: &Condition,
        values: &Values,
        marks: &mut Marks,
    ) -> Vec<usize> {
        let mut left = Vec::new();
        marks.set(allowed);
        left.extend(values.held.iter().filter(|value| self.marked_around(**value, marks)));
        marks.set(&values.held);
        left.extend(allowed.iter().filter(|scope| self.marked_around(**scope, marks)));
        if asked.or_absent {
            marks.set(&values.seen);
            left.extend(allowed.iter().filter(|scope| {
                let end = self.scopes.get(**scope).map_or(0, |own| own.end);
                let inside = values.seen.partition_point(|value| value < *scope);
                let none_inside = values.seen.get(inside).is_none_or(|value| *value >= end);
                none_inside && !self.marked_around(**scope, marks)
            }));
        }
        left.sort_unstable();
        left.dedup();
        left
    }

    /// Whether the scope or one around it is marked.
    fn marked_around(&self, mut scope: usize, marks: &Marks) -> bool {
        loop {
            if marks.contains(scope) {
                return true;
            }
            match self.scopes.get(scope) {
                Some(own) if scope != 0 => scope = own.parent,
                _ => return false,
            }
        }
    }
}

/// A set of scopes that is emptied without touching it.
struct Marks {
    round: u32,
    marked: Vec<u32>,
}

impl Marks {
    fn set(&mut self, scopes: &[usize]) {
        self.round += 1;
        for scope in scopes {
            if let Some(mark) = self.marked.get_mut(*scope) {
                *mark = self.round;
            }
        }
    }

    fn contains(&self, scope: usize) -> bool {
        self.marked.get(scope) == Some(&self.round)
    }
}
