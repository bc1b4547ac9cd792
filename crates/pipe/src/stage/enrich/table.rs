//! A table in a file: rows by the value of one column.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use event::json::{Kind, Selection};
use event::path::{FieldPath, Step};
use hashbrown::HashTable;

use super::insert::ANSWER_DEPTH_MAX;
use super::key::{self, Asked, Form};
use crate::stage::transform::push_string;

/// A row may have this many bytes.
const ROW_BYTES_MAX: usize = 16 << 20;

/// A table as it was read.
#[derive(Debug)]
pub(super) struct Table {
    form: Form,
    /// Keys and rows, one after another.
    bytes: Vec<u8>,
    entries: HashTable<Entry>,
    hasher: RandomState,
    /// How many rows were replaced by a later one with the same key.
    pub(super) replaced: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: usize,
    key_len: u32,
    row_len: u32,
}

/// A table that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct TableError {
    pub(super) message: String,
}

fn fault(message: impl Into<String>) -> TableError {
    TableError { message: message.into() }
}

impl Table {
    /// Reads a table; `.csv` with a header, anything else as a JSON object a line.
    pub(super) fn read(file: &Path, on: &str, rows_max: u64) -> Result<Table, TableError> {
        let opened = File::open(file).map_err(|error| fault(error.to_string()))?;
        let is_csv = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        let mut table = Table {
            form: if is_csv { Form::Untyped } else { Form::Typed },
            bytes: Vec::new(),
            entries: HashTable::new(),
            hasher: RandomState::new(),
            replaced: 0,
        };
        if is_csv {
            table.read_csv(opened, on, rows_max)?;
        } else {
            table.read_ndjson(opened, on, rows_max)?;
        }
        Ok(table)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How keys are written that this table is asked for.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// The row of a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let hash = self.hasher.hash_one(key);
        let entry = self.entries.find(hash, |entry| entry.key(&self.bytes) == key)?;
        Some(entry.row(&self.bytes))
    }

    fn read_csv(&mut self, file: impl Read, on: &str, rows_max: u64) -> Result<(), TableError> {
        let mut reader = csv::ReaderBuilder::new().from_reader(file);
        let broken = |error: csv::Error| fault(error.to_string());
        let header = reader.headers().map_err(broken)?.clone();
        let columns: Vec<&str> = header.iter().collect();
        for (index, name) in columns.iter().enumerate() {
            if columns.get(..index).is_some_and(|before| before.contains(name)) {
                return Err(fault(format!("the column `{name}` stands in the header twice")));
            }
        }
        let Some(own) = columns.iter().position(|name| *name == on) else {
            return Err(fault(format!(
                "there is no column `{on}`; there are {}",
                columns.join(", ")
            )));
        };
        let mut names = Vec::new();
        for name in &columns {
            let mut json = Vec::new();
            push_string(name, &mut json);
            json.push(b':');
            names.push(json);
        }
        let (mut record, mut row) = (csv::StringRecord::new(), Vec::new());
        let mut rows = 0;
        while reader.read_record(&mut record).map_err(broken)? {
            rows += 1;
            refuse_more(rows, rows_max)?;
            row.clear();
            for (index, (name, cell)) in names.iter().zip(record.iter()).enumerate() {
                row.push(if index == 0 { b'{' } else { b',' });
                row.extend_from_slice(name);
                push_string(cell, &mut row);
            }
            row.push(b'}');
            let key = record.get(own).unwrap_or_default().as_bytes();
            self.insert(key, &row).map_err(|error| at_line(record.position(), &error))?;
        }
        Ok(())
    }

    fn read_ndjson(&mut self, file: impl Read, on: &str, rows_max: u64) -> Result<(), TableError> {
        let path = FieldPath::from_steps(vec![Step::Field(on.into())])
            .map_err(|error| fault(error.to_string()))?;
        let selection = Selection::new(&[path]);
        let mut found = event::json::Found::default();
        let mut reader = BufReader::new(file);
        let (mut line, mut key, mut rows, mut number) = (Vec::new(), Vec::new(), 0, 0_u64);
        loop {
            line.clear();
            number += 1;
            let limit = u64::try_from(ROW_BYTES_MAX).unwrap_or(u64::MAX) + 1;
            let read = (&mut reader).take(limit).read_until(b'\n', &mut line);
            let read = read.map_err(|error| fault(format!("line {number}: {error}")))?;
            if read == 0 {
                return Ok(());
            }
            let row = line.trim_ascii();
            if row.is_empty() {
                continue;
            }
            rows += 1;
            refuse_more(rows, rows_max)?;
            let wrong = |what: String| fault(format!("line {number}: {what}"));
            if row.len() > ROW_BYTES_MAX {
                return Err(wrong(format!("more than {ROW_BYTES_MAX} bytes")));
            }
            selection.scan(row, &mut found).map_err(|error| wrong(error.to_string()))?;
            if super::insert::depth(row) > ANSWER_DEPTH_MAX {
                return Err(wrong(format!("more than {ANSWER_DEPTH_MAX} levels")));
            }
            key.clear();
            let asked = found.get(row, 0).map_or(Asked::Nothing, |value| match value.kind() {
                Kind::Null => Asked::Nothing,
                _ => key::push(value, Form::Typed, &mut key),
            });
            if asked != Asked::Key {
                return Err(wrong(format!("`{on}` is missing, or no text, number or bool")));
            }
            self.insert(&key, row).map_err(|error| wrong(error.message))?;
        }
    }

    fn insert(&mut self, key: &[u8], row: &[u8]) -> Result<(), TableError> {
        let (Ok(key_len), Ok(row_len)) = (u32::try_from(key.len()), u32::try_from(row.len()))
        else {
            return Err(fault("a row of more than 4 GiB"));
        };
        let entry = Entry { start: self.bytes.len(), key_len, row_len };
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(row);
        let hash = self.hasher.hash_one(key);
        let bytes = &self.bytes;
        match self.entries.find_mut(hash, |entry| entry.key(bytes) == key) {
            Some(old) => {
                *old = entry;
                self.replaced += 1;
            }
            None => {
                let hasher = &self.hasher;
                self.entries.insert_unique(hash, entry, |entry| hasher.hash_one(entry.key(bytes)));
            }
        }
        Ok(())
    }
}

impl Entry {
    fn key<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.start..self.start + self.key_len as usize).unwrap_or_default()
    }

    fn row<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let start = self.start + self.key_len as usize;
        bytes.get(start..start + self.row_len as usize).unwrap_or_default()
    }
}

fn refuse_more(rows: u64, rows_max: u64) -> Result<(), TableError> {
    if rows > rows_max {
        return Err(fault(format!("more than {rows_max} rows (rows_max)")));
    }
    Ok(())
}

fn at_line(position: Option<&csv::Position>, error: &TableError) -> TableError {
    match position {
        Some(position) => fault(format!("line {}: {error}", position.line())),
        None => error.clone(),
    }
}
