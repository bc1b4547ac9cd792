//! An export as text: a line that says whose keys these are, a line a key, a line at the end.

use dedup::scope::{CommittedKey, DeadState, KeyState};
use serde::{Deserialize, Serialize};

use super::args::RawForm;

/// Version of the format that this program writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;
/// Names of the columns of CSV.
pub(super) const COLUMNS: &str = "key,recorded_ms,window_ms,body_hash,state,pipe,batch";

/// The first line.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Header {
    /// Version of the format.
    pub(super) onceflow_export: u32,
    pub(super) scope: String,
    /// What the keys are hashed with, in hex.
    pub(super) secret: String,
    /// In words.
    pub(super) definition: String,
    pub(super) fields: u32,
    pub(super) across_types: bool,
    /// Which time counts, where that is known.
    pub(super) clock: Option<String>,
    /// The ledger's id, in hex.
    pub(super) ledger: String,
    pub(super) exported_ms: i64,
    /// Keys that end at or before this time are forgotten.
    pub(super) forgotten_through_ms: i64,
}

/// The last line.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct End {
    /// How many keys stand before it.
    pub(super) end: u64,
}

/// A line of a key.
#[derive(Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) key: String,
    pub(super) recorded_ms: i64,
    /// `None`: for ever.
    pub(super) window_ms: Option<i64>,
    pub(super) body_hash: String,
    pub(super) state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pipe: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) batch: Option<u64>,
}

impl Row {
    pub(super) fn of(key: &CommittedKey, pipe: Option<&str>) -> Self {
        let known = key.by.batch.0 > 0;
        Self {
            key: format!("{:032x}", key.key),
            recorded_ms: key.recorded_ms,
            window_ms: (key.window_ms != dedup::scope::FOREVER_MS).then_some(key.window_ms),
            body_hash: format!("{:016x}", key.body_hash),
            state: state(key.state).into(),
            pipe: pipe.filter(|_| known).map(str::to_owned),
            batch: known.then_some(key.by.batch.0),
        }
    }

    /// Appends the line.
    pub(super) fn put(&self, form: RawForm, out: &mut Vec<u8>) {
        match form {
            RawForm::Ndjson => {
                out.extend(serde_json::to_vec(self).unwrap_or_default());
            }
            RawForm::Csv => {
                let window = self.window_ms.map_or_else(|| "forever".into(), |ms| ms.to_string());
                let batch = self.batch.map(|batch| batch.to_string()).unwrap_or_default();
                let pipe = self.pipe.as_deref().unwrap_or_default();
                let line = format!(
                    "{},{},{window},{},{},{},{batch}",
                    self.key,
                    self.recorded_ms,
                    self.body_hash,
                    self.state,
                    quoted(pipe)
                );
                out.extend(line.into_bytes());
            }
        }
        out.push(b'\n');
    }

    /// The key that it says; `None` for one of a dead letter, which only its own data folder has.
    pub(super) fn key(&self) -> Result<Option<CommittedKey>, String> {
        let hex = |what: &str, text: &str| {
            u128::from_str_radix(text, 16).map_err(|_| format!("`{text}` is no {what} in hex"))
        };
        let state = match self.state.as_str() {
            "delivered" => KeyState::Delivered,
            "filtered" => KeyState::Filtered,
            "dead" => return Ok(None),
            other => return Err(format!("`{other}` is no state of a key")),
        };
        if self.window_ms.is_some_and(|ms| ms < 0) {
            return Err("a window is less than nothing".into());
        }
        Ok(Some(CommittedKey {
            key: hex("key", &self.key)?,
            recorded_ms: self.recorded_ms,
            window_ms: self.window_ms.unwrap_or(dedup::scope::FOREVER_MS),
            body_hash: hex("body hash", &self.body_hash)? as u64,
            state,
            by: Default::default(),
        }))
    }
}

fn state(state: KeyState) -> &'static str {
    match state {
        KeyState::Delivered => "delivered",
        KeyState::Filtered => "filtered",
        KeyState::Dead(DeadState { .. }) => "dead",
    }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}

/// 16 bytes in hex.
pub(super) fn hex(bytes: &[u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 16 bytes out of hex.
pub(super) fn unhex(text: &str) -> Option<[u8; 16]> {
    (text.len() == 32).then_some(())?;
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}
