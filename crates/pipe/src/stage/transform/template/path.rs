//! Paths of templates: field paths in which `[*]` stands for every element of an array.

use event::json::{JsonError, Kind, Raw};
use event::path::FieldPath;

/// A path of a template.
#[derive(Debug, Clone)]
pub(super) struct Path {
    /// The way to the first `[*]`, from there to the next, and so on.
    segments: Box<[FieldPath]>,
}

/// What stands at a path.
pub(super) enum Found<'a> {
    /// Nothing.
    Nothing,
    /// This value.
    One(Raw<'a>),
    /// What the elements have there; none of them may have anything.
    Many(Vec<Raw<'a>>),
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// The byte where reading stopped, and what is wrong there.
    pub(super) fn parse(path: &str) -> Result<Path, (usize, String)> {
        let mut segments = Vec::new();
        let mut start = 0;
        for part in path.split("[*]") {
            // Every segment begins at its own top.
            let (text, shift) = match start {
                0 => (part.to_owned(), 0),
                _ => (format!("${part}"), 1),
            };
            let segment = FieldPath::parse(&text)
                .map_err(|error| (start + error.at.saturating_sub(shift), error.hint.to_owned()))?;
            segments.push(segment);
            start += part.len() + "[*]".len();
        }
        Ok(Path { segments: segments.into() })
    }

    /// Looks it up in a payload that was scanned.
    pub(super) fn find<'a>(&self, payload: &'a [u8]) -> Result<Found<'a>, JsonError> {
        let Some((first, rest)) = self.segments.split_first() else { return Ok(Found::Nothing) };
        let value = first.get(payload)?;
        if rest.is_empty() {
            return Ok(value.map_or(Found::Nothing, Found::One));
        }
        let Some(value) = value.filter(|value| value.kind() == Kind::Array) else {
            return Ok(Found::Nothing);
        };
        let mut found = Vec::new();
        gather(value, rest, &mut found)?;
        Ok(Found::Many(found))
    }
}

fn gather<'a>(
    array: Raw<'a>,
    segments: &[FieldPath],
    found: &mut Vec<Raw<'a>>,
) -> Result<(), JsonError> {
    let Some((first, rest)) = segments.split_first() else { return Ok(()) };
    for element in array.elements() {
        let Some(value) = first.get(element.bytes())? else { continue };
        if rest.is_empty() {
            found.push(value);
        } else if value.kind() == Kind::Array {
            gather(value, rest, found)?;
        }
    }
    Ok(())
}
