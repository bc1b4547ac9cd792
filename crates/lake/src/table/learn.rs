//! What types the fields of rows have, seen in one pass.

use std::borrow::Cow;
use std::collections::HashMap;

use event::json::{Cursor, JsonError, Raw, Text};

/// What a value is, as far as a column's type depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Bool,
    Number,
    Text,
    Object,
    Array,
}

/// What was seen at one place of the rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// In the order of first sight; `null` isn't among them.
    pub(crate) sorts: Vec<Sort>,
    /// Some number that isn't an integer.
    pub(crate) float: bool,
    /// By unescaped name, in the order of first sight.
    pub(crate) members: Vec<(Box<str>, u32)>,
    /// Only when there are many members.
    index: HashMap<Box<str>, u32>,
    /// The elements of an array.
    pub(crate) item: Option<u32>,
}

/// Members past which a node gets an index.
const INDEX_FROM: usize = 24;

/// The types of fields that rows hold. Node 0 is the row itself.
#[derive(Clone, Debug)]
pub(crate) struct Learned {
    pub(crate) nodes: Vec<Node>,
    nodes_max: usize,
    depth_max: usize,
}

impl Learned {
    /// Nothing yet. Past so many nodes and levels nothing new is noted.
    pub(crate) fn new(nodes_max: usize, depth_max: usize) -> Self {
        Self { nodes: vec![Node::default()], nodes_max, depth_max }
    }

    /// Looks at a row, a JSON object that was scanned.
    pub(crate) fn row(&mut self, json: &[u8]) -> Result<(), JsonError> {
        let mut cursor = Cursor::new(json);
        if cursor.peek() == b'{' { self.object(&mut cursor, 0, 0) } else { Ok(()) }
    }

    /// Adds what was learned from later rows.
    pub(crate) fn merge(&mut self, later: &Self) {
        self.merge_node(0, later, 0);
    }

    fn merge_node(&mut self, to: u32, later: &Self, from: u32) {
        let Some(other) = later.nodes.get(from as usize) else { return };
        for sort in &other.sorts {
            self.note(to, *sort);
        }
        if let Some(node) = self.nodes.get_mut(to as usize) {
            node.float |= other.float;
        }
        for (name, from) in &other.members {
            let known = self.nodes.get(to as usize).and_then(|node| node.find(name));
            if let Some(to) = known.or_else(|| self.add_member(to, name)) {
                self.merge_node(to, later, *from);
            }
        }
        if let Some(from) = other.item
            && let Some(to) = self.item(to)
        {
            self.merge_node(to, later, from);
        }
    }

    fn note(&mut self, id: u32, sort: Sort) {
        if let Some(node) = self.nodes.get_mut(id as usize)
            && !node.sorts.contains(&sort)
        {
            node.sorts.push(sort);
        }
    }

    fn add(&mut self) -> Option<u32> {
        if self.nodes.len() >= self.nodes_max {
            return None;
        }
        self.nodes.push(Node::default());
        u32::try_from(self.nodes.len() - 1).ok()
    }

    fn add_member(&mut self, id: u32, name: &str) -> Option<u32> {
        let child = self.add()?;
        let node = self.nodes.get_mut(id as usize)?;
        node.members.push((name.into(), child));
        if node.members.len() > INDEX_FROM {
            if node.index.is_empty() {
                node.index = node.members.iter().cloned().collect();
            }
            node.index.insert(name.into(), child);
        }
        Some(child)
    }

    fn item(&mut self, id: u32) -> Option<u32> {
        if let Some(item) = self.nodes.get(id as usize)?.item {
            return Some(item);
        }
        let item = self.add()?;
        self.nodes.get_mut(id as usize)?.item = Some(item);
        Some(item)
    }

    fn object(&mut self, cursor: &mut Cursor<'_>, id: u32, depth: usize) -> Result<(), JsonError> {
        let mut more = cursor.enter()?;
        let mut expected = 0;
        while more {
            let name = cursor.name()?;
            let child = match self.expected(id, expected, name) {
                Some(child) => Some(child),
                None => self.member(id, name, &mut expected),
            };
            expected += 1;
            match child {
                Some(child) => self.value(cursor, child, depth + 1)?,
                None => drop(cursor.skip()?),
            }
            more = cursor.next_member()?;
        }
        Ok(())
    }

