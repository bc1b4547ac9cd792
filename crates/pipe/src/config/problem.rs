//! What is wrong with a config, as a user sees it: place, line, caret, way out.

use std::fmt;
use std::path::{Path, PathBuf};

use super::place::{Place, SourceText};
use super::secret;
use super::yaml::{Data, Node};

/// How many errors one `Display` shows; the rest is counted.
const ERRORS_SHOWN_MAX: usize = 50;

/// How many characters of a line are shown around the caret.
const LINE_SHOWN_CHARS: usize = 110;

/// One mistake in a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as it was named.
    pub file: PathBuf,
    /// Line, from 1; 0 if the mistake is about the whole file.
    pub line: usize,
    /// Column in characters, from 1; 0 if the mistake is about the whole file.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it, most useful first.
    pub help: Vec<String>,
    /// How it is shown.
    shown: Box<Shown>,
}

/// How a mistake is shown, beside its words. Apart, so that an error is cheap to hand on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shown {
    /// What another part says of it, line by line; shown as it is.
    details: Vec<String>,
    /// Whether the config is good all the same.
    warning: bool,
    /// The line as it stands in the file, without secrets.
    text: String,
    /// Characters under the caret.
    width: usize,
}

impl ConfigError {
    /// A mistake that has no place in the file's text.
    pub(crate) fn of_file(file: &Path, message: impl Into<String>) -> ConfigError {
        ConfigError {
            file: file.to_owned(),
            line: 0,
            column: 0,
            message: message.into(),
            help: Vec::new(),
            shown: Box::default(),
        }
    }

    /// A mistake at a place of the file.
    pub(crate) fn at(source: &SourceText, place: Place, message: impl Into<String>) -> ConfigError {
        ConfigError {
            line: place.line,
            column: place.column + 1,
            shown: Box::new(Shown {
                text: secret::hidden(source.line(place.line)),
                width: place.width,
                ..Shown::default()
            }),
            ..ConfigError::of_file(&source.path, message)
        }
    }

    /// Adds a way out.
    pub fn help(&mut self, help: impl Into<String>) -> &mut ConfigError {
        self.help.push(help.into());
        self
    }

    /// Adds what another part says of it.
    pub(crate) fn details<'t>(&mut self, lines: impl IntoIterator<Item = &'t str>) -> &mut Self {
        self.shown
            .details
            .extend(lines.into_iter().map(|line| line.chars().map(visible).collect()));
        self
    }

    /// The shown part of the line, and how many characters stand before the caret in it.
    fn shown(&self) -> (String, usize) {
        let chars: Vec<char> = self.shown.text.chars().map(visible).collect();
        let caret = self.column.saturating_sub(1);
        if chars.len() <= LINE_SHOWN_CHARS {
            return (chars.into_iter().collect(), caret);
        }
        let start = caret.saturating_sub(LINE_SHOWN_CHARS / 2);
        let part = chars.iter().skip(start).take(LINE_SHOWN_CHARS);
        let (before, dots) = if start > 0 { ("…", 1) } else { ("", 0) };
        let after = if start + LINE_SHOWN_CHARS < chars.len() { "…" } else { "" };
        (format!("{before}{}{after}", part.collect::<String>()), caret - start + dots)
    }
}

/// A tab would shift the caret, another control character could do anything to a terminal.
fn visible(c: char) -> char {
    match c {
        '\t' => '→',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", if self.shown.warning { "warning" } else { "error" }, self.message)?;
        let file = self.file.display();
        let number = self.line.to_string();
        let gutter = if self.line == 0 { "" } else { &" ".repeat(number.len()) };
        if self.line == 0 {
            writeln!(f, " --> {file}")?;
        } else {
            let (shown, before) = self.shown();
            let room = shown.chars().count().saturating_sub(before).max(1);
            let carets = "^".repeat(self.shown.width.clamp(1, room));
            writeln!(f, "{gutter}--> {file}:{}:{}", self.line, self.column)?;
            writeln!(f, "{gutter} |")?;
            writeln!(f, "{number} | {shown}")?;
            writeln!(f, "{gutter} | {}{carets}", " ".repeat(before))?;
        }
        for detail in &self.shown.details {
            writeln!(f, "{}", format!("{gutter} | {detail}").trim_end())?;
        }
        for help in &self.help {
            writeln!(f, "{gutter} = help: {help}")?;
        }
        Ok(())
    }
}

