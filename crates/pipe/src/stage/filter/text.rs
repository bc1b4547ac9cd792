//! Questions to texts: the same, its beginning, its end, with or without regard to case, wildcards.

use std::borrow::Cow;

use event::json::Raw;
use memchr::memmem::Finder;

/// A question to a text; no value of another type answers yes.
#[derive(Debug, Clone)]
pub(super) enum TextTest {
    /// This text.
    Exact(Box<str>),
    /// It begins with this.
    Prefix(Box<str>),
    /// It ends with this.
    Suffix(Box<str>),
    /// This text in any case.
    Fold(Folded),
    /// It begins with this in any case.
    PrefixFold(Folded),
    /// It ends with this in any case.
    SuffixFold(Folded),
    /// It has this form.
    Wildcard(Wildcard),
}

impl TextTest {
    #[inline]
    pub(super) fn holds(&self, value: Raw<'_>) -> bool {
        match self {
            TextTest::Exact(text) => is(value, text),
            TextTest::Prefix(prefix) => begins_with(value, prefix),
            other => text_of(value).is_some_and(|text| other.holds_for(&text)),
        }
    }

    fn holds_for(&self, text: &[u8]) -> bool {
        match self {
            TextTest::Exact(own) => own.as_bytes() == text,
            TextTest::Prefix(prefix) => text.starts_with(prefix.as_bytes()),
            TextTest::Suffix(suffix) => text.ends_with(suffix.as_bytes()),
            TextTest::Fold(own) => own.begins(text) == Some(text.len()),
            TextTest::PrefixFold(prefix) => prefix.begins(text).is_some(),
            TextTest::SuffixFold(suffix) => suffix.ends(text),
            TextTest::Wildcard(form) => form.holds_for(text),
        }
    }
}

