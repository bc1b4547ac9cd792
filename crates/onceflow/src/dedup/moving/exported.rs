//! Keys out of an export of ours.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::form::{COLUMNS, End, Header, Row, VERSION};
use super::lines::cells;
use super::taker::{Taker, unreadable};
use crate::exit::{Exit, Failure};

/// An export that is read.
pub(super) struct Exported {
    file: PathBuf,
    lines: BufReader<File>,
    /// The line that was read last.
    at: u64,
    is_csv: bool,
    pub(super) header: Header,
}

impl Exported {
    pub(super) fn open(file: &Path) -> Result<Exported, Failure> {
        let opened = File::open(file).map_err(|error| unreadable(file, error))?;
        let mut lines = BufReader::with_capacity(1 << 20, opened);
        let mut first = String::new();
        lines.read_line(&mut first).map_err(|error| unreadable(file, error))?;
        let json = first.strip_prefix("# ");
        let is_csv = json.is_some();
        let header: Result<Header, _> = serde_json::from_str(json.unwrap_or(&first));
        let wrong =
            |what: String| Failure::new(Exit::Failed, format!("{}:1: {what}", file.display()));
        let header = header.map_err(|error| {
            wrong(format!(
                "this is no header of an export ({error}); say what the file is with --format"
            ))
        })?;
        if header.onceflow_export > VERSION {
            return Err(wrong(format!(
                "the export has format {}, this program reads up to {VERSION}: use a newer one",
                header.onceflow_export
            )));
        }
        Ok(Exported { file: file.into(), lines, at: 1, is_csv, header })
    }

    /// Hands all keys over.
    pub(super) fn read(mut self, taker: &mut Taker<'_>) -> Result<(), Failure> {
        let (mut text, mut count) = (String::new(), 0);
        let file = self.file.clone();
        let place = |at: u64| format!("{}:{at}", file.display());
        loop {
            text.clear();
            let read = self.lines.read_line(&mut text);
            let read =
                read.map_err(|error| taker.failed(format!("{}: {error}", place(self.at + 1))))?;
            if read == 0 {
                let what =
                    format!("{}: the export is cut off: its last line is missing", place(self.at));
                return Err(taker.failed(what));
            }
            self.at += 1;
            let line = text.trim_end_matches('\n');
            if self.is_csv && line == COLUMNS {
                continue;
            }
            if let Some(end) = end_of(line, self.is_csv) {
                if end.end != count {
                    let what = format!(
                        "{}: it says that {} keys stand before it, and there are {count}",
                        place(self.at),
                        end.end
                    );
                    return Err(taker.failed(what));
                }
                return Ok(());
            }
            let row = if self.is_csv { csv(line) } else { json(line) };
            let key = row.and_then(|row| row.key());
            let key = key.map_err(|what| taker.failed(format!("{}: {what}", place(self.at))))?;
            count += 1;
            match key {
                Some(key) => taker.take(key, || place(self.at))?,
                None => taker.tally.of_letters += 1,
            }
        }
    }
}

fn end_of(line: &str, is_csv: bool) -> Option<End> {
    let line = if is_csv { line.strip_prefix("# ")? } else { line };
    line.starts_with("{\"end\"").then(|| serde_json::from_str(line).ok()).flatten()
}

fn json(line: &str) -> Result<Row, String> {
    serde_json::from_str(line).map_err(|error| format!("this is no key of an export: {error}"))
}

fn csv(line: &str) -> Result<Row, String> {
    let cells = cells(line).ok_or("a quote is not closed")?;
    let [key, recorded, window, body_hash, state, pipe, batch] = cells.as_slice() else {
        return Err(format!("{} columns, not 7", cells.len()));
    };
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no number"));
    Ok(Row {
        key: key.clone(),
        recorded_ms: number(recorded)?,
        window_ms: if window == "forever" { None } else { Some(number(window)?) },
        body_hash: body_hash.clone(),
        state: state.clone(),
        pipe: (!pipe.is_empty()).then(|| pipe.clone()),
        batch: batch.parse().ok(),
    })
}
