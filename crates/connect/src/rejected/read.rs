//! Reading a rejected file back.

use serde_json::{Map, Value};

/// A row of a rejected file, with the payload as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    /// Stable name of the rule.
    pub reason: String,
    /// What is wrong, and where.
    pub detail: String,
    /// The pipe.
    pub pipe: String,
    /// Its source.
    pub source: String,
    /// The part of the source.
    pub shard: String,
    /// The place there, as text.
    pub offset: String,
    /// When it was received, RFC 3339.
    pub received: String,
    /// Length of the payload.
    pub bytes: u64,
    /// The payload.
    pub raw: Vec<u8>,
}

/// A row that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the rejected file: {what}")]
pub struct ReadError {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// All rows of a rejected file.
///
/// # Errors
/// [`ReadError`] names the first line that is no such row, or whose payload isn't whole.
pub fn read_rows(file: &[u8]) -> Result<Vec<RejectedRow>, ReadError> {
    let lines = file.split_inclusive(|byte| *byte == b'\n').enumerate();
    let row = |(index, line): (usize, &[u8])| {
        read_row(line).map_err(|what| ReadError { line: index + 1, what })
    };
    lines.map(row).collect()
}

fn read_row(line: &[u8]) -> Result<RejectedRow, String> {
    let fields: Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let text = |name: &str| match fields.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(format!("{name} is missing")),
    };
    let raw = match (fields.get("raw"), fields.get("raw_base64")) {
        (Some(Value::String(raw)), None) => raw.clone().into_bytes(),
        (None, Some(Value::String(raw))) => base64_simd::STANDARD
            .decode_to_vec(raw)
            .map_err(|error| format!("raw_base64: {error}"))?,
        _ => return Err("it has neither raw nor raw_base64".into()),
    };
    let bytes = fields.get("bytes").and_then(Value::as_u64).ok_or("bytes is missing")?;
    if bytes != raw.len() as u64 {
        return Err(format!("its payload has {} bytes and should have {bytes}", raw.len()));
    }
    let offset = match fields.get("offset") {
        Some(Value::Number(number)) => number.to_string(),
        _ => text("offset")?,
    };
    Ok(RejectedRow {
        reason: text("reason")?,
        detail: text("detail")?,
        pipe: text("pipe")?,
        source: text("source")?,
        shard: text("shard")?,
        offset,
        received: text("received")?,
        bytes,
        raw,
    })
}
