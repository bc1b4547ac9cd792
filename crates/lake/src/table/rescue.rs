//! Values that don't fit their column: kept whole in `_rescued`, and counted by kind.

use std::collections::BTreeMap;

use crate::compact::{LISTED_MAX, RescuedField};

/// Longest example, in bytes.
const EXAMPLE_BYTES_MAX: usize = 100;

/// One step of a path down into a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    Field(&'a str),
    Index(usize),
}

/// What was rescued from the current row, and from all rows by kind.
#[derive(Default)]
pub(crate) struct Rescues {
    /// The JSON object of the row's rescued values; empty without.
    row: Vec<u8>,
    names: Vec<String>,
    kinds: BTreeMap<(String, String), (u64, String)>,
    rows: u64,
}

/// Appends `text` as a JSON string.
fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            c if c < ' ' => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

fn add_step(path: &mut String, name: &str) {
    let plain =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-:@".contains(c));
    if plain {
        path.push('.');
        path.push_str(name);
        return;
    }
    path.push_str("['");
    for c in name.chars() {
        if c == '\'' || c == '\\' {
            path.push('\\');
        }
        path.push(c);
    }
    path.push_str("']");
}

/// The path with its indexes, and the one that stands for all places of an array.
fn paths(places: &[Place<'_>]) -> (String, String) {
    let (mut path, mut kind) = ("$".to_owned(), "$".to_owned());
    for place in places {
        match place {
            Place::Field(name) => {
                add_step(&mut path, name);
                add_step(&mut kind, name);
            }
            Place::Index(index) => {
                path.push_str(&format!("[{index}]"));
                kind.push_str("[]");
            }
        }
    }
    (path, kind)
}

impl Rescues {
    /// Keeps a value: `raw` is JSON.
    #[cold]
    pub(super) fn value(&mut self, places: &[Place<'_>], found: String, raw: &[u8]) {
        let (mut path, kind) = paths(places);
        // The second of two fields of one name.
        let mut nth = 1;
        let first = path.clone();
        while self.names.contains(&path) {
            nth += 1;
            path = format!("{first}[#{nth}]");
        }
        self.row.push(if self.row.is_empty() { b'{' } else { b',' });
        quote(&path, &mut self.row);
        self.row.push(b':');
        self.row.extend_from_slice(raw);
        self.names.push(path);
        self.count(kind, found, raw);
    }

    fn count(&mut self, kind: String, found: String, raw: &[u8]) {
        let full = self.kinds.len() >= LISTED_MAX;
        let mut place = (kind, found);
        if full && !self.kinds.contains_key(&place) {
            place = ("(others)".into(), "(others)".into());
        }
        let cut = raw.get(..EXAMPLE_BYTES_MAX).unwrap_or(raw);
        let entry = self.kinds.entry(place);
        entry.or_insert_with(|| (0, String::from_utf8_lossy(cut).into_owned())).0 += 1;
    }

    /// Keeps a whole row that isn't a JSON object.
    #[cold]
    pub(super) fn row(&mut self, text: &[u8]) {
        let json = serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
        let (name, found, raw) = match std::str::from_utf8(text) {
            Ok(_) if json => ("$", "a row that isn't an object", text.to_vec()),
            Ok(text) => {
                let mut raw = Vec::new();
                quote(text, &mut raw);
                ("$text", "a row that isn't JSON", raw)
            }
            Err(_) => {
                let hex: String = text.iter().map(|byte| format!("{byte:02x}")).collect();
                ("$hex", "a row that isn't UTF-8", format!("\"{hex}\"").into_bytes())
            }
        };
        self.row.push(b'{');
        quote(name, &mut self.row);
        self.row.push(b':');
        self.row.extend_from_slice(&raw);
        self.count("$".into(), found.into(), text);
    }

    /// Ends the row and hands `with` what was rescued from it.
    #[inline]
    pub(super) fn end_row(&mut self, with: impl FnOnce(Option<&[u8]>)) {
        if self.row.is_empty() {
            with(None);
            return;
        }
        self.row.push(b'}');
        self.rows += 1;
        with(Some(&self.row));
        self.row.clear();
        self.names.clear();
    }

    /// Adds what another thread counted.
    pub(crate) fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        for ((kind, found), (rows, example)) in other.kinds {
            let full = self.kinds.len() >= LISTED_MAX;
            let mut place = (kind, found);
            if full && !self.kinds.contains_key(&place) {
                place = ("(others)".into(), "(others)".into());
            }
            let entry = self.kinds.entry(place).or_insert((0, example));
            entry.0 += rows;
        }
    }

    /// How many rows, and what by kind.
    pub(crate) fn finish(self) -> (u64, Vec<RescuedField>) {
        let kinds = self.kinds.into_iter();
        let field =
            |((column, found), (rows, example))| RescuedField { column, found, rows, example };
        (self.rows, kinds.map(field).collect())
    }
}
