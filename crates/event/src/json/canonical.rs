//! One form for all payloads that mean the same: members sorted, numbers by value, strings without
//! escapes, no whitespace.

use std::ops::Range;

use super::grammar::{self, Next, byte, space};
use super::strings::{Searched, Strings};
use super::{DEPTH_MAX, Expected, JsonError, JsonErrorKind, canonical_number, text};

/// Why a payload has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoCanonicalForm {
    /// It isn't JSON, or deeper than [`DEPTH_MAX`].
    #[error(transparent)]
    Json(JsonError),
    /// A string with half of a surrogate pair stands there: no text.
    #[error("half of a surrogate pair, which is no text, in the string at byte {0}")]
    NotText(usize),
    /// A number beyond what is compared by value stands there.
    #[error("a number too long to be compared by value at byte {0}")]
    NumberTooBig(usize),
    /// An object that ends there has a name twice: readers don't agree on which of the two counts.
    #[error("a name stands twice in the object that ends at byte {0}")]
    NameTwice(usize),
}

/// Writes canonical forms. Made once and used again, it allocates nothing.
///
/// The form is no JSON but made to be hashed, and to be read by nobody:
///
/// | value | bytes |
/// | --- | --- |
/// | string | `s`, length, the text in UTF-8 |
/// | number | `n`, length, its [canonical form](canonical_number) |
/// | bool | `t` or `f` |
/// | null | `z` |
/// | array | `[`, the elements, `]` |
/// | object | `{`, of each member its name as a string and its value, by the bytes of the names, `}` |
///
/// Lengths are 4 bytes, little-endian, in bytes. No two values share a form. It stands in keys on
/// disk, so it never changes.
#[derive(Debug, Default, Clone)]
pub struct Canonical {
    /// Members of the objects that are open.
    members: Vec<Member>,
    /// An object's members, sorted.
    sorted: Vec<u8>,
}

/// A member of an object, as it stands in the output.
#[derive(Debug, Clone)]
struct Member {
    name: Range<usize>,
    whole: Range<usize>,
}

impl Canonical {
    /// Appends the canonical form of a payload, one value with whitespace around it, to `out`.
    ///
    /// # Errors
    /// [`NoCanonicalForm`]; `out` is as it was then. Bytes that aren't UTF-8 outside of strings are
    /// no JSON, and inside pass as they are where they hold no escape.
    pub fn write(&mut self, json: &[u8], out: &mut Vec<u8>) -> Result<(), NoCanonicalForm> {
        let before = out.len();
        self.members.clear();
        let written = self.document(json, out);
        if written.is_err() {
            out.truncate(before);
        }
        written
    }

    fn document(&mut self, json: &[u8], out: &mut Vec<u8>) -> Result<(), NoCanonicalForm> {
        let start = space(json, 0);
        if start == json.len() {
            return fail(start, JsonErrorKind::Empty);
        }
        let end = space(json, self.value(json, start, 0, out)?);
        if end < json.len() { fail(end, JsonErrorKind::TrailingBytes) } else { Ok(()) }
    }

