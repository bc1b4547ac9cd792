//! What stands in a staged file: the letters of one batch, each with the name that it will have.
//!
//! A line `{"onceflow_staged_letters":1}`, then for each letter a line `{"name":…,"bytes":N}` and
//! N bytes. It is read once, by the publisher or by recovery, up to the length that the ledger
//! knows; see docs/formats/letter.md.

use std::io;
use std::sync::Arc;

use journal::DiskFile;
use journal::disk::read_full_at;
use serde::{Deserialize, Serialize};

use super::letter::Letter;
use super::name::LetterName;

/// The first line.
pub(super) const HEADER: &[u8] = b"{\"onceflow_staged_letters\":1}\n";
/// Longest line before a letter: its name has two parts of at most 120 bytes, and less than 200
/// bytes beside them.
const LINE_BYTES_MAX: usize = 1024;

#[derive(Serialize, Deserialize)]
struct Line {
    name: String,
    bytes: u64,
}

/// Appends a letter; how many bytes its own file will have.
pub(super) fn push(out: &mut Vec<u8>, letter: &Letter) -> u64 {
    let body = letter.encode();
    let line = Line { name: LetterName::of(letter).path(), bytes: body.len() as u64 };
    // Text and a number into memory can't fail.
    out.extend(serde_json::to_vec(&line).unwrap_or_default());
    out.push(b'\n');
    out.extend_from_slice(&body);
    body.len() as u64
}

/// Reads a staged file letter by letter.
pub(super) struct StagedLetters {
    file: Arc<dyn DiskFile>,
    at: u64,
    len: u64,
}

impl StagedLetters {
    /// Of a file whose committed length is `len`.
    pub(super) fn open(file: Arc<dyn DiskFile>, len: u64) -> io::Result<Self> {
        let mut header = vec![0; HEADER.len()];
        let found = read_full_at(&*file, 0, &mut header)?;
        if found < HEADER.len() || header != HEADER {
            return Err(damaged("it doesn't begin as a file of staged letters"));
        }
        Ok(Self { file, at: HEADER.len() as u64, len })
    }

    /// Name and bytes of the next letter.
    pub(super) fn next(&mut self) -> io::Result<Option<(LetterName, Vec<u8>)>> {
        if self.at >= self.len {
            return Ok(None);
        }
        let mut head = vec![0; LINE_BYTES_MAX];
        let found = read_full_at(&*self.file, self.at, &mut head)?;
        let head = head.get(..found).unwrap_or_default();
        let line = head.split(|byte| *byte == b'\n').next().filter(|line| line.len() < found);
        let line = line.ok_or_else(|| damaged("it ends in the middle of a letter"))?;
        let parsed: Line = serde_json::from_slice(line).map_err(|_| damaged("it is damaged"))?;
        let name = LetterName::parse(&parsed.name);
        let name = name.ok_or_else(|| damaged("it names a letter that can't be"))?;
        let start = self.at + line.len() as u64 + 1;
        let end = start.saturating_add(parsed.bytes);
        if end > self.len {
            return Err(damaged("it is shorter than what the ledger says"));
        }
        let mut body = vec![0; usize::try_from(parsed.bytes).unwrap_or(usize::MAX)];
        if read_full_at(&*self.file, start, &mut body)? < body.len() {
            return Err(damaged("it is shorter than what the ledger says"));
        }
        self.at = end;
        Ok(Some((name, body)))
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
