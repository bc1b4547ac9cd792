//! Changes to a payload: which bytes go, and what stands there instead.

use std::ops::Range;

use event::json::Raw;
use event::path::{FieldPath, Step};

use super::TransformFault;
use crate::stage::cursor::Cursor;

/// Changes to one payload, from front to back.
#[derive(Debug, Clone, Default)]
pub(in crate::stage) struct Edits {
    /// What is cut out of the payload, and where in `text` the replacement stands.
    cuts: Vec<(Range<usize>, Range<usize>)>,
    text: Vec<u8>,
    /// Scratch of those who note the changes: the members of an object.
    members: Vec<Member>,
}

/// Where a member of an object stands in the payload.
#[derive(Debug, Clone)]
pub(in crate::stage) struct Member {
    /// With its quotes.
    pub(super) name: Range<usize>,
    pub(in crate::stage) value: Range<usize>,
    /// The name holds an escape, so that it can't be compared as it stands.
    escaped: bool,
}

impl Member {
    pub(super) fn is_named(&self, payload: &[u8], name: &str) -> bool {
        let Some(own) = payload.get(self.name.clone()) else { return false };
        let inner = own.get(1..own.len().saturating_sub(1)).unwrap_or_default();
        if !self.escaped {
            return inner == name.as_bytes();
        }
        Raw::new(own).is_str(name)
    }

    pub(super) fn value<'a>(&self, payload: &'a [u8]) -> Raw<'a> {
        Raw::new(payload.get(self.value.clone()).unwrap_or_default())
    }
}

impl Edits {
    pub(in crate::stage) fn clear(&mut self) {
        self.cuts.clear();
        self.text.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cuts.is_empty()
    }

    /// Cuts bytes out, and puts in their place what `write` appends. Cuts come from front to back
    /// and don't overlap.
    pub(in crate::stage) fn replace(
        &mut self,
        cut: Range<usize>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.text.len();
        write(&mut self.text);
        self.cuts.push((cut, start..self.text.len()));
    }

    /// Puts what `write` appends in the place of the whole payload.
    pub(super) fn whole(
        &mut self,
        payload: &[u8],
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), TransformFault>,
    ) -> Result<(), TransformFault> {
        let start = self.text.len();
        write(&mut self.text)?;
        self.cuts.push((0..payload.len(), start..self.text.len()));
        Ok(())
    }

    /// Appends the changed payload.
    pub(in crate::stage) fn write(&self, payload: &[u8], out: &mut Vec<u8>) {
        let mut done = 0;
        out.reserve(payload.len() + self.text.len());
        for (cut, text) in &self.cuts {
            out.extend_from_slice(payload.get(done..cut.start).unwrap_or_default());
            out.extend_from_slice(self.text.get(text.clone()).unwrap_or_default());
            done = cut.end;
        }
        out.extend_from_slice(payload.get(done..).unwrap_or_default());
    }

    /// The members of the object that a target stands in; none if there is no such object. Given
    /// back with [`keep`](Edits::keep), for the next payload.
    pub(super) fn members_around(
        &mut self,
        payload: &[u8],
        parent: Option<&FieldPath>,
    ) -> Result<Vec<Member>, TransformFault> {
        let mut members = std::mem::take(&mut self.members);
        members.clear();
        if let Some(at) = find_value(payload, parent.map_or(&[], FieldPath::steps))? {
            members.extend(members_of(payload, at));
        }
        Ok(members)
    }

    pub(super) fn keep(&mut self, members: Vec<Member>) {
        self.members = members;
    }

    /// Removes members with the comma beside each.
    pub(super) fn remove(&mut self, members: &[Member], gone: impl Fn(&Member) -> bool) {
        let mut removal = Removal::default();
        for (index, member) in members.iter().enumerate() {
            if gone(member) {
                let cut = removal.cut(members, index);
                self.replace(cut, |_| {});
            } else {
                removal.kept();
            }
        }
    }
}

/// Which comma goes along with a member: the one before it, or the one after it as long as no
/// member before it stays.
#[derive(Debug, Default)]
pub(super) struct Removal {
    one_stays: bool,
}

impl Removal {
    pub(super) fn kept(&mut self) {
        self.one_stays = true;
    }

    /// What to cut for the member at `index`, when those before it have been asked about.
    pub(super) fn cut(&self, members: &[Member], index: usize) -> Range<usize> {
        let Some(member) = members.get(index) else { return 0..0 };
        let before = index.checked_sub(1).and_then(|index| members.get(index));
        match (self.one_stays, before, members.get(index + 1)) {
            (true, Some(before), _) => before.value.end..member.value.end,
            (_, _, Some(after)) => member.name.start..after.name.start,
            _ => member.name.start..member.value.end,
        }
    }
}

/// The members of the object that begins at `at`; none if something else does.
pub(in crate::stage) fn members_of(payload: &[u8], at: usize) -> impl Iterator<Item = Member> {
    let mut cursor = Cursor::at(payload, at);
    let mut inside = cursor.enter(b'{');
    std::iter::from_fn(move || {
        let name = if inside { cursor.name() } else { None };
        inside = name.is_some();
        let name = name?;
        let escaped = memchr::memchr(b'\\', cursor.bytes(name.clone())).is_some();
        Some(Member { name, value: cursor.skip()?, escaped })
    })
}

/// Where the value at the end of a path begins; `None` if there is none.
pub(super) fn find_value(payload: &[u8], steps: &[Step]) -> Result<Option<usize>, TransformFault> {
    let mut at = 0;
    for step in steps {
        let inside = match step {
            Step::Field(name) => {
                let mut named =
                    members_of(payload, at).filter(|member| member.is_named(payload, name));
                let found = named.next();
                if found.is_some() && named.next().is_some() {
                    return Err(TransformFault::Ambiguous);
                }
                found.map(|member| member.value.start)
            }
            Step::Index(index) => element_at(payload, at, *index),
        };
        match inside {
            Some(inside) => at = inside,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

fn element_at(payload: &[u8], at: usize, index: u32) -> Option<usize> {
    let mut cursor = Cursor::at(payload, at);
    if !cursor.enter(b'[') {
        return None;
    }
    for _ in 0..index {
        cursor.element()?;
        cursor.skip()?;
    }
    cursor.element()?;
    Some(cursor.skip()?.start)
}

/// The one member with this name, by its place; `None` if there is none.
pub(in crate::stage) fn find(
    members: &[Member],
    payload: &[u8],
    name: &str,
) -> Result<Option<usize>, TransformFault> {
    let mut named = members
        .iter()
        .enumerate()
        .filter(|(_, member)| member.is_named(payload, name))
        .map(|(index, _)| index);
    let found = named.next();
    if named.next().is_some() {
        return Err(TransformFault::Ambiguous);
    }
    Ok(found)
}

/// Appends text as a JSON string.
pub(in crate::stage) fn push_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                out.extend_from_slice(b"\\u00");
                out.extend([digit(byte >> 4) as u8, digit(byte & 15) as u8]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
