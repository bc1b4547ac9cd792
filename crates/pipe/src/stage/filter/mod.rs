//! Filtering: EventBridge event patterns, as they are.
//!
//! A pattern has the shape of the events that it matches: objects down to the fields, and for each
//! field an array of alternatives. The rules are those of the service and of the matcher that it
//! has published (`event-ruler`), down to the corners:
//!
//! - All named fields must match (AND); a field matches if any of its alternatives does (OR).
//!   `$or` holds two or more patterns at any level, one of which must match beside the rest.
//! - A field that is an array in the event matches if any element does. An empty array and an
//!   empty object hold no value: the field is missing, as for `exists`.
//! - `null` is a value: it exists, it isn't `""`. `anything-but` takes any value of any type that
//!   it doesn't name, but no missing field.
//! - Arrays of objects: all fields of a match come from the same element of each array that they
//!   stand in. `exists: false` in such an array holds if the element that the fields before it (in
//!   the alphabetical order of their paths) have settled on lacks the field, or all elements if
//!   none has settled on one.
//! - A name with dots is the same as nested objects: `{"a.b": …}` is `{"a": {"b": …}}`, in the
//!   pattern and in the event.
//! - Numbers are compared by value. `numeric` sees numbers from −5e9 to 5e9 only.
//!
//! Where the service is odd and nothing is gained, this is not: an exact number beyond ±5e9 is
//! compared by value, too, not by its spelling; digits after the sixth decimal count; a text that
//! is an IP address is compared as text, except by `cidr`, which also takes masks of all bits;
//! `equals-ignore-case` works beyond the first 65,536 characters of Unicode.
//!
//! Start reading at [`Pattern::compile`] (`compile.rs`), then `walk.rs`: the one pass over an
//! event that decides nearly all of them. `arrays.rs` decides where arrays of objects are involved.

mod arrays;
mod cidr;
mod compile;
mod never;
mod operator;
mod test;
mod text;
mod walk;

use test::Test;

use crate::config::PatternKind;

/// The most characters that a pattern may have, written as JSON without spaces (the service's
/// limit for pipes).
pub const PATTERN_CHARS_MAX: usize = 4096;
/// The most ways in which the alternatives of all `$or` may combine (the service's limit).
pub const OR_COMBINATIONS_MAX: usize = 1000;
/// How many conditions a pattern of [`PATTERN_CHARS_MAX`] can hold: one takes 8 characters.
const CONDITIONS_MAX: usize = PATTERN_CHARS_MAX / 8;

/// A compiled event pattern. Cheap to use from several threads at once.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Where to look: a tree of the names that the pattern mentions. The first is the top.
    nodes: Vec<Node>,
    /// What to ask of the values there.
    conditions: Vec<Condition>,
    /// How the answers combine.
    rule: Rule,
    /// Where each condition stands in the pattern: a JSON pointer.
    places: Vec<String>,
    /// The same, as every combination of the alternatives of `$or`: the conditions that must hold
    /// together, in the order of their paths.
    combinations: Vec<Vec<usize>>,
    /// Some condition may hold because its field is missing.
    asks_for_absence: bool,
}

/// A place in events that the pattern mentions, or one on the way to it.
#[derive(Debug, Clone, Default)]
struct Node {
    /// Its place in [`Pattern::nodes`].
    index: usize,
    /// How many names below the top.
    depth: usize,
    /// The longest way down from here.
    height: usize,
    /// Names without dots, and their nodes.
    children: Vec<(Box<str>, usize)>,
    /// The conditions on values that stand here.
    conditions: Vec<usize>,
}

/// What a pattern asks of one field.
#[derive(Debug, Clone)]
struct Condition {
    /// The nodes from the top to the field.
    trail: Vec<usize>,
    /// One of these must hold for some value of the field.
    tests: Vec<Test>,
    /// `exists: false` is among the alternatives.
    or_absent: bool,
}

/// How conditions combine.
#[derive(Debug, Clone)]
enum Rule {
    Condition(usize),
    All(Vec<Rule>),
    Any(Vec<Rule>),
}

impl Rule {
    fn holds(&self, answers: &walk::Answers) -> bool {
        match self {
            Rule::Condition(condition) => answers.contains(*condition),
            Rule::All(rules) => rules.iter().all(|rule| rule.holds(answers)),
            Rule::Any(rules) => rules.iter().any(|rule| rule.holds(answers)),
        }
    }
}

/// A pattern that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event pattern at `{pointer}`: {message}; {help}")]
pub struct PatternError {
    /// Where in the pattern, as a JSON pointer (RFC 6901); empty for the whole.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`PatternError`] for what the service would refuse, too; and for a field that is named twice in one combination (as `a.b` and inside `a`,
    /// or beside `$or` and in it), where the service goes by one of the two.
    pub fn compile(pattern: &serde_json::Value) -> Result<Pattern, PatternError> {
        compile::compile(pattern, PatternKind::EventBridge)
    }

    /// As [`compile`](Pattern::compile), for a pattern of the given kind: that of EventBridge Pipes
    /// has fewer operators.
    ///
    /// # Errors
    /// As there; and for an operator that the kind doesn't have.
    pub fn compile_kind(
        pattern: &serde_json::Value,
        kind: PatternKind,
    ) -> Result<Pattern, PatternError> {
        compile::compile(pattern, kind)
    }

    /// Reads a pattern from JSON text and compiles it.
    ///
    /// # Errors
    /// As [`compile_kind`](Pattern::compile_kind); and for text that is no JSON, or in which a name
    /// stands twice in one object.
    pub fn parse(text: &str, kind: PatternKind) -> Result<Pattern, PatternError> {
        compile::parse(text, kind)
    }

    /// What in the pattern can never match, one line each with its place and the reason; the first
    /// line says so if it is the whole pattern. Never wrong, but not everything is found.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        never::warnings(self)
    }

    /// Whether an event matches. `json` is a payload that the scanner has accepted; of one that it
    /// hasn't, the answer may be wrong. Allocates nothing unless the pattern leads into an array of
    /// objects or arrays, or meets an escape in a name or in a text that is compared by prefix.
    #[must_use]
    pub fn matches(&self, json: &[u8]) -> bool {
        walk::matches(self, json)
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
