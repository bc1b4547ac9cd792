//! What pipes that run together must agree on.

use std::path::{Component, Path, PathBuf};

use super::dedup::DedupConfig;
use super::pipe::Loaded;
use super::place::{Place, SourceText};
use super::problem::ConfigError;
use super::section::Section;
use super::source::{FilePattern, SourceConfig};
use super::unit::{show_duration, show_size};

/// A pipe with the file it came from.
pub(crate) struct Placed<'a> {
    /// The file.
    pub(crate) source: &'a SourceText,
    /// The pipe.
    pub(crate) pipe: &'a Loaded,
}

/// Checks all pipes of a run against each other.
pub(crate) fn check(pipes: &[Placed<'_>]) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    for (index, pipe) in pipes.iter().enumerate() {
        let earlier = pipes.get(..index).unwrap_or_default();
        same_name(pipe, earlier, &mut errors);
        same_scope(pipe, earlier, &mut errors);
    }
    same_files(pipes, &mut errors);
    same_stores(pipes, &mut errors);
    same_archives(pipes, &mut errors);
    errors
}

/// `line 3`, or `other.yaml, line 3`.
fn named(place: Place, source: &SourceText, seen_from: &SourceText) -> String {
    if source.path == seen_from.path {
        format!("line {}", place.line)
    } else {
        format!("{}, line {}", source.path.display(), place.line)
    }
}

fn same_name(pipe: &Placed<'_>, earlier: &[Placed<'_>], errors: &mut Vec<ConfigError>) {
    let Some((name, place)) = &pipe.pipe.name else { return };
    let first = earlier.iter().find_map(|other| {
        let (other_name, other_place) = other.pipe.name.as_ref()?;
        (other_name == name).then_some((other.source, *other_place))
    });
    if let Some((source, first)) = first {
        let message = format!("a second pipe is called `{name}`");
        let mut error = ConfigError::at(pipe.source, *place, message);
        let first = named(first, source, pipe.source);
        error.help(format!("the first is in {first}; positions and counters go by this name"));
        errors.push(error);
    }
}

/// Pipes of one scope must find the same keys for the same events, by the same time.
fn same_scope(pipe: &Placed<'_>, earlier: &[Placed<'_>], errors: &mut Vec<ConfigError>) {
    let Some(dedup) = &pipe.pipe.dedup else { return };
    let first = earlier.iter().find_map(|other| {
        let first = other.pipe.dedup.as_ref()?;
        (first.scope == dedup.scope).then_some((other, first))
    });
    let Some((other, first)) = first else { return };
    let Some(section) = pipe.pipe.section.section("dedup") else { return };
    for (key, here, there) in differences(dedup, first) {
        let place = written(section, key);
        let scope = &dedup.scope;
        let message = format!("scope `{scope}` has {there} in another pipe, but {here} here");
        let mut error = ConfigError::at(pipe.source, place, message);
        let there = match other.pipe.section.section("dedup") {
            Some(theirs) => written(theirs, key),
            None => other.pipe.section.place,
        };
        error.help(format!(
            "the other is in {}: make them equal, or give one pipe another `scope`",
            named(there, other.source, pipe.source)
        ));
        errors.push(error);
    }
}

/// Where a key's value stands, or the map's name if it has its default.
fn written(section: &Section, key: &str) -> Place {
    match section.entry(key) {
        Some(entry) if entry.name.is_some() => entry.checked.place,
        _ => section.place,
    }
}

/// What two pipes of a scope differ in: key, here, there.
fn differences(here: &DedupConfig, there: &DedupConfig) -> Vec<(&'static str, String, String)> {
    let mut found = Vec::new();
    if here.key.fields() != there.key.fields() {
        found.push(("key", here.key.described(), there.key.described()));
    }
    if here.across_types != there.across_types {
        let shown = |dedup: &DedupConfig| format!("`across_types: {}`", dedup.across_types);
        found.push(("across_types", shown(here), shown(there)));
    }
    // The words are the names of the variants.
    let word = |key: &str, variant: String| format!("`{key}: {}`", snake(&variant));
    if here.clock != there.clock {
        let shown = |dedup: &DedupConfig| word("clock", format!("{:?}", dedup.clock));
        found.push(("clock", shown(here), shown(there)));
    }
    if here.late != there.late {
        let shown = |dedup: &DedupConfig| word("late", format!("{:?}", dedup.late));
        found.push(("late", shown(here), shown(there)));
    }
    if here.on_other_body != there.on_other_body {
        let shown =
            |dedup: &DedupConfig| word("on_other_body", format!("{:?}", dedup.on_other_body));
        found.push(("on_other_body", shown(here), shown(there)));
    }
    if here.on_duplicate_of_dead != there.on_duplicate_of_dead {
        let variant = |dedup: &DedupConfig| format!("{:?}", dedup.on_duplicate_of_dead);
        let shown = |dedup: &DedupConfig| word("on_duplicate_of_dead", variant(dedup));
        found.push(("on_duplicate_of_dead", shown(here), shown(there)));
    }
    if here.refresh != there.refresh {
        let shown = |dedup: &DedupConfig| format!("`refresh: {}`", dedup.refresh);
        found.push(("refresh", shown(here), shown(there)));
    }
    if here.memory_bytes_max != there.memory_bytes_max {
        let bytes = |dedup: &DedupConfig| show_size(dedup.memory_bytes_max);
        let shown = |dedup: &DedupConfig| format!("`memory_bytes_max: {}`", bytes(dedup));
        found.push(("memory_bytes_max", shown(here), shown(there)));
    }
    if here.store != there.store {
        let shown = |dedup: &DedupConfig| match &dedup.store {
            None => "no `store`".to_owned(),
            Some(store) => format!("`store: {}`", store.place()),
        };
        found.push(("store", shown(here), shown(there)));
    }
    let times = |key: &'static str, here, there| {
        let shown = |time| format!("`{key}: {}`", show_duration(time));
        (here != there).then(|| (key, shown(here), shown(there)))
    };
    found.extend(times("lateness", here.lateness, there.lateness));
    found.extend(times("clock_ahead_max", here.clock_ahead_max, there.clock_ahead_max));
    found.extend(times("lease", here.lease, there.lease));
    found.extend(times("source_idle_max", here.source_idle_max, there.source_idle_max));
    found
}

