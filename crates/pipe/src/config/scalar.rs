//! Values that are one word of text: names, paths, numbers, durations, sizes, choices.

use std::time::Duration;

use event::path::FieldPath;

use super::check::{At, shorten};
use super::key::{KEY_WORDS, KeyPart};
use super::place::Place;
use super::problem::Problems;
use super::section::Value;
use super::suggest;
use super::table::{Kind, Word};
use super::unit::{self, UnitProblem};
use super::yaml::{Node, Scalar};

/// Most characters of a name.
const NAME_CHARS_MAX: usize = 64;

/// Most characters of a path in the file system.
const PATH_CHARS_MAX: usize = 4096;

/// Most characters of a field's name.
const FIELD_NAME_CHARS_MAX: usize = 128;

/// What a kind wants, for "must be …".
pub(crate) fn wanted(kind: &Kind) -> &'static str {
    match kind {
        Kind::Name => "a name",
        Kind::FieldName => "the name of a field",
        Kind::LocalPath => "a path",
        Kind::FieldPath => "a field path like `$.user.id`",
        Kind::KeyPart(_) => {
            "a field path like `$.user.id`, or one of `body`, `raw_body`, `broker_id`"
        }
        Kind::Window { .. } => "a duration like `10m`, or `forever`",
        Kind::Flag => "`true` or `false`",
        Kind::Count { .. } => "a whole number",
        Kind::Size { .. } => "a size like `16MiB`",
        Kind::Duration { .. } => "a duration like `10m`",
        Kind::Range { .. } => "a range like `200ms..30s`",
        Kind::Rate { .. } => "a rate like `100/s`",
        Kind::Url => "an address like `https://example.org/events`",
        Kind::Word(_) => "one word",
        _ => "text",
    }
}

/// Whether a text means a window without end.
fn is_like_forever(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let others = ["never", "infinite", "infinity", "inf", "unlimited", "none", "always"];
    others.contains(&text.as_str()) || suggest::nearest(&text, ["forever"]).is_some()
}

/// Checks a scalar against its kind.
pub(crate) fn value(
    kind: &Kind,
    node: &Node,
    scalar: &Scalar,
    at: &At,
    problems: &mut Problems<'_>,
) -> Value {
    let text = scalar.text.as_str();
    let mut scalars = Reading { node, scalar, at, problems };
    match kind {
        Kind::Name => scalars.name(text),
        Kind::Text { chars_max } => scalars.text(text, *chars_max),
        Kind::Secret { chars_max } => scalars.text(text, *chars_max),
        Kind::Url => scalars.url(text),
        Kind::Range { min, max } => scalars.range(text, *min, *max),
        Kind::Rate { max } => scalars.rate(text, *max),
        Kind::FieldName => scalars.field_name(text),
        Kind::LocalPath => scalars.local_path(text),
        Kind::FieldPath => scalars.field_path(text),
        Kind::KeyPart(_) => scalars.key_part(text),
        Kind::Flag => scalars.flag(text),
        Kind::Count { min, max } => scalars.count(text, *min, *max),
        Kind::Size { min, max } => scalars.size(text, *min, *max),
        Kind::Window { .. } if text == "forever" => Value::Duration(Duration::MAX),
        Kind::Duration { min, max } | Kind::Window { min, max } => {
            match unit::duration(text.trim()) {
                Ok(duration) if duration >= *min && duration <= *max => Value::Duration(duration),
                Ok(_) => {
                    let bounds = [unit::show_duration(*min), unit::show_duration(*max)];
                    scalars.out_of_bounds(text, bounds)
                }
                Err(_) if matches!(kind, Kind::Window { .. }) && is_like_forever(text) => {
                    let message = format!("`{}` isn't a duration", shorten(text));
                    scalars.wrong(message).help("did you mean `forever`?");
                    Value::Bad
                }
                Err(_) if text == "forever" => {
                    let message = format!("`{}` must end some time", at.name);
                    let most = unit::show_duration(*max);
                    scalars.wrong(message).help(format!("the most is `{most}`"));
                    Value::Bad
                }
                Err(problem) => scalars.wrong_unit(problem),
            }
        }
        Kind::Word(words) => scalars.word(text, words),
        _ => Value::Bad,
    }
}

