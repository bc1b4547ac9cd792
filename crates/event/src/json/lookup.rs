//! Looking around in a payload that was scanned, without a selection.

use super::grammar::{self, Next, byte, space};
use super::strings::{Searched, Strings};
use super::{Expected, JsonError, JsonErrorKind, Raw, text, walk};
use crate::path::{FieldPath, Step};

/// The members of an object: name (a [`Raw`] string) and value. See [`Raw::members`].
#[derive(Debug, Clone)]
pub struct Members<'a> {
    json: &'a [u8],
    /// Where the next name begins; `None` after the last.
    next: Option<usize>,
}

impl<'a> Members<'a> {
    pub(super) fn new(json: &'a [u8]) -> Members<'a> {
        Members { json, next: inside(json, 0, *b"{}") }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Raw<'a>, Raw<'a>);

    fn next(&mut self) -> Option<(Raw<'a>, Raw<'a>)> {
        let start = self.next.take()?;
        let member = member(self.json, start).ok()?;
        self.next = member.next;
        let name = self.json.get(start..=member.name_end)?;
        let value = self.json.get(member.value..member.value_end)?;
        Some((Raw::whole(name), Raw::whole(value)))
    }
}

/// The elements of an array. See [`Raw::elements`].
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    json: &'a [u8],
    /// Where the next element begins; `None` after the last.
    next: Option<usize>,
}

impl<'a> Elements<'a> {
    pub(super) fn new(json: &'a [u8]) -> Elements<'a> {
        Elements { json, next: inside(json, 0, *b"[]") }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let start = self.next.take()?;
        let (end, next) = element(self.json, start).ok()?;
        self.next = next;
        self.json.get(start..end).map(Raw::whole)
    }
}

impl FieldPath {
    /// Looks this one field up in a payload that was scanned. Meant for filters and transforms;
    /// a field that every event is asked for belongs into the [`Selection`](super::Selection).
    /// Unlike there the payload may be any value, and it is read only as far as it takes.
    ///
    /// # Errors
    /// [`JsonError`] if it comes upon something broken, or if a field on the way stands twice in
    /// its object ([`AmbiguousField`](JsonErrorKind::AmbiguousField) of path 0).
    pub fn get<'a>(&self, json: &'a [u8]) -> Result<Option<Raw<'a>>, JsonError> {
        let mut start = space(json, 0);
        if start == json.len() {
            return grammar::fail(start, JsonErrorKind::Empty);
        }
        for step in self.steps() {
            let inside = match step {
                Step::Field(name) => find_member(json, start, name)?,
                Step::Index(index) => find_element(json, start, *index)?,
            };
            match inside {
                Some(inside) => start = inside,
                None => return Ok(None),
            }
        }
        let end = walk::skip(json, start)?;
        Ok(json.get(start..end).map(Raw::whole))
    }
}

/// Where the value of the member begins that `name` stands for; `None` also if there is no object.
fn find_member(json: &[u8], object: usize, name: &str) -> Result<Option<usize>, JsonError> {
    let mut found = None;
    let mut next = inside(json, object, *b"{}");
    while let Some(start) = next {
        let member = member(json, start)?;
        next = member.next;
        let own = json.get(start + 1..member.name_end).unwrap_or_default();
        if text::stands_for(own, name.as_bytes()) {
            if found.is_some() {
                return grammar::fail(start, JsonErrorKind::AmbiguousField(0));
            }
            found = Some(member.value);
        }
    }
    Ok(found)
}

/// Where the element at `index` begins; `None` also if there is no array.
fn find_element(json: &[u8], array: usize, index: u32) -> Result<Option<usize>, JsonError> {
    let mut next = inside(json, array, *b"[]");
    for _ in 0..index {
        let Some(start) = next else { break };
        (_, next) = element(json, start)?;
    }
    Ok(next)
}

/// Where the first content of a container begins; `None` if it is empty, or another.
fn inside(json: &[u8], at: usize, [open, close]: [u8; 2]) -> Option<usize> {
    let inside = space(json, at + 1);
    (byte(json, at) == open && byte(json, inside) != close).then_some(inside)
}

