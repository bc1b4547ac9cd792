//! Puts an answer into a payload, at the place that the config names.

use event::path::{FieldPath, Step};

use crate::stage::cursor::Cursor;
use crate::stage::transform::{Edits, Member, TransformFault, find, members_of, push_string};

/// How many levels of objects and arrays an answer may have: with the way to its place it stays
/// within what an event may have.
pub(super) const ANSWER_DEPTH_MAX: usize = 64;

/// Why there is no place for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The field, or one on the way to it, stands twice.
    Ambiguous,
    /// Something on the way to it is no object, or an array without that element.
    InTheWay,
}

/// Notes the change that puts `answer` at `into`: a field that is there is replaced, one that isn't
/// is added at the end of its object, with the objects around it.
pub(super) fn insert(
    payload: &[u8],
    into: &FieldPath,
    answer: &[u8],
    edits: &mut Edits,
) -> Result<(), NoPlace> {
    edits.clear();
    let mut at = 0;
    let mut members: Vec<Member> = Vec::new();
    let mut steps = into.steps();
    while let Some((step, rest)) = steps.split_first() {
        let name = match step {
            Step::Field(name) => name,
            Step::Index(index) => {
                at = element(payload, at, *index).ok_or(NoPlace::InTheWay)?;
                steps = rest;
                continue;
            }
        };
        let mut cursor = Cursor::at(payload, at);
        if cursor.peek() != Some(b'{') {
            return Err(NoPlace::InTheWay);
        }
        members.clear();
        members.extend(members_of(payload, at));
        let found = find(&members, payload, name).map_err(|fault| match fault {
            TransformFault::Ambiguous => NoPlace::Ambiguous,
            _ => NoPlace::InTheWay,
        })?;
        match found.and_then(|found| members.get(found)) {
            Some(member) if rest.is_empty() => {
                edits.replace(member.value.clone(), |out| out.extend_from_slice(answer));
                return Ok(());
            }
            Some(member) => at = member.value.start,
            None => {
                let last = members.last().map(|member| member.value.end);
                cursor.enter(b'{');
                let end = last.or_else(|| position_of(payload, at, b'{').map(|open| open + 1));
                let end = end.ok_or(NoPlace::InTheWay)?;
                if rest.iter().any(|step| matches!(step, Step::Index(_))) {
                    return Err(NoPlace::InTheWay);
                }
                edits.replace(end..end, |out| {
                    if last.is_some() {
                        out.push(b',');
                    }
                    new_member(name, rest, answer, out);
                });
                return Ok(());
            }
        }
        steps = rest;
    }
    Err(NoPlace::InTheWay)
}

/// A member with the objects below it down to the answer.
fn new_member(name: &str, rest: &[Step], answer: &[u8], out: &mut Vec<u8>) {
    push_string(name, out);
    out.push(b':');
    match rest.split_first() {
        Some((Step::Field(name), rest)) => {
            out.push(b'{');
            new_member(name, rest, answer, out);
            out.push(b'}');
        }
        _ => out.extend_from_slice(answer),
    }
}

fn position_of(payload: &[u8], at: usize, byte: u8) -> Option<usize> {
    let rest = payload.get(at..)?;
    memchr::memchr(byte, rest).map(|found| at + found)
}

fn element(payload: &[u8], at: usize, index: u32) -> Option<usize> {
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

/// How many levels of objects and arrays a value has that was checked.
pub(in crate::stage) fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
