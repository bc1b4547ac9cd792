//! Field paths: where in a JSON document a field stands, like `$.a.b[0].c`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The most steps a [`FieldPath`] may have.
pub const STEPS_MAX: usize = 32;

/// One step of a [`FieldPath`] down into a document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Into an object, by the unescaped name of the member.
    Field(Box<str>),
    /// Into an array, by position from 0.
    Index(u32),
}

/// A path to one field of a JSON document: `$` is the whole document, `.name` or `['odd name']`
/// goes into an object, `[3]` into an array. At most [`STEPS_MAX`] steps. Cheap to clone.
///
/// `Display` gives a form that parses back to the same path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldPath {
    steps: Arc<[Step]>,
}

/// A field path that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field path `{path}` is wrong at byte {at}: {hint}")]
pub struct FieldPathError {
    /// The path as it was given.
    pub path: String,
    /// Byte offset into `path` where reading stopped.
    pub at: usize,
    /// What is wrong there, and what to write instead.
    pub hint: &'static str,
}

impl FieldPath {
    /// Reads a path.
    ///
    /// # Errors
    /// [`FieldPathError`] with the offset of what could not be read and a hint.
    pub fn parse(path: &str) -> Result<FieldPath, FieldPathError> {
        let mut parser = Parser { path, at: 0 };
        match parser.steps() {
            Ok(steps) => Ok(FieldPath { steps: steps.into() }),
            Err(hint) => Err(FieldPathError { path: path.to_owned(), at: parser.at, hint }),
        }
    }

    /// A path made of steps, the whole document if there are none.
    ///
    /// # Errors
    /// [`FieldPathError`] if there are more than [`STEPS_MAX`] steps.
    pub fn from_steps(steps: Vec<Step>) -> Result<FieldPath, FieldPathError> {
        let path = FieldPath { steps: steps.into() };
        if path.steps.len() > STEPS_MAX {
            return Err(FieldPathError { path: path.to_string(), at: 0, hint: TOO_MANY_STEPS });
        }
        Ok(path)
    }

    /// The steps from the document's top down to the field; empty for `$`.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl FromStr for FieldPath {
    type Err = FieldPathError;

    fn from_str(path: &str) -> Result<FieldPath, FieldPathError> {
        FieldPath::parse(path)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in self.steps.iter() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Field(name) if !name.is_empty() && name.chars().all(is_plain) => {
                    write!(f, ".{name}")?;
                }
                Step::Field(name) => {
                    f.write_str("['")?;
                    for c in name.chars() {
                        if c == '\'' || c == '\\' {
                            f.write_str("\\")?;
                        }
                        write!(f, "{c}")?;
                    }
                    f.write_str("']")?;
                }
            }
        }
        Ok(())
    }
}

const TOO_MANY_STEPS: &str = "a path has at most 32 steps";

/// Whether a name may hold this character without quotes around it.
fn is_plain(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !r#".[]'"\*?$,()"#.contains(c)
}

