//! "Did you mean": the nearest known word for an unknown one.

use super::keys::PIPE;
use super::table::{Kind, Table};

/// What people who come from elsewhere write, and what it is called here.
const ALIASES: [(&str, &str); 27] = [
    ("attempts", "attempts_max"),
    ("buffer", "batch"),
    ("conditions", "filter"),
    ("dead_letters", "dead_letter"),
    ("dedupe", "dedup"),
    ("deduplicate", "dedup"),
    ("deduplication", "dedup"),
    ("destination", "sink"),
    ("dlq", "dead_letter"),
    ("enrichment", "enrich"),
    ("fields", "key"),
    ("id", "pipe"),
    ("in", "source"),
    ("input", "source"),
    ("keys", "key"),
    ("max_attempts", "attempts_max"),
    ("max_bytes", "bytes_max"),
    ("max_events", "events_max"),
    ("name", "pipe"),
    ("output", "sink"),
    ("out", "sink"),
    ("pipeline", "pipe"),
    ("processors", "transform"),
    ("rate_limit", "rate"),
    ("retries", "retry"),
    ("schema", "validate"),
    ("ttl", "window"),
];

/// The candidate that was most likely meant, if any is near.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' ', '.'], "_");
    let wanted = plain(word);
    let alias = ALIASES.iter().find(|(alias, _)| *alias == wanted).map(|(_, name)| *name);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if alias == Some(candidate) {
            return Some(candidate);
        }
        let squeezed = |text: &str| text.replace('_', "");
        let distance = if squeezed(&wanted) == squeezed(candidate) {
            0
        } else {
            strsim::damerau_levenshtein(&wanted, candidate)
        };
        let near = distance <= 1 + candidate.len().min(wanted.len()) / 5;
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The keys of a table whose maps have a key of this name: it was meant to stand in one of them.
pub(crate) fn inside(table: &'static Table, name: &str) -> Vec<&'static str> {
    let holds = |kind: &Kind| match kind {
        Kind::Map(inner) => inner.key(name).is_some_and(|key| key.later.is_none()),
        _ => false,
    };
    table.keys.iter().filter(|key| holds(&key.kind)).map(|key| key.name).collect()
}

/// Where else in the config a key of this name stands: the dotted names of its maps.
pub(crate) fn elsewhere(name: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    collect(&PIPE, name, &mut found);
    found.dedup();
    found
}

fn collect(table: &'static Table, name: &str, found: &mut Vec<&'static str>) {
    for key in table.keys {
        if key.name == name && key.later.is_none() && !found.contains(&table.path) {
            found.push(table.path);
        }
        collect_kind(&key.kind, name, found);
    }
}

fn collect_kind(kind: &Kind, name: &str, found: &mut Vec<&'static str>) {
    match kind {
        Kind::Map(table) | Kind::MapOr(table, _) | Kind::OneOf(table) => {
            collect(table, name, found);
        }
        Kind::List { of, .. } | Kind::ByType { of, .. } => collect_kind(of, name, found),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let keys = ["key", "scope", "window", "windows", "across_types", "bytes_max"];
        for (word, meant) in [
            ("widow", Some("window")),
            ("windwos", Some("windows")),
            ("acrossTypes", Some("across_types")),
            ("across-types", Some("across_types")),
            ("max_bytes", Some("bytes_max")),
            ("Key", Some("key")),
            ("keys", Some("key")),
            ("ttl", Some("window")),
            ("banana", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
    }

    #[test]
    fn a_key_is_found_where_it_belongs() {
        assert_eq!(inside(&PIPE, "types_max"), ["limits"]);
        assert_eq!(elsewhere("types_max"), ["limits"]);
        assert_eq!(elsewhere("interval_max"), ["batch"]);
        assert!(elsewhere("path").len() > 2);
        assert!(elsewhere("kafka").is_empty(), "it isn't built");
    }
}
