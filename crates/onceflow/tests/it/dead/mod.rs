//! Dead letters, from outside: docs/dead-letters.md as a test, and what else can happen to a
//! letter.

mod hydrate;
mod receiver;
mod replay;
mod walk;

use std::path::PathBuf;

use serde_json::Value;

use crate::kit::{Ended, World, files};
use receiver::Receiver;

/// A pipe from a file to a receiver.
fn config(receiver: &Receiver, more: &str) -> String {
    format!(
        "pipe: app\n\
         source: {{ file: {{ path: app.ndjson }} }}\n\
         dedup: {{ key: $.id, window: 10m }}\n\
         sink: {{ http: {{ url: \"{}\" }} }}\n{more}",
        receiver.url()
    )
}

/// The letters' files, relative to the store.
fn letters(world: &World) -> Vec<PathBuf> {
    let store = world.path("onceflow-data/dead");
    let is_letter = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
    let relative = |path: PathBuf| path.strip_prefix(&store).unwrap().to_owned();
    files(&store).into_iter().filter(is_letter).map(relative).collect()
}

/// What `dead list --json` says.
fn listed(world: &World, more: &[&str]) -> Vec<Value> {
    let words = [&["dead", "list", "app.yaml", "--json"], more].concat();
    let ended = world.ok(&words);
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn dead(world: &World, words: &[&str]) -> Ended {
    world.run(&[&["dead"], words].concat())
}