struct Parser<'a> {
    path: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.path.get(self.at..)?.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Reads the whole path. On an error `self.at` stays where it is.
    fn steps(&mut self) -> Result<Vec<Step>, &'static str> {
        if self.peek() != Some('$') {
            return Err("a path begins with `$`, for example `$.user.id`");
        }
        self.at += 1;
        let mut steps = Vec::new();
        while let Some(c) = self.peek() {
            if steps.len() == STEPS_MAX {
                return Err(TOO_MANY_STEPS);
            }
            steps.push(match c {
                '.' => {
                    self.at += 1;
                    self.plain_name()?
                }
                '[' => {
                    self.at += 1;
                    self.bracket()?
                }
                _ => return Err("after `$` or a step stands `.name`, `['name']` or `[0]`"),
            });
        }
        Ok(steps)
    }

    fn plain_name(&mut self) -> Result<Step, &'static str> {
        let rest = self.path.get(self.at..).unwrap_or("");
        let len = rest.find(|c| !is_plain(c)).unwrap_or(rest.len());
        match rest.chars().next() {
            Some('.') => return Err("`..` isn't supported: name every step of the path"),
            Some('*') => return Err("`*` isn't supported: a path names one field"),
            _ if len == 0 => {
                return Err("a name is missing here; odd names go into `['…']`");
            }
            _ => {}
        }
        if rest.get(len..).is_some_and(|after| !after.is_empty() && !after.starts_with(['.', '[']))
        {
            self.at += len;
            return Err("this character needs quotes: write the name as `['…']`");
        }
        self.at += len;
        Ok(Step::Field(rest.get(..len).unwrap_or("").into()))
    }

    fn bracket(&mut self) -> Result<Step, &'static str> {
        let step = match self.peek() {
            Some(quote @ ('\'' | '"')) => self.quoted_name(quote)?,
            Some('0'..='9') => self.index()?,
            Some('-') => return Err("an index counts from 0, from the front"),
            Some('*') => return Err("`[*]` isn't supported: a path names one field"),
            _ => return Err("inside `[ ]` stands an index like `0` or a name in quotes"),
        };
        if self.peek() != Some(']') {
            return Err("`]` is missing here");
        }
        self.at += 1;
        Ok(step)
    }

    fn quoted_name(&mut self, quote: char) -> Result<Step, &'static str> {
        self.at += 1;
        let mut name = String::new();
        loop {
            match self.take() {
                None => return Err("the closing quote of this name is missing"),
                Some(c) if c == quote => return Ok(Step::Field(name.into())),
                Some('\\') => match self.peek() {
                    Some(c @ ('\\' | '\'' | '"')) => {
                        self.at += 1;
                        name.push(c);
                    }
                    _ => return Err("after `\\` stands `\\`, `'` or `\"`"),
                },
                Some(c) => name.push(c),
            }
        }
    }

    fn index(&mut self) -> Result<Step, &'static str> {
        let rest = self.path.get(self.at..).unwrap_or("");
        let len = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let digits = rest.get(..len).unwrap_or("");
        if len > 1 && digits.starts_with('0') {
            return Err("an index has no leading zero");
        }
        let index = digits.parse().map_err(|_| "an index is at most 4294967295")?;
        self.at += len;
        Ok(Step::Index(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(name: &str) -> Step {
        Step::Field(name.into())
    }

    #[test]
    fn paths_parse_into_steps() {
        for (path, steps) in [
            ("$", vec![]),
            ("$.a", vec![field("a")]),
            ("$.a.b[0].c", vec![field("a"), field("b"), Step::Index(0), field("c")]),
            ("$['odd key']", vec![field("odd key")]),
            (r#"$["x.y"][7]"#, vec![field("x.y"), Step::Index(7)]),
            (r"$['it\'s \\']", vec![field(r"it's \")]),
            ("$['']", vec![field("")]),
            ("$.größe.event-name.a:b", vec![field("größe"), field("event-name"), field("a:b")]),
            ("$[4294967295]", vec![Step::Index(u32::MAX)]),
        ] {
            assert_eq!(FieldPath::parse(path).unwrap().steps(), steps, "{path}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_offset() {
        for (path, at, hint) in [
            ("", 0, "begins with `$`"),
            ("a.b", 0, "begins with `$`"),
            ("$a", 1, "after `$`"),
            ("$.", 2, "name is missing"),
            ("$..a", 2, "`..`"),
            ("$.a.*", 4, "`*`"),
            ("$.a b", 3, "needs quotes"),
            ("$.a[*]", 4, "`[*]`"),
            ("$.a[-1]", 4, "from 0"),
            ("$.a[01]", 4, "leading zero"),
            ("$[4294967296]", 2, "at most"),
            ("$.a[0", 5, "`]` is missing"),
            ("$['a", 4, "closing quote"),
            (r"$['\n']", 4, "after `\\`"),
            ("$[]", 2, "inside `[ ]`"),
        ] {
            let error = FieldPath::parse(path).unwrap_err();
            assert_eq!(error.at, at, "{error}");
            assert!(error.hint.contains(hint), "{error}");
        }
        assert!(FieldPath::parse(&format!("${}", ".a".repeat(32))).is_ok());
        let error = FieldPath::parse(&format!("${}", ".a".repeat(33))).unwrap_err();
        assert_eq!((error.at, error.hint), (65, TOO_MANY_STEPS));
        assert!(FieldPath::from_steps(vec![Step::Index(0); 33]).is_err());
    }

    proptest! {
        #![proptest_config(crate::json::tests::cases(500))]

        #[test]
        fn a_shown_path_parses_back(
            steps in prop::collection::vec(
                prop_oneof![
                    any::<u32>().prop_map(Step::Index),
                    any::<String>().prop_map(|name| Step::Field(name.into())),
                    "[a-z_.' \\\\\"\\[-]{0,6}".prop_map(|name| Step::Field(name.into())),
                ],
                0..=STEPS_MAX,
            )
        ) {
            let path = FieldPath::from_steps(steps).unwrap();
            prop_assert_eq!(FieldPath::parse(&path.to_string()).unwrap(), path);
        }

        #[test]
        fn parsing_never_panics(path in "\\$?[\\$.\\[\\]'\"\\\\a0-9ü*-]{0,20}") {
            let _ = FieldPath::parse(&path);
        }
    }
}
