//! `--acknowledged FILE`: what the service said it has, as it said so.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::batches::Outgoing;

/// A line per acknowledged event. A batch is written before the next one is sent on its
/// connection, so whoever kills this program misses what was under way, and nothing else.
#[derive(Debug)]
pub(super) struct Acknowledged(Option<Mutex<(File, PathBuf)>>);

impl Acknowledged {
    /// Starts the file anew.
    pub(super) fn open(path: Option<&Path>) -> Result<Acknowledged, String> {
        let Some(path) = path else { return Ok(Acknowledged(None)) };
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).open(path);
        let file = file.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Acknowledged(Some(Mutex::new((file, path.to_owned())))))
    }

    /// Writes down `events`.
    pub(super) fn note<'a>(
        &self,
        events: impl Iterator<Item = &'a Outgoing>,
    ) -> Result<(), String> {
        let Some(file) = &self.0 else { return Ok(()) };
        let mut text = String::new();
        for event in events {
            text.push_str(&event.id);
            text.push('\n');
        }
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, path) = &mut *file;
        file.write_all(text.as_bytes())
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}
