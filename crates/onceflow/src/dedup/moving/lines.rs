//! Key values, or whole events, one a line: NDJSON, or CSV with a line of names.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use dedup::key::KeyMaker;
use dedup::scope::{CommittedKey, KeyState};
use event::json::{Found, Selection};
use pipe::config::TimeFormat;
use pipe::types::Windows;
use serde_json::{Map, Value};

use super::args::TextAs;
use super::asked::Made;
use super::taker::{Taker, unreadable};
use crate::exit::Failure;

/// Longest line; bytes.
const LINE_BYTES_MAX: usize = 64 << 20;

/// Makes keys of objects.
pub(super) struct Maker {
    keys: KeyMaker,
    selection: Selection,
    fields: usize,
    type_at: Option<usize>,
    time_at: Option<(usize, TimeFormat)>,
    windows: Windows,
    found: Found,
    scratch: Vec<u8>,
}

/// What an object says.
pub(super) struct Said {
    pub(super) key: u128,
    pub(super) time_ms: Option<i64>,
    pub(super) window_ms: i64,
}

impl Maker {
    /// For the scope's secret and definition.
    pub(super) fn new(made: Made, secret: &[u8; 16]) -> Result<Maker, Failure> {
        let Some((fields, across_types)) = made.definition() else {
            return Err(Failure::usage(
                "which fields make the key? Say it with --config PIPE.yaml, or --fields PATH,PATH",
            ));
        };
        let Some(windows) = made.windows else {
            return Err(Failure::usage(
                "for how long are the keys remembered? Say it with --window, or --config PIPE.yaml",
            ));
        };
        let mut paths = made.key;
        let fields = fields as usize;
        let type_at = made.event_type.map(|path| {
            paths.push(path);
            paths.len() - 1
        });
        let time_at = made.time.map(|(path, format)| {
            paths.push(path);
            (paths.len() - 1, format)
        });
        Ok(Maker {
            keys: KeyMaker::new(secret, across_types, fields),
            selection: Selection::new(&paths),
            fields,
            type_at,
            time_at,
            windows,
            found: Found::default(),
            scratch: Vec::new(),
        })
    }

    /// The key of an object.
    pub(super) fn make(&mut self, object: &[u8]) -> Result<Said, String> {
        self.selection.scan(object, &mut self.found).map_err(|error| error.to_string())?;
        let paths = self.selection.paths();
        let path = |at: usize| paths.get(at).map(ToString::to_string).unwrap_or_default();
        let values: Vec<_> = (0..self.fields).map(|at| self.found.get(object, at)).collect();
        let event_type = self.type_at.map(|at| {
            let raw = self.found.get(object, at).and_then(|raw| raw.as_str());
            raw.ok_or_else(|| format!("no {} (the event's type)", path(at)))
        });
        let event_type = event_type.transpose()?.unwrap_or_default();
        let key = self.keys.key(event_type.as_bytes(), &values, &mut self.scratch);
        let field =
            |problem: &dedup::key::KeyProblem| problem.field().map(path).unwrap_or_default();
        let key = key.map_err(|problem| format!("{problem}: {}", field(&problem)))?;
        let time_ms = self.time_at.and_then(|(at, format)| {
            let raw = self.found.get(object, at)?;
            Some(format.parse_ms(raw).map_err(|error| format!("{}: {error}", path(at))))
        });
        let window_ms = self.windows.of(&event_type);
        Ok(Said { key, time_ms: time_ms.transpose()?, window_ms })
    }
}

/// Reads a file of objects.
pub(super) fn ndjson(file: &Path, mut maker: Maker, taker: &mut Taker<'_>) -> Result<(), Failure> {
    each_line(file, taker, |line, taker, place| {
        let said = maker.make(line).map_err(|what| taker.failed(format!("{}: {what}", place())))?;
        taker.take(key(&said, taker.now_ms), place)
    })
}

