//! What a reader would stumble over: files that grew too long, paths of one machine, words of
//! unfinished work, tests that are switched off.

use std::path::{Path, PathBuf};

/// A file with more lines probably holds two things.
const LINES_MAX: usize = 600;
/// A file in the tree is at most this long; data belongs elsewhere.
const FILE_BYTES_MAX: u64 = 3 * 1024 * 1024;

// Put together here, so that this file doesn't hold what it looks for.
const MACHINE: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/fa", "rm/"),
    concat!("/home/", "user"),
];
const REGISTRIES: [&str; 5] = [
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("pypi.", "org"),
    concat!("registry.", "npmjs"),
    concat!("proxy.", "golang"),
];
const UNFINISHED: [&str; 9] = [
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("TO", "DO"),
    concat!("for", " now"),
    concat!("place", "holder"),
    concat!("not ", "implemented"),
    concat!("dum", "my"),
];
const SWITCHED_OFF: [&str; 3] =
    [concat!("#[ig", "nore"), concat!("thread::sl", "eep"), concat!("time::sl", "eep")];

/// What wrote a fixture is kept, and never run again.
const FROZEN: &str = concat!("#[ig", "nore = \"the fixture is frozen\"]");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn files() -> Vec<(String, PathBuf)> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            let skip = ["target", ".git", "onceflow-data"];
            if path.is_dir() && !skip.iter().any(|skip| path.ends_with(skip)) {
                folders.push(path);
            } else if path.is_file() {
                found.push((name, path));
            }
        }
    }
    found.sort();
    found
}

fn texts() -> impl Iterator<Item = (String, String)> {
    files().into_iter().filter(|(name, _)| name != "Cargo.lock").filter_map(|(name, path)| {
        let text = String::from_utf8(std::fs::read(path).unwrap()).ok()?;
        Some((name, text))
    })
}

/// The lines with one of `words`, as `file:line: word`.
fn lines_with(words: &[&str], wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in texts().filter(|(name, _)| wanted(name)) {
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

fn assert_none(found: &[String], what: &str) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let mut found = Vec::new();
    for (name, text) in texts().filter(|(name, _)| name.ends_with(".rs")) {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            found.push(format!("{name}: {lines} lines"));
        }
    }
    assert_none(&found, "more than 600 lines: one noun or several?");
}

#[test]
fn no_file_is_too_large() {
    let large = |path: &PathBuf| path.metadata().unwrap().len() > FILE_BYTES_MAX;
    let found = files().into_iter().filter(|(_, path)| large(path)).map(|(name, _)| name);
    assert_none(&found.collect::<Vec<_>>(), "more than 3 MiB in the tree");
}

#[test]
fn no_path_of_a_machine_and_no_registry_by_name() {
    assert_none(&lines_with(&MACHINE, |_| true), "paths of one machine");
    assert_none(&lines_with(&REGISTRIES, |_| true), "registries by name");
}

#[test]
fn no_words_of_unfinished_work() {
    let sources = |name: &str| name.ends_with(".rs") && !name.contains("/tests/");
    assert_none(&lines_with(&UNFINISHED, sources), "words of unfinished work");
}

#[test]
fn no_test_is_switched_off_or_sleeps() {
    let tests = |name: &str| name.ends_with(".rs");
    let found = lines_with(&SWITCHED_OFF, tests);
    // The program itself may sleep; a test may not.
    let found: Vec<_> = found
        .into_iter()
        .filter(|line| line.contains("/tests/") || line.contains(SWITCHED_OFF[0]))
        .filter(|line| !line.ends_with(FROZEN))
        .collect();
    assert_none(&found, "ignored tests, and sleeps in tests");
}

#[test]
fn what_a_visitor_looks_for_is_there() {
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "deny.toml",
        ".ci/run",
        "docs/cli.md",
        "docs/config.md",
        "docs/bad-input.md",
        "docs/running.md",
        "docs/BENCHMARKS.md",
    ] {
        assert!(root().join(name).is_file(), "{name} is missing");
    }
}

#[test]
fn every_crate_says_what_it_is_for_and_takes_the_lints() {
    for (name, text) in texts() {
        if name.ends_with("src/lib.rs") {
            let says = text.lines().take_while(|line| line.starts_with("//!")).count();
            assert!(says >= 3, "{name} begins with {says} lines of `//!`");
        }
        if name.starts_with("crates/") && name.ends_with("Cargo.toml") {
            assert!(text.contains("[lints]\nworkspace = true"), "{name} lacks the lints");
        }
    }
}