struct Reading<'r, 'p> {
    node: &'r Node,
    scalar: &'r Scalar,
    at: &'r At,
    problems: &'r mut Problems<'p>,
}

impl Reading<'_, '_> {
    /// An error at the whole value.
    fn wrong(&mut self, message: impl Into<String>) -> &mut super::ConfigError {
        let place = self.node.place;
        self.add(place, message)
    }

    /// An error at some characters of the value.
    fn wrong_inside(
        &mut self,
        offset: usize,
        width: usize,
        message: impl Into<String>,
    ) -> &mut super::ConfigError {
        let place = self.problems.source.inside(self.node.place, &self.scalar.text, offset, width);
        self.add(place, message)
    }

    fn add(&mut self, place: Place, message: impl Into<String>) -> &mut super::ConfigError {
        let mut message = message.into();
        if self.scalar.replaced {
            message.push_str(" (after variables were replaced)");
        }
        self.problems.add(place, message)
    }

    fn name(&mut self, text: &str) -> Value {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        let at = &self.at.name;
        if let Some((offset, c)) = text.chars().enumerate().find(|(_, c)| !fits(*c)) {
            let message = format!("`{c}` can't be in `{at}`");
            let lower: String =
                text.to_lowercase().chars().map(|c| if fits(c) { c } else { '-' }).collect();
            let lower = lower.trim_matches(['-', '_']);
            let error = self.wrong_inside(offset, 1, message);
            error.help("names are made of a-z, 0-9, `_` and `-`");
            if !lower.is_empty() {
                error.help(format!("for example `{lower}`"));
            }
            return Value::Bad;
        }
        if text.is_empty() || text.starts_with(['_', '-']) {
            let message = format!("`{at}` must begin with a letter or digit");
            self.wrong(message).help("names are made of a-z, 0-9, `_` and `-`");
            return Value::Bad;
        }
        if text.chars().count() > NAME_CHARS_MAX {
            let count = text.chars().count();
            let message = format!("`{at}` has {count} characters, at most {NAME_CHARS_MAX} fit");
            self.wrong(message).help("shorten it");
            return Value::Bad;
        }
        Value::Text(text.to_owned())
    }

    fn text(&mut self, text: &str, chars_max: usize) -> Value {
        let count = text.chars().count();
        if count == 0 || count > chars_max {
            let at = &self.at.name;
            let (message, help) = match count {
                0 => (format!("`{at}` is empty"), "write it out"),
                _ => (format!("`{at}` has {count} characters, {chars_max} fit"), "shorten it"),
            };
            self.wrong(message).help(help);
            return Value::Bad;
        }
        Value::Text(text.to_owned())
    }

    fn field_name(&mut self, text: &str) -> Value {
        if let Some(name) = text.strip_prefix("$.") {
            let message = format!("`{}` wants a plain name, not a path", self.at.name);
            self.wrong(message).help(match name.rsplit(['.', '[']).next() {
                Some(last) if !last.is_empty() => format!("write `{last}`"),
                _ => "write the name alone".to_owned(),
            });
            return Value::Bad;
        }
        let odd = |c: char| c.is_control() || ".[]'\"\\$".contains(c);
        if let Some((offset, c)) = text.chars().enumerate().find(|(_, c)| odd(*c)) {
            let message = format!("`{}` can't be in a new field's name", c.escape_debug());
            self.wrong_inside(offset, 1, message).help("take it out: it has a meaning in paths");
            return Value::Bad;
        }
        self.text(text, FIELD_NAME_CHARS_MAX)
    }

    fn local_path(&mut self, text: &str) -> Value {
        if let Some((scheme, _)) = text.split_once("://") {
            let width = scheme.chars().count() + 3;
            let (message, help) = match scheme {
                "file" => ("this is a URL, not a path".to_owned(), "write the path alone"),
                _ => (format!("`{scheme}://` isn't built yet"), "use a local path"),
            };
            let error = self.wrong_inside(0, width, message);
            error.help(format!("{help}: relative to this file, or absolute"));
            return Value::Bad;
        }
        if text.is_empty() || text.contains('\0') || text.chars().count() > PATH_CHARS_MAX {
            let message = format!("`{}` isn't a path", self.at.name);
            let help = format!("a path has 1 to {PATH_CHARS_MAX} characters and no NUL");
            self.wrong(message).help(help);
            return Value::Bad;
        }
        if text.starts_with("~/") {
            self.wrong_inside(0, 1, "`~` isn't your home folder here").help("write `${HOME}/…`");
            return Value::Bad;
        }
        Value::Text(text.to_owned())
    }