    /// Most rows have their members in the order of the row before.
    #[inline(always)]
    fn expected(&self, id: u32, at: usize, name: Text<'_>) -> Option<u32> {
        let (known, child) = self.nodes.get(id as usize)?.members.get(at)?;
        (known.as_bytes() == name.inner).then_some(*child)
    }

    #[inline(never)]
    fn member(&mut self, id: u32, name: Text<'_>, expected: &mut usize) -> Option<u32> {
        let name = unescape(name)?;
        let node = self.nodes.get(id as usize)?;
        if let Some(at) = node.place(&name) {
            *expected = at;
            return node.members.get(at).map(|(_, child)| *child);
        }
        match node.find(&name) {
            Some(child) => Some(child),
            None => self.add_member(id, &name),
        }
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, id: u32, depth: usize) -> Result<(), JsonError> {
        match cursor.peek() {
            b'"' => {
                cursor.string()?;
                self.seen(id, Sort::Text);
            }
            b'{' if depth >= self.depth_max => drop(cursor.skip()?),
            b'[' if depth >= self.depth_max => drop(cursor.skip()?),
            b'{' => {
                self.seen(id, Sort::Object);
                self.object(cursor, id, depth)?;
            }
            b'[' => {
                self.seen(id, Sort::Array);
                let mut more = cursor.enter()?;
                while more {
                    match self.item(id) {
                        Some(item) => self.value(cursor, item, depth + 1)?,
                        None => drop(cursor.skip()?),
                    }
                    more = cursor.next_element()?;
                }
            }
            b't' | b'f' => {
                cursor.literal()?;
                self.seen(id, Sort::Bool);
            }
            b'n' => cursor.literal()?,
            _ => match Number::of(cursor.number()?) {
                Number::Int(_) => self.seen(id, Sort::Number),
                Number::Float(_) => {
                    self.seen(id, Sort::Number);
                    if let Some(node) = self.nodes.get_mut(id as usize) {
                        node.float = true;
                    }
                }
                Number::Huge => {}
            },
        }
        Ok(())
    }

    #[inline(always)]
    fn seen(&mut self, id: u32, sort: Sort) {
        if self.nodes.get(id as usize).is_some_and(|node| node.sorts.first() != Some(&sort)) {
            self.note(id, sort);
        }
    }
}

impl Node {
    fn place(&self, name: &str) -> Option<usize> {
        if self.index.is_empty() {
            return self.members.iter().position(|(known, _)| **known == *name);
        }
        None
    }

    fn find(&self, name: &str) -> Option<u32> {
        match self.index.get(name) {
            Some(child) => Some(*child),
            None => self.place(name).and_then(|at| self.members.get(at)).map(|(_, child)| *child),
        }
    }
}

/// A name or string as text; `None` when an escape in it is half a surrogate pair.
pub(super) fn unescape(text: Text<'_>) -> Option<Cow<'_, str>> {
    if !text.escaped {
        return std::str::from_utf8(text.inner).ok().map(Cow::Borrowed);
    }
    let mut quoted = Vec::with_capacity(text.inner.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(text.inner);
    quoted.push(b'"');
    Raw::new(&quoted).as_str().map(|text| Cow::Owned(text.into_owned()))
}

/// A number of JSON, as a column may hold it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// Written without point and exponent, within 64 bits, and not `-0`.
    Int(i64),
    /// Any other that a double can be near to.
    Float(f64),
    /// An integer beyond 64 bits, or a number beyond the range of a double.
    Huge,
}

impl Number {
    #[inline]
    pub(super) fn of(bytes: &[u8]) -> Self {
        let (negative, digits) = match bytes {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        if digits.len() > 18 {
            return Self::closer(bytes);
        }
        let mut value = 0_i64;
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Self::closer(bytes);
            }
            value = value * 10 + i64::from(digit);
        }
        match (negative, value) {
            (true, 0) => Self::Float(-0.0),
            (true, value) => Self::Int(-value),
            (false, value) => Self::Int(value),
        }
    }

    #[inline(never)]
    fn closer(bytes: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(bytes) else { return Self::Huge };
        if !bytes.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            return text.parse().map_or(Self::Huge, Self::Int);
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Self::Float(value),
            _ => Self::Huge,
        }
    }
}
