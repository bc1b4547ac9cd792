//! `split`: cuts a text into new fields beside it.

use event::json::{Kind, Raw};
use event::path::FieldPath;

use super::edits::{self, Edits, Member};
use super::{Target, TransformFault};

/// The most names that a text is cut into; configuration takes no more.
pub(super) const NAMES_MAX: usize = 16;

/// Cuts the text of a field at a separator, into fields with the given names in the same object.
///
/// - The field itself stays. The new ones stand right after it, in the order of their names.
/// - A name that the object has already gets its new value where it stands; so does the field
///   itself if it is one of the names. A name that stands twice is an error.
/// - More parts than names: the last one takes the rest, separators and all. Fewer: the names left
///   over are not written (what the object had under them stays).
/// - A text without the separator is one part; an empty text is one empty part.
/// - A field that is neither text nor `null` is an error, `transform_not_text`.
#[derive(Debug, Clone)]
pub(super) struct Split {
    target: Target,
    at: Box<str>,
    /// The names, plain and as JSON.
    into: Vec<(Box<str>, Box<[u8]>)>,
}

impl Split {
    pub(super) fn new(target: Target, at: &str, into: &[String]) -> Split {
        let into = into.iter().take(NAMES_MAX).map(|name| {
            let mut json = Vec::new();
            edits::push_string(name, &mut json);
            (name.as_str().into(), json.into())
        });
        Split { target, at: at.into(), into: into.collect() }
    }

    pub(super) fn field(&self) -> &FieldPath {
        &self.target.field
    }

    pub(super) fn edit(&self, payload: &[u8], edits: &mut Edits) -> Result<(), TransformFault> {
        let members = edits.members_around(payload, self.target.parent.as_ref())?;
        let result = self.edit_members(payload, &members, edits);
        edits.keep(members);
        result
    }

    fn edit_members(
        &self,
        payload: &[u8],
        members: &[Member],
        edits: &mut Edits,
    ) -> Result<(), TransformFault> {
        let Some(own) = edits::find(members, payload, &self.target.name)? else { return Ok(()) };
        let Some(value) = members.get(own).map(|member| member.value(payload)) else {
            return Ok(());
        };
        match value.kind() {
            Kind::String => {}
            Kind::Null => return Ok(()),
            _ => return Err(TransformFault::NotText),
        }
        let parts = Parts::of(value, &self.at, self.into.len())?;
        let present = self.present(payload, members)?;
        for (index, member) in members.iter().enumerate() {
            if present.iter().any(Option::is_some) {
                let name = present.iter().position(|place| *place == Some(index));
                if let Some(part) = name.and_then(|name| parts.get(name)) {
                    edits.replace(member.value.clone(), |out| part.push(out));
                }
            }
            if index != own {
                continue;
            }
            let new = self.into.iter().zip(present).enumerate();
            for (index, ((_, name), _)) in new.filter(|(_, (_, place))| place.is_none()) {
                let Some(part) = parts.get(index) else { continue };
                edits.replace(member.value.end..member.value.end, |out| {
                    out.push(b',');
                    out.extend_from_slice(name);
                    out.push(b':');
                    part.push(out);
                });
            }
        }
        Ok(())
    }

    /// Which member has each of the names already.
    fn present(
        &self,
        payload: &[u8],
        members: &[Member],
    ) -> Result<[Option<usize>; NAMES_MAX], TransformFault> {
        let mut present = [None; NAMES_MAX];
        for ((name, _), place) in self.into.iter().zip(&mut present) {
            *place = edits::find(members, payload, name)?;
        }
        Ok(present)
    }
}

/// A text cut into parts.
enum Parts<'a> {
    /// Without escapes: the parts are JSON as they stand there.
    Plain {
        inner: &'a str,
        at: &'a str,
        count: usize,
    },
    Unescaped {
        text: Box<str>,
        at: &'a str,
        count: usize,
    },
}

enum Part<'p> {
    Plain(&'p str),
    Unescaped(&'p str),
}

impl<'a> Parts<'a> {
    fn of(value: Raw<'a>, at: &'a str, count: usize) -> Result<Parts<'a>, TransformFault> {
        let bytes = value.bytes();
        let inner = bytes.get(1..bytes.len().saturating_sub(1)).unwrap_or_default();
        // Half a surrogate pair is no text.
        let text = value.as_str().ok_or(TransformFault::NotText)?;
        Ok(match std::str::from_utf8(inner) {
            Ok(inner) if memchr::memchr(b'\\', inner.as_bytes()).is_none() => {
                Parts::Plain { inner, at, count }
            }
            _ => Parts::Unescaped { text: text.into(), at, count },
        })
    }

    fn get(&self, index: usize) -> Option<Part<'_>> {
        match self {
            Parts::Plain { inner, at, count } => {
                inner.splitn(*count, at).nth(index).map(Part::Plain)
            }
            Parts::Unescaped { text, at, count } => {
                text.splitn(*count, at).nth(index).map(Part::Unescaped)
            }
        }
    }
}

impl Part<'_> {
    fn push(&self, out: &mut Vec<u8>) {
        match self {
            Part::Plain(text) => {
                out.push(b'"');
                out.extend_from_slice(text.as_bytes());
                out.push(b'"');
            }
            Part::Unescaped(text) => edits::push_string(text, out),
        }
    }
}