/// Where the parts of a member stand; `next` is where the next one begins.
struct Member {
    name_end: usize,
    value: usize,
    value_end: usize,
    next: Option<usize>,
}

fn member(json: &[u8], quote: usize) -> Result<Member, JsonError> {
    if byte(json, quote) != b'"' {
        return grammar::broken(quote, Expected::Name);
    }
    let name_end = Searched::default().end(json, quote + 1)?.at;
    let value = space(json, grammar::colon(json, name_end + 1)?);
    let value_end = walk::skip(json, value)?;
    let next = match grammar::next_member(json, value_end)? {
        Next::More(next) => Some(next),
        Next::Closed(_) => None,
    };
    Ok(Member { name_end, value, value_end, next })
}

/// Where an element ends, and where the next one begins.
fn element(json: &[u8], start: usize) -> Result<(usize, Option<usize>), JsonError> {
    let end = walk::skip(json, start)?;
    match grammar::next_element(json, end)? {
        Next::More(next) => Ok((end, Some(space(json, next)))),
        Next::Closed(_) => Ok((end, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Expected;

    #[test]
    fn members_and_elements_come_in_their_order() {
        let object = Raw::new(br#" { "a" : 1 ,"\u0062":[ 2 , {} ],"a":"x"} "#);
        let members: Vec<_> = object
            .members()
            .map(|(name, value)| (name.as_str().unwrap().into_owned(), value.bytes()))
            .collect();
        assert_eq!(
            members,
            [("a".into(), &b"1"[..]), ("b".into(), b"[ 2 , {} ]"), ("a".into(), b"\"x\"")]
        );
        let array = object.members().nth(1).unwrap().1;
        assert_eq!(array.elements().map(|e| e.bytes()).collect::<Vec<_>>(), [&b"2"[..], b"{}"]);
        for other in [&b"{}"[..], b"[]", b"1", b"\"{\"", b"", b"{", b"[", b"{\"a\"", b"[1"] {
            assert_eq!(Raw::new(other).members().count(), 0);
            assert_eq!(Raw::new(other).elements().count(), 0);
        }
    }

    fn get<'a>(path: &str, json: &'a str) -> Result<Option<&'a str>, JsonError> {
        let found = FieldPath::parse(path).unwrap().get(json.as_bytes())?;
        Ok(found.map(|raw| std::str::from_utf8(raw.bytes()).unwrap()))
    }

    #[test]
    fn one_field_is_found_by_its_path() {
        let json = r#" {"a":{"b":[10,{"c":"x"}],"n":null},"odd key":{},"d\"":[[1]]} "#;
        for (path, value) in [
            ("$", Some(json.trim())),
            ("$.a.b", Some(r#"[10,{"c":"x"}]"#)),
            ("$.a.b[0]", Some("10")),
            ("$.a.b[1].c", Some(r#""x""#)),
            ("$.a.n", Some("null")),
            ("$['odd key']", Some("{}")),
            (r#"$['d"'][0][0]"#, Some("1")),
            ("$.a.b[2]", None),
            ("$.a.b.c", None),
            ("$.a[0]", None),
            ("$.a.n.x", None),
            ("$.b", None),
        ] {
            assert_eq!(get(path, json), Ok(value), "{path}");
        }
        assert_eq!(get("$[1]", "[1,2]"), Ok(Some("2")));
    }

    #[test]
    fn a_lookup_says_what_is_wrong() {
        let ambiguous = JsonErrorKind::AmbiguousField(0);
        let twice = r#"{"a":{"x":1,"x":1},"a":2,"b":1}"#;
        assert_eq!(get("$.a.x", twice), Err(JsonError { at: 19, what: ambiguous }));
        assert_eq!(get("$.b", twice), Ok(Some("1")));
        assert_eq!(get("$.b", " ").unwrap_err().what, JsonErrorKind::Empty);
        let broken = JsonErrorKind::Broken(Expected::Colon);
        assert_eq!(get("$.b", r#"{"a" 1}"#), Err(JsonError { at: 5, what: broken }));
    }
}