    fn field_path(&mut self, text: &str) -> Value {
        match FieldPath::parse(text) {
            Ok(path) if path.steps().is_empty() => {
                let message = "`$` names the whole event";
                self.wrong(message).help("name a field, like `$.user.id`");
                Value::Bad
            }
            Ok(path) => Value::Path(path),
            Err(error) => {
                let offset = text.get(..error.at).map_or(0, |before| before.chars().count());
                let message = format!("`{}` isn't a field path", shorten(text));
                let hint = error.hint;
                let guess = format!("$.{}", text.trim_start_matches(['.', '/']));
                let guessed = offset == 0 && FieldPath::parse(&guess).is_ok();
                let (offset, width) = if guessed { (0, text.chars().count()) } else { (offset, 1) };
                let problem = self.wrong_inside(offset, width, message);
                if guessed {
                    problem.help(format!("did you mean `{guess}`?"));
                }
                problem.help(hint);
                Value::Bad
            }
        }
    }

    /// A field path, or one of the words that are a key of their own.
    fn key_part(&mut self, text: &str) -> Value {
        if let Some(word) = KeyPart::word(text) {
            return Value::KeyPart(word);
        }
        let words = KEY_WORDS.iter().map(|(word, _)| *word);
        if !text.starts_with(['$', '.', '/'])
            && let Some(nearest) = suggest::nearest(text, words)
        {
            let message = format!("`{}` isn't a field path", shorten(text));
            self.wrong(message).help(format!("did you mean `{nearest}`, or `$.{text}`?"));
            return Value::Bad;
        }
        match self.field_path(text) {
            Value::Path(path) => Value::KeyPart(KeyPart::Path(path)),
            other => other,
        }
    }

    fn flag(&mut self, text: &str) -> Value {
        match text {
            "true" => Value::Flag(true),
            "false" => Value::Flag(false),
            other => {
                let message = format!(
                    "`{}` must be `true` or `false`, but is `{}`",
                    self.at.name,
                    shorten(other)
                );
                let meant = match other.to_lowercase().as_str() {
                    "yes" | "on" | "y" | "1" | "true" => Some("true"),
                    "no" | "off" | "n" | "0" | "false" => Some("false"),
                    _ => None,
                };
                let error = self.wrong(message);
                error.help(match meant {
                    Some(meant) => format!("write `{meant}`"),
                    None => "write one of the two, without quotes".to_owned(),
                });
                Value::Bad
            }
        }
    }