/// The bytes of a text, escapes resolved; `None` for what is no text.
fn text_of(value: Raw<'_>) -> Option<Cow<'_, [u8]>> {
    let inner = value.bytes().strip_prefix(b"\"")?;
    let inner = inner.strip_suffix(b"\"").unwrap_or(inner);
    match memchr::memchr(b'\\', inner) {
        None => Some(Cow::Borrowed(inner)),
        Some(_) => value.as_str().map(|text| Cow::Owned(text.into_owned().into_bytes())),
    }
}

#[inline]
fn is(value: Raw<'_>, text: &str) -> bool {
    let Some(inner) = value.bytes().strip_prefix(b"\"") else { return false };
    let inner = inner.strip_suffix(b"\"").unwrap_or(inner);
    // An escape is longer than what it stands for, and needs a backslash.
    match inner.len().checked_sub(text.len()) {
        None => false,
        Some(0) => inner == text.as_bytes() && memchr::memchr(b'\\', inner).is_none(),
        Some(_) => memchr::memchr(b'\\', inner).is_some() && value.is_str(text),
    }
}

fn begins_with(value: Raw<'_>, prefix: &str) -> bool {
    let Some(inner) = value.bytes().strip_prefix(b"\"") else { return false };
    let inner = inner.strip_suffix(b"\"").unwrap_or(inner);
    // Text without escapes stands there as it is. A prefix that holds a backslash or a quote never
    // does: those are always escaped.
    match inner.get(..prefix.len()) {
        Some(start) if start == prefix.as_bytes() && !start.contains(&b'\\') => true,
        _ if memchr::memchr(b'\\', inner).is_none() => false,
        _ => value.as_str().is_some_and(|text| text.starts_with(prefix)),
    }
}

/// A text without regard to case, by the rule of the service's published matcher: each character of
/// the pattern stands for itself, its lower and its upper case form. A form may be longer than the
/// character (`ß` also stands for `SS`); the event's characters are taken as they are (`SS` doesn't
/// stand for `ß`).
#[derive(Debug, Clone)]
pub(super) struct Folded {
    chars: Box<[Forms]>,
    /// The longest text that these forms can make; bytes.
    len_max: usize,
}

#[derive(Debug, Clone)]
enum Forms {
    /// An ASCII character, in lower case.
    Ascii(u8),
    /// None of them begins with another.
    Other(Box<[Box<str>]>),
}

impl Folded {
    pub(super) fn new(text: &str) -> Folded {
        let chars: Box<[Forms]> = text.chars().map(Forms::of).collect();
        let longest = |forms: &Forms| match forms {
            Forms::Ascii(_) => 1,
            Forms::Other(forms) => forms.iter().map(|form| form.len()).max().unwrap_or(0),
        };
        let len_max = chars.iter().map(longest).sum();
        Folded { chars, len_max }
    }

    /// How many bytes of the text the forms take from its beginning.
    fn begins(&self, text: &[u8]) -> Option<usize> {
        let mut at = 0;
        for forms in &self.chars {
            at += forms.begins(text.get(at..)?)?;
        }
        Some(at)
    }

    fn ends(&self, text: &[u8]) -> bool {
        let first = text.len().saturating_sub(self.len_max);
        let last = text.len().checked_sub(self.chars.len());
        last.is_some_and(|last| {
            (first..=last).any(|at| {
                let end = text.get(at..).unwrap_or_default();
                self.begins(end) == Some(end.len())
            })
        })
    }
}

impl Forms {
    fn of(own: char) -> Forms {
        if own.is_ascii() {
            return Forms::Ascii((own as u8).to_ascii_lowercase());
        }
        let mut forms: Vec<Box<str>> = vec![own.to_string().into()];
        for form in [own.to_lowercase().to_string(), own.to_uppercase().to_string()] {
            if !forms.iter().any(|known| **known == *form) {
                forms.push(form.into());
            }
        }
        Forms::Other(forms.into())
    }

    fn begins(&self, text: &[u8]) -> Option<usize> {
        match self {
            Forms::Ascii(lower) => {
                text.first().filter(|own| own.to_ascii_lowercase() == *lower).map(|_| 1)
            }
            Forms::Other(forms) => {
                forms.iter().find(|form| text.starts_with(form.as_bytes())).map(|form| form.len())
            }
        }
    }
}

/// A text with holes: `*` stands for any characters, also none.
#[derive(Debug, Clone)]
pub(super) struct Wildcard {
    /// What stands before the first `*`, or the whole without one.
    start: Box<[u8]>,
    /// What stands between one `*` and the next.
    middle: Box<[Finder<'static>]>,
    /// What stands after the last `*`; `None` without one.
    end: Option<Box<[u8]>>,
}

/// What is wrong with a wildcard text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WildcardError {
    /// Two `*` in a row.
    Consecutive,
    /// A backslash before something else than `*` or a backslash.
    Escape,
}

impl Wildcard {
    /// Reads `a*b`; `\*` and `\\` stand for `*` and a backslash.
    pub(super) fn new(text: &str) -> Result<Wildcard, WildcardError> {
        let mut parts = vec![Vec::new()];
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            let byte = match byte {
                b'*' if bytes.peek() == Some(&b'*') => return Err(WildcardError::Consecutive),
                b'*' => {
                    parts.push(Vec::new());
                    continue;
                }
                b'\\' => match bytes.next() {
                    Some(escaped @ (b'*' | b'\\')) => escaped,
                    _ => return Err(WildcardError::Escape),
                },
                byte => byte,
            };
            if let Some(part) = parts.last_mut() {
                part.push(byte);
            }
        }
        let end = if parts.len() > 1 { parts.pop().map(Vec::into_boxed_slice) } else { None };
        let mut parts = parts.into_iter();
        let start = parts.next().unwrap_or_default().into();
        let middle = parts.map(|part| Finder::new(&part).into_owned()).collect();
        Ok(Wildcard { start, middle, end })
    }

    /// The first place for each part is as good as any later one, so nothing is tried twice.
    fn holds_for(&self, text: &[u8]) -> bool {
        let Some(end) = &self.end else { return *text == *self.start };
        let Some(rest) = text.strip_prefix(&*self.start) else { return false };
        let Some(mut rest) = rest.strip_suffix(&**end) else { return false };
        for part in &self.middle {
            let Some(found) = part.find(rest) else { return false };
            rest = rest.get(found + part.needle().len()..).unwrap_or_default();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_a_character_begins_with_another() {
        // `Forms::begins` takes the first that fits; this is why it needn't try the others.
        for own in '\u{80}'..=char::MAX {
            let Forms::Other(forms) = Forms::of(own) else { panic!("{own:?}") };
            for (index, form) in forms.iter().enumerate() {
                let others = forms.iter().enumerate().filter(|(other, _)| *other != index);
                assert!(
                    others.into_iter().all(|(_, other)| !other.starts_with(&**form)),
                    "{own:?}"
                );
            }
        }
    }

    #[test]
    fn wildcards_are_read_as_the_service_reads_them() {
        for (text, error) in [
            ("**", WildcardError::Consecutive),
            ("a**b", WildcardError::Consecutive),
            ("\\a", WildcardError::Escape),
            ("a\\", WildcardError::Escape),
            ("\\\\\\", WildcardError::Escape),
        ] {
            assert_eq!(Wildcard::new(text).unwrap_err(), error, "{text}");
        }
        for text in ["", "*", "*a*", "\\*", "\\**", "*\\*", "\\\\*"] {
            assert!(Wildcard::new(text).is_ok(), "{text}");
        }
    }
}
