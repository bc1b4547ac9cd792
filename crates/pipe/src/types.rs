//! The event types that a pipe has seen, each with its window.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use xxhash_rust::xxh3::Xxh3Builder;

use crate::config::TypePattern;

/// Longest type name, in bytes; a longer one is rejected.
pub const TYPE_BYTES_MAX: usize = 256;
/// The index of events without a type.
pub const UNTYPED: u32 = 0;
/// The index under which types past `types_max` are counted.
pub const OTHER: u32 = 1;

/// For how long keys are remembered, by event type; ms. Exact names win over patterns, a pattern
/// with more characters that aren't `*` over one with fewer, and of several with as many the one
/// with the longest window: that forgets nothing too early.
#[derive(Clone, Debug)]
pub struct Windows {
    exact: HashMap<String, i64>,
    /// The one that wins first.
    patterns: Vec<(Pattern, i64)>,
    default_ms: i64,
}

/// A pattern of types, cut at its `*`.
#[derive(Clone, Debug)]
struct Pattern {
    first: String,
    middle: Vec<String>,
    last: String,
}

impl Pattern {
    /// `text` holds a `*`; without one it is as if it ended with one.
    fn new(text: &str) -> Self {
        let (first, rest) = text.split_once('*').unwrap_or((text, ""));
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let middle = middle.split('*').filter(|piece| !piece.is_empty());
        Self { first: first.into(), middle: middle.map(Into::into).collect(), last: last.into() }
    }

    fn fits(&self, name: &str) -> bool {
        let Some(mut rest) = name.strip_prefix(self.first.as_str()) else { return false };
        for piece in &self.middle {
            // The first place is as good as any: what follows has only more room.
            match rest.split_once(piece.as_str()) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        rest.ends_with(self.last.as_str())
    }

    /// Characters that aren't `*`.
    fn literals(&self) -> usize {
        let pieces = [&self.first, &self.last].into_iter().chain(&self.middle);
        pieces.map(|piece| piece.chars().count()).sum()
    }
}

impl Windows {
    /// Out of the config's list.
    #[must_use]
    pub fn new(default_ms: i64, by_type: &[(TypePattern, i64)]) -> Self {
        let mut exact = HashMap::new();
        let mut patterns = Vec::new();
        for (pattern, window_ms) in by_type {
            match pattern {
                TypePattern::Exact(name) => {
                    exact.insert(name.clone(), *window_ms);
                }
                TypePattern::Prefix(text) | TypePattern::Pattern(text) => {
                    patterns.push((Pattern::new(text), *window_ms));
                }
            }
        }
        patterns.sort_by_key(|(pattern, window_ms)| {
            std::cmp::Reverse((pattern.literals(), *window_ms))
        });
        Self { exact, patterns, default_ms }
    }

