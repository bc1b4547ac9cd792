//! The pass over an event that decides nearly all of them: only names that the pattern mentions
//! are entered, and what stands there is asked where it stands.

use std::ops::ControlFlow;

use event::json::Raw;

use super::{CONDITIONS_MAX, Node, Pattern, arrays};
use crate::stage::cursor::Cursor;

/// Which conditions hold: a set of bits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Answers([u64; CONDITIONS_MAX.div_ceil(64)]);

impl Answers {
    #[inline]
    pub(super) fn contains(&self, condition: usize) -> bool {
        self.0.get(condition / 64).is_some_and(|word| word >> (condition % 64) & 1 == 1)
    }

    /// Adds a condition; whether it is new.
    #[inline]
    fn insert(&mut self, condition: usize) -> bool {
        let before = self.contains(condition);
        if let Some(word) = self.0.get_mut(condition / 64) {
            *word |= 1 << (condition % 64);
        }
        !before
    }
}

/// Whether an event matches.
pub(super) fn matches(pattern: &Pattern, json: &[u8]) -> bool {
    let Some(top) = pattern.nodes.first() else { return false };
    let mut walk = Walk {
        pattern,
        cursor: Cursor::new(json),
        held: Answers::default(),
        seen: Answers::default(),
    };
    match walk.value(top) {
        ControlFlow::Break(Stop::Holds) => return true,
        ControlFlow::Break(Stop::ArrayOfObjects) => return arrays::matches(pattern, json),
        ControlFlow::Break(Stop::Broken) => return false,
        ControlFlow::Continue(()) => {}
    }
    if pattern.asks_for_absence {
        for (condition, asked) in pattern.conditions.iter().enumerate() {
            if asked.or_absent && !walk.seen.contains(condition) {
                walk.held.insert(condition);
            }
        }
    }
    pattern.rule.holds(&walk.held)
}

/// Why a walk ends early.
enum Stop {
    /// The whole pattern holds: what is still to come can't change that.
    Holds,
    /// The pattern leads into an array of objects or arrays. Which fields stand in the same
    /// element isn't known here.
    ArrayOfObjects,
    /// The payload was never scanned, or is no JSON.
    Broken,
}

struct Walk<'p, 'e> {
    pattern: &'p Pattern,
    cursor: Cursor<'e>,
    /// The conditions that hold for some value of their field.
    held: Answers,
    /// The conditions whose field has a value.
    seen: Answers,
}

impl Walk<'_, '_> {
    /// Goes through the value that begins here.
    fn value(&mut self, node: &Node) -> ControlFlow<Stop> {
        match self.cursor.peek() {
            Some(b'{') if !node.children.is_empty() => self.object(node),
            Some(b'[') => self.array(node),
            Some(b'{') => self.skip(),
            _ => self.scalar(node),
        }
    }

    fn object(&mut self, node: &Node) -> ControlFlow<Stop> {
        self.cursor.enter(b'{');
        while let Some(name) = self.cursor.name() {
            match child(self.pattern, node, self.cursor.bytes(name)) {
                Some(child) => self.value(child)?,
                None => self.skip()?,
            }
        }
        ControlFlow::Continue(())
    }

    fn array(&mut self, node: &Node) -> ControlFlow<Stop> {
        self.cursor.enter(b'[');
        while let Some(first) = self.cursor.element() {
            match first {
                b'{' if node.children.is_empty() => self.skip()?,
                b'{' | b'[' => return ControlFlow::Break(Stop::ArrayOfObjects),
                _ => self.scalar(node)?,
            }
        }
        ControlFlow::Continue(())
    }

    #[inline]
    fn skip(&mut self) -> ControlFlow<Stop> {
        match self.cursor.skip() {
            Some(_) => ControlFlow::Continue(()),
            None => ControlFlow::Break(Stop::Broken),
        }
    }

    #[inline]
    fn scalar(&mut self, node: &Node) -> ControlFlow<Stop> {
        let Some(value) = self.cursor.value() else { return ControlFlow::Break(Stop::Broken) };
        let mut more = false;
        for &condition in &node.conditions {
            let Some(asked) = self.pattern.conditions.get(condition) else { continue };
            self.seen.insert(condition);
            if !self.held.contains(condition) && asked.tests.iter().any(|test| test.holds(value)) {
                more |= self.held.insert(condition);
            }
        }
        if more && !self.pattern.asks_for_absence && self.pattern.rule.holds(&self.held) {
            return ControlFlow::Break(Stop::Holds);
        }
        ControlFlow::Continue(())
    }
}

/// The node that a member leads to, if the pattern mentions its name (given with its quotes).
#[inline]
pub(super) fn child<'p>(pattern: &'p Pattern, node: &Node, quoted: &[u8]) -> Option<&'p Node> {
    let inner = quoted.get(1..quoted.len().saturating_sub(1))?;
    for (own, child) in &node.children {
        if own.as_bytes() == inner {
            return pattern.nodes.get(*child);
        }
    }
    // Rare: the name is escaped, or has dots and stands for several steps.
    let escaped = memchr::memchr2(b'\\', b'.', inner)?;
    if inner.get(escaped) == Some(&b'.')
        && node.height < 2
        && memchr::memchr(b'\\', inner).is_none()
    {
        return None;
    }
    descend(pattern, node, Raw::new(quoted))
}

#[cold]
fn descend<'p>(pattern: &'p Pattern, node: &Node, name: Raw<'_>) -> Option<&'p Node> {
    let name = name.as_str()?;
    let mut steps = name.split('.');
    let mut at = step(pattern, node, steps.next()?)?;
    for name in steps {
        at = step(pattern, at, name)?;
    }
    Some(at)
}

fn step<'p>(pattern: &'p Pattern, node: &Node, name: &str) -> Option<&'p Node> {
    let (_, child) = node.children.iter().find(|(own, _)| **own == *name)?;
    pattern.nodes.get(*child)
}