/// `DeadLetter` as `dead_letter`.
fn snake(variant: &str) -> String {
    let mut word = String::new();
    for c in variant.chars() {
        if c.is_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.extend(c.to_lowercase());
    }
    word
}

/// A file has one writer, and none that also reads it.
fn same_files(pipes: &[Placed<'_>], errors: &mut Vec<ConfigError>) {
    let mut writers: Vec<(PathBuf, Place, &SourceText)> = Vec::new();
    for pipe in pipes {
        for (path, place) in &pipe.pipe.outputs {
            let path = plain(path);
            let mut problem = |message: &str, help: String| {
                let mut error = ConfigError::at(pipe.source, *place, message);
                error.help(help);
                errors.push(error);
            };
            if let Some((_, first, source)) = writers.iter().find(|(other, ..)| *other == path) {
                let first = named(*first, source, pipe.source);
                let help = format!("the other is in {first}; a file has one writer");
                problem("this file is written from two places", help);
            }
            for reader in pipes {
                if reads(reader.pipe, &path) {
                    let place = reader.pipe.section.place_of("source");
                    let there = named(place, reader.source, pipe.source);
                    let help = format!("the source in {there} would read what is written here");
                    problem("this file is read and written", help);
                }
            }
            writers.push((path, *place, pipe.source));
        }
    }
}

/// A folder of dead letters has one limit, whoever writes to it.
fn same_stores(pipes: &[Placed<'_>], errors: &mut Vec<ConfigError>) {
    let mut stores: Vec<(Option<PathBuf>, u64, Place, &SourceText)> = Vec::new();
    for pipe in pipes {
        for letters in &pipe.pipe.letters {
            let folder = letters.config.store.as_deref().map(plain);
            let bytes_max = letters.config.store_bytes_max;
            let same = stores.iter().find(|(other, ..)| *other == folder);
            if let Some((_, other_max, first, source)) = same
                && *other_max != bytes_max
            {
                let message = format!(
                    "dead letters in this folder may have {} elsewhere, but {} here",
                    show_size(*other_max),
                    show_size(bytes_max)
                );
                let mut error = ConfigError::at(pipe.source, letters.place, message);
                let first = named(*first, source, pipe.source);
                error.help(format!(
                    "the other is in {first}: make `store_bytes_max` equal, or name another `store`"
                ));
                errors.push(error);
            }
            stores.push((folder, bytes_max, letters.place, pipe.source));
        }
    }
}

/// An archive's files belong to one pipe: its retention removes them.
fn same_archives(pipes: &[Placed<'_>], errors: &mut Vec<ConfigError>) {
    let mut archives: Vec<(PathBuf, Place, &SourceText)> = Vec::new();
    for pipe in pipes {
        let Some((path, place)) = &pipe.pipe.archive else { continue };
        let path = plain(path);
        if let Some((_, first, source)) = archives.iter().find(|(other, ..)| *other == path) {
            let message = "this folder has another pipe's archive";
            let mut error = ConfigError::at(pipe.source, *place, message);
            let first = named(*first, source, pipe.source);
            error.help(format!("the other is in {first}; give each a folder of its own"));
            errors.push(error);
        }
        archives.push((path, *place, pipe.source));
    }
}

fn reads(pipe: &Loaded, path: &Path) -> bool {
    let Some(config) = &pipe.config else { return false };
    let SourceConfig::File(file) = &config.source else { return false };
    match &file.paths {
        FilePattern::Path(read) => plain(read) == path,
        FilePattern::Glob(pattern) => {
            let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
            let options =
                glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
            glob::Pattern::new(pattern)
                .is_ok_and(|pattern| pattern.matches_path_with(path, options))
        }
        FilePattern::Stdin => false,
    }
}

/// A path without `.` and, where that is safe, without `..`.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(plain.components().next_back(), Some(Component::Normal(_))) =>
            {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}