/// Every mistake of the files that were loaded, in the order of files and lines.
///
/// `Display` renders all of them (past 50 their number) and ends with a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The mistakes, at least one.
    pub errors: Vec<ConfigError>,
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in self.errors.iter().take(ERRORS_SHOWN_MAX) {
            writeln!(f, "{error}")?;
        }
        let more = self.errors.len().saturating_sub(ERRORS_SHOWN_MAX);
        if more > 0 {
            writeln!(f, "… and {more} more\n")?;
        }
        let mut files: Vec<&PathBuf> = self.errors.iter().map(|error| &error.file).collect();
        files.dedup();
        let count = self.errors.len();
        write!(f, "{count} {} in ", if count == 1 { "error" } else { "errors" })?;
        match files.as_slice() {
            [file] => write!(f, "{}", file.display()),
            files => write!(f, "{} files", files.len()),
        }
    }
}

/// Collects the mistakes of one file.
pub struct Problems<'a> {
    /// The file.
    pub(crate) source: &'a SourceText,
    /// What was found so far.
    pub errors: Vec<ConfigError>,
    /// What is allowed and probably not meant.
    pub(crate) warnings: Vec<ConfigError>,
    /// Secrets that stand where none is known to.
    covered: Vec<Place>,
}

impl<'a> Problems<'a> {
    /// Nothing found yet.
    pub fn new(source: &'a SourceText) -> Problems<'a> {
        Problems { source, errors: Vec::new(), warnings: Vec::new(), covered: Vec::new() }
    }

    /// Has every text of `node` covered where its line is shown.
    pub(crate) fn cover(&mut self, node: &Node) {
        match &node.data {
            Data::Scalar(_) => self.covered.push(node.place),
            Data::List(items) => items.iter().for_each(|item| self.cover(item)),
            Data::Map(pairs) => pairs.iter().for_each(|(_, node)| self.cover(node)),
        }
    }

    /// Covers in the lines of all errors what is to be covered.
    pub(crate) fn cover_lines(&mut self) {
        for place in &self.covered {
            for error in self.errors.iter_mut().chain(&mut self.warnings) {
                if error.line == place.line {
                    error.shown.text =
                        secret::covered(&error.shown.text, place.column, place.width);
                }
            }
        }
    }

    /// Adds a mistake; the caller goes on with `.help(…)`.
    pub fn add(&mut self, place: Place, message: impl Into<String>) -> &mut ConfigError {
        self.errors.push(ConfigError::at(self.source, place, message));
        let last = self.errors.len() - 1;
        #[allow(clippy::indexing_slicing)] // pushed one line above
        &mut self.errors[last]
    }

    /// Adds something that is allowed and probably not meant, with what to do about it.
    pub(crate) fn warn(&mut self, place: Place, message: impl Into<String>, help: &str) {
        let mut warning = ConfigError::at(self.source, place, message);
        warning.shown.warning = true;
        warning.help(help);
        self.warnings.push(warning);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let line = format!("{}here{}", "x".repeat(300), "y".repeat(300));
        let source = SourceText::new(Path::new("a.yaml"), &line);
        let place = Place { line: 1, column: 300, width: 4 };
        let shown = ConfigError::at(&source, place, "wrong").to_string();
        let lines: Vec<&str> = shown.lines().collect();
        let caret = lines[4].find('^').unwrap();
        let under: String = lines[3].chars().skip(caret).take(4).collect();
        assert_eq!(under, "here", "{shown}");
    }
}