    fn count(&mut self, text: &str, min: u64, max: u64) -> Value {
        let bounds = [min.to_string(), max.to_string()];
        match text.parse::<u64>() {
            Ok(count) if count >= min && count <= max => Value::Count(count),
            Ok(_) => self.out_of_bounds(text, bounds),
            Err(_) => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
                    return self.out_of_bounds(text, bounds);
                }
                let message = format!(
                    "`{}` must be a whole number, but is `{}`",
                    self.at.name,
                    shorten(text)
                );
                let digits: String = text.chars().filter(|c| !"_,' ".contains(*c)).collect();
                let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                let [min, max] = bounds;
                let error = self.wrong(message);
                if is_number {
                    error.help(format!("write `{digits}`"));
                }
                error.help(format!("from {min} to {max}"));
                Value::Bad
            }
        }
    }

    fn size(&mut self, text: &str, min: u64, max: u64) -> Value {
        match unit::size(text.trim()) {
            Ok(bytes) if bytes >= min && bytes <= max => Value::Count(bytes),
            Ok(_) => self.out_of_bounds(text, [unit::show_size(min), unit::show_size(max)]),
            Err(problem) => self.wrong_unit(problem),
        }
    }

    fn rate(&mut self, text: &str, max: u64) -> Value {
        let number = match text.trim().split_once('/') {
            None => text.trim(),
            Some((number, "s")) => number.trim_end(),
            Some((number, unit)) => {
                let offset = number.chars().count() + 1;
                let message = format!("`{}` counts by the second", self.at.name);
                let width = unit.chars().count();
                let number = number.trim();
                self.wrong_inside(offset, width, message)
                    .help(format!("a rate by the second, like `{number}/s`"));
                return Value::Bad;
            }
        };
        if number.parse::<u64>().is_err() {
            let message = format!("`{}` isn't a rate", shorten(text));
            self.wrong(message).help("write it like `100/s`");
            return Value::Bad;
        }
        self.count(number, 1, max)
    }

    fn range(&mut self, text: &str, min: Duration, max: Duration) -> Value {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let mut ends = Vec::new();
        for (end, before) in [(least, 0), (most, text.chars().count() - most.chars().count())] {
            match unit::duration(end.trim()) {
                Ok(found) if found >= min && found <= max => ends.push(found),
                Ok(_) => {
                    let bounds = [unit::show_duration(min), unit::show_duration(max)];
                    return self.out_of_bounds(text, bounds);
                }
                Err(_) if end.trim().is_empty() => {
                    let message = format!("`{}` isn't a range", shorten(text));
                    self.wrong(message).help("write it like `200ms..30s`");
                    return Value::Bad;
                }
                Err(_) if !text.contains("..") && text.contains('-') => {
                    let message = format!("`{}` isn't a range", shorten(text));
                    self.wrong(message).help(format!("write `{}`", text.replacen('-', "..", 1)));
                    return Value::Bad;
                }
                Err(UnitProblem { offset, width, message, help }) => {
                    let blanks = end.chars().take_while(|c| c.is_whitespace()).count();
                    self.wrong_inside(before + blanks + offset, width, message).help(help);
                    return Value::Bad;
                }
            }
        }
        match ends.as_slice() {
            [least, most] if least <= most => Value::Range(*least, *most),
            _ => {
                let message = format!("`{}` goes backwards", shorten(text));
                let help = format!("the shorter one first: `{}..{}`", most.trim(), least.trim());
                self.wrong(message).help(help);
                Value::Bad
            }
        }
    }

    /// The address isn't shown: many a webhook has its secret in it.
    fn url(&mut self, text: &str) -> Value {
        match super::address::mistake(text) {
            None => Value::Text(text.to_owned()),
            Some((message, help)) => {
                let message = format!("`{}` {message}", self.at.name);
                self.wrong(message).help(help);
                Value::Bad
            }
        }
    }

    fn out_of_bounds(&mut self, text: &str, [min, max]: [String; 2]) -> Value {
        let message = format!("`{}` is out of bounds: `{}`", self.at.name, shorten(text));
        self.wrong(message).help(format!("from {min} to {max}"));
        Value::Bad
    }

    fn wrong_unit(&mut self, problem: UnitProblem) -> Value {
        let UnitProblem { offset, width, message, help } = problem;
        self.wrong_inside(offset, width, message).help(help);
        Value::Bad
    }

    fn word(&mut self, text: &str, words: &'static [Word]) -> Value {
        let at = &self.at.name;
        match words.iter().find(|word| word.name == text) {
            Some(Word { name, later: None, .. }) => Value::Word(name),
            Some(Word { name, later: Some(instead), .. }) => {
                let message = format!("`{at}: {name}` isn't built yet");
                self.wrong(message).help(*instead);
                Value::Bad
            }
            None => {
                let message = format!("`{}` isn't a value of `{at}`", shorten(text));
                let nearest = suggest::nearest(text, words.iter().map(|word| word.name));
                let built = words.iter().filter(|word| word.later.is_none());
                let names: Vec<&str> = built.map(|word| word.name).collect();
                let error = self.wrong(message);
                if let Some(nearest) = nearest {
                    error.help(format!("did you mean `{nearest}`?"));
                }
                error.help(format!("one of `{}`", names.join("`, `")));
                Value::Bad
            }
        }
    }
}
