//! Looking around in a payload that was scanned, without a selection.

use super::scan::{Next, Scanner, Stop};
use super::{JsonError, JsonErrorKind, Raw, text};
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
        Members { json, next: Scanner::new(json).open(0, b'{', b'}') }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Raw<'a>, Raw<'a>);

    fn next(&mut self) -> Option<(Raw<'a>, Raw<'a>)> {
        let start = self.next.take()?;
        let member = member(&mut Scanner::new(self.json), start).ok()?;
        self.next = member.next;
        let name = self.json.get(start..=member.name_end)?;
        let value = self.json.get(member.value..member.value_end)?;
        Some((Raw::new(name), Raw::new(value)))
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
        Elements { json, next: Scanner::new(json).open(0, b'[', b']') }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let start = self.next.take()?;
        let (end, next) = element(&mut Scanner::new(self.json), start).ok()?;
        self.next = next;
        self.json.get(start..end).map(Raw::new)
    }
}

impl FieldPath {
    /// Looks this one field up in a payload that was scanned. Meant for filters and transforms;
    /// a field that every event is asked for belongs into the [`Selection`](super::Selection).
    /// Unlike there the payload may be any value, and only what stands on the way is looked at.
    ///
    /// # Errors
    /// [`JsonError`] if it comes upon something broken, or if a field on the way stands twice in
    /// its object ([`AmbiguousField`](JsonErrorKind::AmbiguousField) of path 0).
    pub fn get<'a>(&self, json: &'a [u8]) -> Result<Option<Raw<'a>>, JsonError> {
        let mut scanner = Scanner::new(json);
        match find(&mut scanner, self.steps()) {
            Ok(span) => Ok(span.and_then(|(start, end)| json.get(start..end)).map(Raw::new)),
            Err(Stop) => Err(scanner.error()),
        }
    }
}

/// Where the field at the end of the steps begins and ends.
fn find(scanner: &mut Scanner<'_>, steps: &[Step]) -> Result<Option<(usize, usize)>, Stop> {
    let start = scanner.space(0);
    if start == scanner.json().len() {
        return Err(scanner.stop(start, JsonErrorKind::Empty));
    }
    let end = scanner.value(start, 0)?;
    let mut span = (start, end);
    for step in steps {
        let inside = match step {
            Step::Field(name) => find_member(scanner, span.0, name)?,
            Step::Index(index) => find_element(scanner, span.0, *index)?,
        };
        match inside {
            Some(inside) => span = inside,
            None => return Ok(None),
        }
    }
    Ok(Some(span))
}

fn find_member(
    scanner: &mut Scanner<'_>,
    object: usize,
    name: &str,
) -> Result<Option<(usize, usize)>, Stop> {
    let mut found = None;
    let mut next = scanner.open(object, b'{', b'}');
    while let Some(start) = next {
        let member = member(scanner, start)?;
        next = member.next;
        let own = scanner.json().get(start + 1..member.name_end).unwrap_or_default();
        if text::stands_for(own, name.as_bytes()) {
            if found.is_some() {
                return Err(scanner.stop(start, JsonErrorKind::AmbiguousField(0)));
            }
            found = Some((member.value, member.value_end));
        }
    }
    Ok(found)
}

fn find_element(
    scanner: &mut Scanner<'_>,
    array: usize,
    index: u32,
) -> Result<Option<(usize, usize)>, Stop> {
    let mut next = scanner.open(array, b'[', b']');
    let mut left = index;
    while let Some(start) = next {
        let (end, after) = element(scanner, start)?;
        if left == 0 {
            return Ok(Some((start, end)));
        }
        left -= 1;
        next = after;
    }
    Ok(None)
}

/// Where the parts of a member stand; `next` is where the next one begins.
struct Member {
    name_end: usize,
    value: usize,
    value_end: usize,
    next: Option<usize>,
}

fn member(scanner: &mut Scanner<'_>, start: usize) -> Result<Member, Stop> {
    let name = scanner.name(start)?;
    let value_end = scanner.value(name.value, 0)?;
    let next = match scanner.comma(value_end, b'}')? {
        Next::More(next) => Some(next),
        Next::Closed(_) => None,
    };
    Ok(Member { name_end: name.end, value: name.value, value_end, next })
}

/// Where an element ends, and where the next one begins.
fn element(scanner: &mut Scanner<'_>, start: usize) -> Result<(usize, Option<usize>), Stop> {
    let end = scanner.value(start, 0)?;
    match scanner.comma(end, b']')? {
        Next::More(next) => Ok((end, Some(next))),
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
