//! The text of one config file, and where in it something stands.

use std::path::{Path, PathBuf};

/// A stretch of one line. What spans several lines ends with its first line here: one caret line
/// is what an error shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 0.
    pub column: usize,
    /// Characters; 0 where something is missing.
    pub width: usize,
}

impl Place {
    /// From the start of `self` to the end of `other` if both stand in one line, else `self`.
    pub(crate) fn to(self, other: Place) -> Place {
        let end = other.column + other.width;
        if self.line == other.line && end > self.column {
            Place { width: end - self.column, ..self }
        } else {
            self
        }
    }
}

/// One config file as text.
#[derive(Debug)]
pub struct SourceText {
    /// The file as the user named it; errors show this.
    pub(crate) path: PathBuf,
    /// The folder that relative paths start from.
    pub(crate) base_dir: PathBuf,
    /// The text, without a byte order mark.
    pub(crate) text: String,
    lines: Vec<String>,
}

impl SourceText {
    /// Wraps a file's text.
    pub fn new(path: &Path, text: &str) -> SourceText {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let base_dir = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        SourceText {
            path: path.to_owned(),
            base_dir,
            text: text.to_owned(),
            lines: text.lines().map(str::to_owned).collect(),
        }
    }

    /// A line by its number from 1, without its end; empty past the end of the file.
    pub(crate) fn line(&self, number: usize) -> &str {
        number.checked_sub(1).and_then(|index| self.lines.get(index)).map_or("", String::as_str)
    }

    /// How many lines the file has.
    pub(crate) fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// The place from `start` to `end` (line, column), cut at the end of the first line and
    /// without trailing blanks: the parser counts them in.
    pub(crate) fn place(&self, start: (usize, usize), end: (usize, usize)) -> Place {
        let (line, column) = start;
        let taken: String = if end.0 == line {
            self.line(line).chars().skip(column).take(end.1.saturating_sub(column)).collect()
        } else {
            self.line(line).chars().skip(column).collect()
        };
        Place { line, column, width: taken.trim_end().chars().count() }
    }

    /// The place of `width` characters at `offset` characters inside a scalar with this value, or
    /// the whole scalar if its text doesn't stand in the file as it is (escapes, variables).
    pub(crate) fn inside(&self, scalar: Place, value: &str, offset: usize, width: usize) -> Place {
        for quote in [0, 1] {
            let column = scalar.column + quote;
            let mut stands = self.line(scalar.line).chars().skip(column);
            if value.chars().all(|c| stands.next() == Some(c)) && !value.is_empty() {
                return Place { line: scalar.line, column: column + offset, width };
            }
        }
        scalar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_inside_a_value_counts_the_quote() {
        let source =
            SourceText::new(Path::new("a.yaml"), "key: $.a..b\nkey: '$.a..b'\nk: \"\\x24.a\"");
        let scalar = |line, width| Place { line, column: 5, width };
        assert_eq!(source.inside(scalar(1, 6), "$.a..b", 4, 1).column, 9);
        assert_eq!(source.inside(scalar(2, 8), "$.a..b", 4, 1).column, 10);
        let escaped = Place { line: 3, column: 3, width: 8 };
        assert_eq!(source.inside(escaped, "$.a", 2, 1), escaped);
    }
}