/// Reads a table with a line of names.
pub(super) fn csv(
    file: &Path,
    mut maker: Maker,
    text_as: TextAs,
    taker: &mut Taker<'_>,
) -> Result<(), Failure> {
    let mut names: Option<Vec<String>> = None;
    each_line(file, taker, |line, taker, place| {
        let text = std::str::from_utf8(line).ok();
        let cells = text.and_then(cells);
        let cells = cells.ok_or_else(|| {
            taker.failed(format!("{}: no text, or a quote that isn't closed", place()))
        })?;
        let Some(names) = &names else {
            names = Some(cells);
            return Ok(());
        };
        if cells.len() != names.len() {
            let what = format!("{}: {} columns, not {}", place(), cells.len(), names.len());
            return Err(taker.failed(what));
        }
        let object = object(names.iter().map(String::as_str).zip(cells), text_as);
        let made = object.and_then(|object| maker.make(&object));
        let said = made.map_err(|what| taker.failed(format!("{}: {what}", place())))?;
        taker.take(key(&said, taker.now_ms), place)
    })
}

/// An object of names and texts.
pub(super) fn object<'a>(
    members: impl Iterator<Item = (&'a str, String)>,
    text_as: TextAs,
) -> Result<Vec<u8>, String> {
    let value = |text: String| match text_as {
        TextAs::Number => {
            text.parse::<serde_json::Number>().map(Value::Number).or(Ok(Value::String(text)))
        }
        TextAs::String => Ok::<_, String>(Value::String(text)),
    };
    let mut object = Map::new();
    for (name, text) in members {
        object.insert(name.to_owned(), value(text)?);
    }
    serde_json::to_vec(&object).map_err(|error| error.to_string())
}

fn key(said: &Said, now_ms: i64) -> CommittedKey {
    CommittedKey {
        key: said.key,
        recorded_ms: said.time_ms.unwrap_or(now_ms),
        window_ms: said.window_ms,
        // Not known: a duplicate of it counts as one with the same body.
        body_hash: 0,
        state: KeyState::Delivered,
        by: Default::default(),
    }
}

/// Hands the lines that hold something to `each`, with their number.
fn each_line(
    file: &Path,
    taker: &mut Taker<'_>,
    mut each: impl FnMut(&[u8], &mut Taker<'_>, &dyn Fn() -> String) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let opened = File::open(file).map_err(|error| unreadable(file, error))?;
    let mut lines = BufReader::with_capacity(1 << 20, opened);
    let (mut line, mut number) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        number += 1;
        let place = || format!("{}:{number}", file.display());
        let read =
            std::io::Read::take(&mut lines, LINE_BYTES_MAX as u64).read_until(b'\n', &mut line);
        let read = read.map_err(|error| taker.failed(format!("{}: {error}", place())))?;
        if read == 0 {
            return Ok(());
        }
        if read == LINE_BYTES_MAX {
            return Err(taker.failed(format!("{}: longer than 64 MiB", place())));
        }
        let text = line.trim_ascii();
        if !text.is_empty() {
            each(text, taker, &place)?;
        }
    }
}

/// The cells of a line of CSV; `None` where a quote isn't closed.
pub(super) fn cells(line: &str) -> Option<Vec<String>> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let cell;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut text = String::new();
            let mut chars = quoted.char_indices();
            let end = loop {
                match chars.next()? {
                    (at, '"') if quoted.get(at + 1..)?.starts_with('"') => {
                        text.push('"');
                        chars.next();
                    }
                    (at, '"') => break at,
                    (_, other) => text.push(other),
                }
            };
            rest = quoted.get(end + 1..)?;
            cell = text;
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            cell = rest.get(..end)?.to_owned();
            rest = rest.get(end..)?;
        }
        cells.push(cell);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Some(cells),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::cells;

    #[test]
    fn cells_may_be_quoted() {
        let read = |line: &str| cells(line).map(|cells| cells.join("|"));
        assert_eq!(read("a,b,,c").as_deref(), Some("a|b||c"));
        assert_eq!(read("\"a,\"\"b\"\"\",2").as_deref(), Some("a,\"b\"|2"));
        assert_eq!(read("\"a").as_deref(), None);
        assert_eq!(read("\"a\"b").as_deref(), None);
        assert_eq!(read("").as_deref(), Some(""));
    }
}