    /// Writes the value at `at`, inside of `depth` containers; where it ends.
    fn value(
        &mut self,
        json: &[u8],
        at: usize,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, NoCanonicalForm> {
        match byte(json, at) {
            b'"' => string(json, at, out),
            b'-' | b'0'..=b'9' => number(json, at, out),
            b'{' | b'[' if depth == DEPTH_MAX => fail(at, JsonErrorKind::TooDeep),
            b'{' => self.object(json, at, depth, out),
            b'[' => self.array(json, at, depth, out),
            first => {
                let end = grammar::literal(json, at)?;
                out.push(if first == b'n' { b'z' } else { first });
                Ok(end)
            }
        }
    }

    fn array(
        &mut self,
        json: &[u8],
        at: usize,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, NoCanonicalForm> {
        out.push(b'[');
        let mut next = space(json, at + 1);
        if byte(json, next) == b']' {
            out.push(b']');
            return Ok(next + 1);
        }
        loop {
            let end = self.value(json, next, depth + 1, out)?;
            match grammar::next_element(json, end)? {
                Next::More(at) => next = space(json, at),
                Next::Closed(end) => {
                    out.push(b']');
                    return Ok(end);
                }
            }
        }
    }

    fn object(
        &mut self,
        json: &[u8],
        at: usize,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, NoCanonicalForm> {
        out.push(b'{');
        let mut next = space(json, at + 1);
        if byte(json, next) == b'}' {
            out.push(b'}');
            return Ok(next + 1);
        }
        let first = self.members.len();
        loop {
            if byte(json, next) != b'"' {
                return fail(next, JsonErrorKind::Broken(Expected::Name));
            }
            let start = out.len();
            let name_end = string(json, next, out)?;
            let name = start + HEAD_BYTES..out.len();
            let value = space(json, grammar::colon(json, name_end)?);
            let end = self.value(json, value, depth + 1, out)?;
            self.members.push(Member { name, whole: start..out.len() });
            match grammar::next_member(json, end)? {
                Next::More(quote) => next = quote,
                Next::Closed(end) => {
                    self.sort(first, end, out)?;
                    out.push(b'}');
                    return Ok(end);
                }
            }
        }
    }

    /// Sorts the members from `first` on, which are the end of `out`, and forgets them.
    fn sort(
        &mut self,
        first: usize,
        json_end: usize,
        out: &mut [u8],
    ) -> Result<(), NoCanonicalForm> {
        let Self { members, sorted } = self;
        let own = members.get_mut(first..).unwrap_or_default();
        let name_of = |member: &Member| out.get(member.name.clone()).unwrap_or_default();
        let in_order = own.array_windows().all(|[a, b]| name_of(a) < name_of(b));
        if !in_order {
            let start = own.first().map_or(0, |member| member.whole.start);
            own.sort_unstable_by(|a, b| name_of(a).cmp(name_of(b)));
            if own.array_windows().any(|[a, b]| name_of(a) == name_of(b)) {
                return Err(NoCanonicalForm::NameTwice(json_end));
            }
            sorted.clear();
            for member in own.iter() {
                sorted.extend_from_slice(out.get(member.whole.clone()).unwrap_or_default());
            }
            if let Some(place) = out.get_mut(start..start + sorted.len()) {
                place.copy_from_slice(sorted);
            }
        }
        members.truncate(first);
        Ok(())
    }
}

/// A tag and a length.
const HEAD_BYTES: usize = 5;

/// Appends a tag and what `write` writes, with its length between them.
fn tagged<E>(
    tag: u8,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    out.extend_from_slice(&[tag, 0, 0, 0, 0]);
    let start = out.len();
    write(out)?;
    let len = (out.len() - start) as u32; // a payload holds less than 4 GiB
    if let Some(place) = out.get_mut(start - 4..start) {
        place.copy_from_slice(&len.to_le_bytes());
    }
    Ok(())
}

fn string(json: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, NoCanonicalForm> {
    let end = Searched::default().end(json, at + 1)?;
    let inner = json.get(at + 1..end.at).unwrap_or_default();
    tagged(b's', out, |out| {
        if !end.escaped {
            out.extend_from_slice(inner);
            return Ok::<(), NoCanonicalForm>(());
        }
        let text = text::unescape(inner).ok_or(NoCanonicalForm::NotText(at))?;
        out.extend_from_slice(text.as_bytes());
        Ok(())
    })?;
    Ok(end.at + 1)
}

fn number(json: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, NoCanonicalForm> {
    let end = grammar::number(json, at)?;
    let raw = json.get(at..end).unwrap_or_default();
    tagged(b'n', out, |out| canonical_number(raw, out))
        .map_err(|_| NoCanonicalForm::NumberTooBig(at))?;
    Ok(end)
}

impl From<JsonError> for NoCanonicalForm {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

#[cold]
fn fail<T>(at: usize, what: JsonErrorKind) -> Result<T, NoCanonicalForm> {
    Err(NoCanonicalForm::Json(JsonError { at, what }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::tests::cases;
    use proptest::prelude::*;
    use serde_json::Value;

    fn form(json: &str) -> Result<Vec<u8>, NoCanonicalForm> {
        let mut out = b"kept".to_vec();
        let written = Canonical::default().write(json.as_bytes(), &mut out);
        assert!(out.starts_with(b"kept"));
        assert!(written.is_ok() || out == b"kept", "a refusal leaves the output alone");
        written.map(|()| out.split_off(4))
    }

    #[test]
    fn what_means_the_same_has_one_form() {
        for spellings in [
            &[r#"{"a":1,"b":[true,null]}"#, " { \"b\" : [ true , null ] ,\n\"a\":1.0 } "][..],
            &[r#"{"\u0061":"\u00e9"}"#, r#"{"a":"é"}"#],
            &[r#"{"b":{"y":1,"x":2},"a":[]}"#, r#"{"a":[],"b":{"x":2e0,"y":10e-1}}"#],
            &["[1,2]", "[1.0,20e-1]"],
            &["{}", "{ }"],
            &["[]", "[ ]"],
            &["-0", "0", "0.0"],
        ] {
            let forms: Vec<_> = spellings.iter().map(|json| form(json).unwrap()).collect();
            assert!(forms.windows(2).all(|pair| pair[0] == pair[1]), "{spellings:?} {forms:?}");
        }
        let others = [
            "{}",
            "[]",
            "[[]]",
            "[{}]",
            "null",
            "true",
            "false",
            "0",
            "\"0\"",
            "\"\"",
            "[0]",
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":{},"b":1}"#,
            r#"{"a":[1,2]}"#,
            r#"{"a":[2,1]}"#,
            r#"{"a":[1],"b":2}"#,
            r#"["a",1]"#,
            "[[1],2]",
            "[1,[2]]",
            "[null]",
        ];
        let forms: std::collections::HashSet<_> =
            others.iter().map(|json| form(json).unwrap()).collect();
        assert_eq!(forms.len(), others.len());
    }

    #[test]
    fn the_form_is_frozen() {
        // It stands in keys on disk: this never changes.
        let form = form(r#"{"b":[true,false,null,-1.50],"a":"\u0041","":{}}"#).unwrap();
        let frozen =
            [&b"{s\0\0\0\0{}s\x01\0\0\0as\x01\0\0\0As\x01\0\0\0b["[..], b"tfzn\x06\0\0\0-15e-1]}"];
        assert_eq!(form, frozen.concat());
    }

    #[test]
    fn what_has_no_form_is_named() {
        use NoCanonicalForm::{NameTwice, NotText, NumberTooBig};
        assert_eq!(form(r#"{"a":1,"b":2,"\u0061":1}"#), Err(NameTwice(24)));
        assert_eq!(form(r#"[{"a":{"x":1,"x":1}}]"#), Err(NameTwice(19)));
        assert_eq!(form(r#"["a","\ud800"]"#), Err(NotText(5)));
        assert_eq!(form(r#"{"n":1e9999999}"#), Err(NumberTooBig(5)));
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(form(&deep(DEPTH_MAX)).is_ok());
        let too_deep = JsonError { at: DEPTH_MAX, what: JsonErrorKind::TooDeep };
        assert_eq!(form(&deep(DEPTH_MAX + 1)), Err(NoCanonicalForm::Json(too_deep)));
        for broken in [
            "",
            " ",
            "{",
            "{\"a\"",
            "{\"a\":}",
            "{\"a\":1,}",
            "[1,]",
            "[1 2]",
            "tru",
            "1 2",
            "{a:1}",
        ] {
            assert!(matches!(form(broken), Err(NoCanonicalForm::Json(_))), "{broken}");
        }
    }

    /// As `serde_json` reads it, with numbers by value: the simple reference.
    fn reference(value: &Value) -> String {
        match value {
            Value::Null => "null".into(),
            Value::Bool(bool) => bool.to_string(),
            // Those that are generated are exact as f64.
            Value::Number(number) => format!("{:?}", number.as_f64().unwrap() + 0.0),
            Value::String(text) => format!("{text:?}"),
            Value::Array(all) => {
                format!("[{}]", all.iter().map(reference).collect::<Vec<_>>().join(","))
            }
            Value::Object(members) => {
                let mut all: Vec<_> =
                    members.iter().map(|(name, value)| (name, reference(value))).collect();
                all.sort();
                let all: Vec<_> =
                    all.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
                format!("{{{}}}", all.join(","))
            }
        }
    }

    /// One of the ways to write a value.
    fn spelled(value: &Value, dice: &mut impl FnMut(usize) -> usize, out: &mut String) {
        let blank = |dice: &mut dyn FnMut(usize) -> usize| ["", "", " ", "\n\t"][dice(4)];
        out.push_str(blank(dice));
        match value {
            Value::Number(number) => {
                let number = number.as_f64().unwrap();
                match dice(3) {
                    0 => *out += &format!("{number}"),
                    1 => *out += &format!("{}e-1", number * 10.0),
                    _ => *out += &format!("{number:.3}"),
                }
            }
            Value::String(text) => string_spelled(text, dice, out),
            Value::Array(all) => {
                out.push('[');
                for (index, value) in all.iter().enumerate() {
                    *out += if index > 0 { "," } else { "" };
                    spelled(value, dice, out);
                }
                out.push(']');
            }
            Value::Object(members) => {
                out.push('{');
                let mut all: Vec<_> = members.iter().collect();
                for index in (1..all.len()).rev() {
                    all.swap(index, dice(index + 1));
                }
                for (index, (name, value)) in all.into_iter().enumerate() {
                    *out += if index > 0 { "," } else { "" };
                    out.push_str(blank(dice));
                    string_spelled(name, dice, out);
                    out.push_str(blank(dice));
                    out.push(':');
                    spelled(value, dice, out);
                }
                out.push('}');
            }
            other => *out += &other.to_string(),
        }
        out.push_str(blank(dice));
    }

    fn string_spelled(text: &str, dice: &mut impl FnMut(usize) -> usize, out: &mut String) {
        if dice(2) == 0 {
            *out += &serde_json::to_string(text).unwrap();
        } else {
            let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
            *out += &format!("\"{}\"", units.collect::<String>());
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            // Halves, so that they are exact, also times ten.
            (-40..40_i64).prop_map(|n| serde_json::json!(n as f64 / 2.0)),
            (-3..3_i64).prop_map(|n| serde_json::json!(n)),
            "[ab\"é😀\\\\]{0,2}".prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec(("[abé]{0,2}", inner), 0..4)
                    .prop_map(|all| Value::Object(all.into_iter().collect())),
            ]
        })
    }

    /// Numbers that are the same for the same seed.
    fn dice(mut seed: u64) -> impl FnMut(usize) -> usize {
        move |bound| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % bound
        }
    }

    proptest! {
        #![proptest_config(cases(2000))]

        /// Two payloads have one form exactly when a simple reader finds the same in them.
        #[test]
        fn forms_are_one_exactly_when_values_are(
            a in values(), b in values(), same in any::<bool>(), seeds in any::<(u64, u64)>()
        ) {
            let b = if same { a.clone() } else { b };
            let (mut left, mut right) = (String::new(), String::new());
            spelled(&a, &mut dice(seeds.0), &mut left);
            spelled(&b, &mut dice(seeds.1), &mut right);
            let read = |json: &str| reference(&serde_json::from_str(json).unwrap());
            let same = read(&left) == read(&right);
            prop_assert_eq!(form(&left).unwrap() == form(&right).unwrap(), same, "{} {}", left, right);
        }

        #[test]
        fn no_bytes_make_it_panic(json in prop::collection::vec(prop::sample::select(
            b"{}[]\",:01-e.tfn\\u a\xff".to_vec()), 0..24))
        {
            let _ = Canonical::default().write(&json, &mut Vec::new());
        }
    }
}
