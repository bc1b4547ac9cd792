//! The one pass over a payload, from value to value, without recursion.

use super::fields::{Fields, Slot};
use super::grammar::{self, Next, byte, space};
use super::strings::{Searched, Strings};
use super::trie::{self, NONE, Node, NodeId};
use super::{DEPTH_MAX, Expected, JsonError, JsonErrorKind};

/// Walks over the value at `at` and checks it. Answers where it ends, and gives `strings` back.
#[inline(always)]
pub(super) fn value<S: Strings>(
    json: &[u8],
    at: usize,
    strings: S,
    fields: &mut Fields<'_>,
) -> Result<(usize, S), JsonError> {
    let mut walk = Walk { json, strings, fields, wanted: 0, depth: 0, object: false, around: 0 };
    let end = walk.value(at)?;
    Ok((end, walk.strings))
}

/// Walks over the value at `at` without looking for anything. Answers where it ends.
pub(super) fn skip(json: &[u8], at: usize) -> Result<usize, JsonError> {
    static NOTHING: [Node; 1] = [Node::leaf()];
    let mut slots = [Slot::ABSENT];
    let mut fields = Fields::new(&NOTHING, &mut slots);
    value(json, at, Searched::default(), &mut fields).map(|(end, _)| end)
}

/// Where a walk is. It never leaves the function that made it (every method is inlined), so that
/// what each member needs stays in registers; what only few need is behind `fields`.
struct Walk<'a, 'f, S> {
    json: &'a [u8],
    strings: S,
    fields: &'a mut Fields<'f>,
    /// What is looked for in the innermost open container, see [`Fields::open`].
    wanted: u64,
    /// How many containers are open.
    depth: usize,
    /// Whether the innermost one is an object.
    object: bool,
    /// The same of those around it, from bit 0 on.
    around: u128,
}

/// A value that the walk comes to.
#[derive(Clone, Copy)]
struct Value {
    at: usize,
    /// Its node, or [`NONE`].
    node: NodeId,
}

/// What a walk comes to next.
enum Ahead {
    Value(Value),
    /// Nothing more: the container, or the whole value, ended there.
    End(usize),
}

impl<S: Strings> Walk<'_, '_, S> {
    #[inline(always)]
    fn value(&mut self, at: usize) -> Result<usize, JsonError> {
        let mut value = Value { at, node: 0 };
        loop {
            let first = byte(self.json, value.at);
            let end = if first == b'"' {
                self.strings.end(self.json, value.at + 1)?.at + 1
            } else if matches!(first, b'-' | b'0'..=b'9') {
                grammar::number(self.json, value.at)?
            } else if matches!(first, b'{' | b'[') {
                self.open(value, first == b'{')?;
                match self.first(value.at)? {
                    Ahead::Value(inside) => {
                        value = inside;
                        continue;
                    }
                    Ahead::End(end) => {
                        self.close(end);
                        value.node = NONE;
                        end
                    }
                }
            } else if matches!(first, b' ' | b'\t' | b'\n' | b'\r') {
                value.at += 1;
                continue;
            } else {
                grammar::literal(self.json, value.at)?
            };
            if value.node != NONE {
                self.fields.note(value.node, value.at, end);
            }
            match self.next(end)? {
                Ahead::Value(next) => value = next,
                Ahead::End(end) => return Ok(end),
            }
        }
    }

    /// The first value in a container that begins at `at`, or, if it is empty, its end.
    #[inline(always)]
    fn first(&mut self, at: usize) -> Result<Ahead, JsonError> {
        let inside = space(self.json, at + 1);
        match (self.object, byte(self.json, inside)) {
            (true, b'"') => self.member(inside).map(Ahead::Value),
            (true, b'}') | (false, b']') => Ok(Ahead::End(inside + 1)),
            (true, _) => grammar::broken(inside, Expected::Name),
            (false, _) => Ok(Ahead::Value(self.element(inside))),
        }
    }

    /// The value that comes after one that ended at `end`, or, if that was the outermost, its end.
    #[inline(always)]
    fn next(&mut self, mut end: usize) -> Result<Ahead, JsonError> {
        while self.depth > 0 {
            if self.object {
                match grammar::next_member(self.json, end)? {
                    Next::More(quote) => return self.member(quote).map(Ahead::Value),
                    Next::Closed(closed) => end = closed,
                }
            } else {
                match grammar::next_element(self.json, end)? {
                    Next::More(at) => return Ok(Ahead::Value(self.element(at))),
                    Next::Closed(closed) => end = closed,
                }
            }
            self.close(end);
        }
        Ok(Ahead::End(end))
    }

    #[inline(always)]
    fn open(&mut self, value: Value, object: bool) -> Result<(), JsonError> {
        if self.depth == DEPTH_MAX {
            return grammar::fail(value.at, JsonErrorKind::TooDeep);
        }
        self.depth += 1;
        self.around = self.around << 1 | u128::from(self.object);
        self.object = object;
        self.wanted = match value.node {
            NONE => 0,
            node => self.fields.open(node, value.at, self.object),
        };
        Ok(())
    }

    #[inline(always)]
    fn close(&mut self, end: usize) {
        self.object = self.around & 1 == 1;
        self.around >>= 1;
        self.wanted = self.fields.close(self.depth, end, self.object);
        self.depth -= 1;
    }

    /// The value of the member whose name's quote stands at `quote`.
    #[inline(always)]
    fn member(&mut self, quote: usize) -> Result<Value, JsonError> {
        let name = self.strings.end(self.json, quote + 1)?;
        let at = grammar::colon(self.json, name.at + 1)?;
        let escaped = S::ESCAPES && name.escaped;
        let mut node = NONE;
        if trie::may_be(self.wanted, name.at - quote - 1) || (escaped && self.wanted != 0) {
            node = self.fields.field(self.json, quote + 1, name.at, escaped);
            if self.fields.is_known(node) {
                return grammar::fail(quote, self.fields.ambiguous(node));
            }
        }
        Ok(Value { at, node })
    }

    #[inline(always)]
    fn element(&mut self, at: usize) -> Value {
        let node = if self.wanted == 0 { NONE } else { self.fields.element() };
        Value { at, node }
    }
}