    /// The window of events of type `name`; ms.
    #[must_use]
    pub fn of(&self, name: &str) -> i64 {
        if let Some(window_ms) = self.exact.get(name) {
            return *window_ms;
        }
        self.patterns
            .iter()
            .find(|(pattern, _)| pattern.fits(name))
            .map_or(self.default_ms, |(_, window_ms)| *window_ms)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct TypeEntry {
    pub(crate) id: u32,
    pub(crate) window_ms: i64,
}

/// The table that all workers of a pipe share. Grows to `types_max` names and stays there (P6).
#[derive(Debug)]
pub struct Types {
    windows: Windows,
    types_max: usize,
    names: RwLock<Names>,
}

#[derive(Debug, Default)]
struct Names {
    by_id: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, u32>,
}

impl Types {
    /// An empty table.
    #[must_use]
    pub fn new(windows: Windows, types_max: usize) -> Self {
        let by_id = vec![Arc::from("(untyped)"), Arc::from("other")];
        Self { windows, types_max, names: RwLock::new(Names { by_id, ids: HashMap::new() }) }
    }

    /// The name of type `id`, for counters and reports.
    #[must_use]
    pub fn name(&self, id: u32) -> Arc<str> {
        let names = self.names.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        names.by_id.get(id as usize).cloned().unwrap_or_else(|| Arc::from("other"))
    }

    fn intern(&self, name: &str) -> u32 {
        let mut names = self.names.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(id) = names.ids.get(name) {
            return *id;
        }
        if names.ids.len() >= self.types_max {
            return OTHER;
        }
        let id = u32::try_from(names.by_id.len()).unwrap_or(OTHER);
        let shared: Arc<str> = Arc::from(name);
        names.by_id.push(Arc::clone(&shared));
        names.ids.insert(shared, id);
        id
    }
}

/// A worker's own view of [`Types`]: no lock for a type that the worker has met before.
#[derive(Debug)]
pub(crate) struct TypeCache {
    shared: Arc<Types>,
    known: HashMap<Box<str>, TypeEntry, Xxh3Builder>,
    untyped: TypeEntry,
}

impl TypeCache {
    pub(crate) fn new(shared: Arc<Types>) -> Self {
        let untyped = TypeEntry { id: UNTYPED, window_ms: shared.windows.of("") };
        Self { shared, known: HashMap::default(), untyped }
    }

    /// Of an event without a type.
    pub(crate) fn untyped(&self) -> TypeEntry {
        self.untyped
    }

    /// Of an event of type `name`. Its window is that of its name even where it is counted as
    /// `other`.
    pub(crate) fn get(&mut self, name: &str) -> TypeEntry {
        if let Some(entry) = self.known.get(name) {
            return *entry;
        }
        let entry =
            TypeEntry { id: self.shared.intern(name), window_ms: self.shared.windows.of(name) };
        if self.known.len() < self.shared.types_max {
            self.known.insert(name.into(), entry);
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows() -> Windows {
        Windows::new(
            600,
            &[
                (TypePattern::Exact("game:resumed".into()), 10),
                (TypePattern::Prefix("payment:".into()), 20),
                (TypePattern::Prefix("payment:failed:".into()), 30),
            ],
        )
    }

    #[test]
    fn exact_names_win_then_the_longest_prefix_then_the_default() {
        let windows = windows();
        assert_eq!(windows.of("game:resumed"), 10);
        assert_eq!(windows.of("game:resumed2"), 600);
        assert_eq!(windows.of("payment:done"), 20);
        assert_eq!(windows.of("payment:failed:card"), 30);
    }

    #[test]
    fn a_star_stands_for_any_characters_anywhere() {
        let fits = |pattern: &str, name: &str| Pattern::new(pattern).fits(name);
        for (pattern, name) in [
            ("*:failed", "payment:failed"),
            ("*:failed", ":failed"),
            ("game:*:done", "game:chess:done"),
            ("game:*:done", "game::done"),
            ("game:*:done", "game:a:b:done"),
            ("a*b*c", "abc"),
            ("a*b*c", "a-b-b-c"),
            ("*x*", "axb"),
            ("*x*", "x"),
            ("**", ""),
            ("ab*ab", "abab"),
            ("payment:*", "payment:"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*:failed", "payment:failed2"),
            ("game:*:done", "game:done"),
            ("a*b*c", "acb"),
            ("ab*ab", "ab"),
            ("ab*ab", "aba"),
            ("*x*", "y"),
            ("payment:*", "payments"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn of_patterns_the_one_with_most_characters_wins_then_the_longest_window() {
        let pattern = |text: &str| TypePattern::Pattern(text.into());
        let all = [
            (pattern("*:failed"), 1),
            (TypePattern::Prefix("payment:".into()), 2),
            (pattern("payment:*:failed"), 3),
            (TypePattern::Exact("payment:card:failed".into()), 4),
            (pattern("*a:b"), 50),
            (TypePattern::Prefix("a:b".into()), 60),
        ];
        for all in [all.to_vec(), all.iter().rev().cloned().collect()] {
            let windows = Windows::new(600, &all);
            assert_eq!(windows.of("login:failed"), 1);
            assert_eq!(windows.of("payment:failed"), 2, "8 characters, both: the longer window");
            assert_eq!(windows.of("payment:x:failed"), 3);
            assert_eq!(windows.of("payment:card:failed"), 4);
            assert_eq!(windows.of("a:b"), 60);
            assert_eq!(windows.of("ca:b"), 50);
            assert_eq!(windows.of("login"), 600);
        }
    }

    #[test]
    fn p6_types_past_the_limit_count_as_other_and_keep_their_window() {
        let types = Arc::new(Types::new(windows(), 2));
        let mut cache = TypeCache::new(Arc::clone(&types));
        assert_eq!(cache.get("a").id, 2);
        assert_eq!(cache.get("b").id, 3);
        let past = cache.get("payment:done");
        assert_eq!((past.id, past.window_ms), (OTHER, 20));
        assert_eq!(cache.get("a").id, 2);
        assert_eq!(&*types.name(past.id), "other");
        assert_eq!(&*types.name(3), "b");
        assert_eq!(cache.known.len(), 2, "the cache is bounded too");
    }
}
