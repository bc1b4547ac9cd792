//! What lies in rejected files and among dead letters: payloads as they came.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::outputs::files;

/// Payloads, and how often each lies there.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    pub(super) rejected: HashMap<Vec<u8>, u64>,
    pub(super) dead: HashMap<Vec<u8>, u64>,
    /// What can't be read.
    pub(super) broken: Vec<String>,
}

impl Kept {
    /// Reads everything below `root`: dead letters are known by their content, wherever they lie.
    pub(super) fn read(root: &Path, rejected: &[PathBuf]) -> Kept {
        let mut kept = Kept::default();
        for path in files(root) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if rejected.contains(&path) {
                kept.read_rejected(&path);
            } else if name.ends_with(".json") && !name.starts_with('_') && name != "last-run.json" {
                kept.read_letter(&path);
            }
        }
        kept
    }

    fn read_rejected(&mut self, path: &Path) {
        let bytes = std::fs::read(path).unwrap_or_default();
        match connect::rejected::read_rows(&bytes) {
            Ok(rows) => {
                rows.into_iter().for_each(|row| *self.rejected.entry(row.raw).or_default() += 1);
            }
            Err(error) => self.broken.push(format!("{}: {error}", path.display())),
        }
    }

    fn read_letter(&mut self, path: &Path) {
        let bytes = std::fs::read(path).unwrap_or_default();
        let letter: Value = match serde_json::from_slice(&bytes) {
            Ok(letter) => letter,
            Err(error) => {
                self.broken.push(format!("{}: {error}", path.display()));
                return;
            }
        };
        let text = |name: &str| letter.get(name).and_then(Value::as_str);
        if letter.get("onceflow_letter").is_none() {
            return;
        }
        let raw = match (text("raw"), text("raw_base64")) {
            (Some(raw), _) => Some(raw.as_bytes().to_vec()),
            (None, Some(raw)) => base64_simd::STANDARD.decode_to_vec(raw).ok(),
            (None, None) => None,
        };
        match raw {
            Some(raw) => *self.dead.entry(raw).or_default() += 1,
            None => self.broken.push(format!("{}: it has no payload", path.display())),
        }
    }
}
