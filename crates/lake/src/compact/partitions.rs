//! Which folder a row goes to.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use event::json::{Kind, Raw};
use journal::Disk;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::CompactError;
use super::place::Place;
use super::report::{LISTED_MAX, OtherPartition};
use super::state::{Day, Level};

/// Where rows go whose field is missing, null, empty, an object, an array or no text.
pub(super) const DEFAULT: &str = "__HIVE_DEFAULT_PARTITION__";
/// Where values go that came when there were too many.
pub(super) const OTHER: &str = "__other__";
/// Longest value in a folder's name.
pub(super) const VALUE_BYTES_MAX: usize = 128;
/// What is left of a longer one; a `~` and the hash of the whole follow.
const CUT_BYTES: usize = VALUE_BYTES_MAX - 17;

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.');

/// A value of an event as part of a folder's name.
pub(super) fn encode(value: Option<Raw<'_>>) -> String {
    let Some(value) = value else { return DEFAULT.into() };
    let text = match value.kind() {
        Kind::String => value.as_str(),
        Kind::Number | Kind::Bool => std::str::from_utf8(value.bytes()).ok().map(Into::into),
        Kind::Null | Kind::Object | Kind::Array => None,
    };
    match text.as_deref() {
        None | Some("") => DEFAULT.into(),
        // An event must not be able to name these two.
        Some(text @ (DEFAULT | OTHER)) => format!("%5F{}", text.get(1..).unwrap_or_default()),
        Some(text) => bounded(text),
    }
}

fn bounded(text: &str) -> String {
    let mut encoded = String::new();
    for piece in percent_encode(text.as_bytes(), ENCODED) {
        if encoded.len() + piece.len() > VALUE_BYTES_MAX {
            return cut(text);
        }
        encoded.push_str(piece);
    }
    encoded
}

fn cut(text: &str) -> String {
    let mut encoded = String::new();
    for c in text.chars() {
        let mut bytes = [0; 4];
        let piece: String = percent_encode(c.encode_utf8(&mut bytes).as_bytes(), ENCODED).collect();
        if encoded.len() + piece.len() > CUT_BYTES {
            break;
        }
        encoded.push_str(&piece);
    }
    // FNV-1a: two values that share it share a folder, nothing else.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{encoded}~{hash:016x}")
}

/// Year, month and day, as far as the table is partitioned by them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Date {
    pub(super) year: i64,
    pub(super) month: u8,
    pub(super) day: u8,
}

/// A partition that this compaction writes to.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    /// Its folder below `table`.
    pub(super) folder: String,
    pub(super) rows: u64,
    /// Bytes of its rows.
    pub(super) bytes: u64,
}

/// Gives each row's date and values a partition, in the order of first sight.
pub(super) struct Partitions<'a> {
    disk: Arc<dyn Disk>,
    place: &'a Place,
    levels: &'a [Level],
    values_max: u64,
    by_folder: HashMap<String, u32>,
    pub(super) list: Vec<Partition>,
    pub(super) days: BTreeMap<String, Day>,
    other: BTreeMap<String, OtherPartition>,
}

impl<'a> Partitions<'a> {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        place: &'a Place,
        levels: &'a [Level],
        values_max: usize,
        days: BTreeMap<String, Day>,
    ) -> Self {
        Self {
            disk,
            place,
            levels,
            values_max: values_max as u64,
            by_folder: HashMap::new(),
            list: Vec::new(),
            days,
            other: BTreeMap::new(),
        }
    }

    /// The partition of `rows` rows of a date with these values, one for each field.
    pub(super) fn assign(
        &mut self,
        date: Date,
        values: &[String],
        rows: u64,
        bytes: u64,
    ) -> Result<u32, CompactError> {
        let mut folder = self.folder(date, values.iter().map(String::as_str));
        let plain = values.is_empty() || values.iter().all(|value| value == DEFAULT);
        if !plain && !self.by_folder.contains_key(&folder) && !self.admit(date, &folder)? {
            let example = values.join("/");
            folder = self.folder(date, values.iter().map(|_| OTHER));
            let day = self.time_folder(date);
            if self.other.len() < LISTED_MAX || self.other.contains_key(&day) {
                let new = || OtherPartition { day: day.clone(), rows: 0, example };
                self.other.entry(day.clone()).or_insert_with(new).rows += rows;
            }
        }
        let next = self.list.len() as u32;
        let id = *self.by_folder.entry(folder.clone()).or_insert(next);
        if id == next {
            self.list.push(Partition { folder, rows: 0, bytes: 0 });
        }
        if let Some(partition) = self.list.get_mut(id as usize) {
            partition.rows += rows;
            partition.bytes += bytes;
        }
        Ok(id)
    }

    /// Whether a new folder may be opened.
    fn admit(&mut self, date: Date, folder: &str) -> Result<bool, CompactError> {
        let day = self.days.entry(day_name(self.levels, date)).or_default();
        if day.values > 0 {
            let path = self.place.table.join(folder);
            let there = self.disk.stat(&path).map_err(CompactError::io("look at", &path))?;
            if there.is_some() {
                return Ok(true);
            }
        }
        if day.other || day.values >= self.values_max {
            day.other = true;
            return Ok(false);
        }
        day.values += 1;
        Ok(true)
    }

    fn folder<'v>(&self, date: Date, values: impl Iterator<Item = &'v str>) -> String {
        let mut values = values;
        let parts = self.levels.iter().map(|level| {
            let value = match time_value(level, date) {
                Some(value) => value,
                None => values.next().unwrap_or(DEFAULT).to_owned(),
            };
            format!("{}={value}", level.key)
        });
        parts.collect::<Vec<_>>().join("/")
    }

    fn time_folder(&self, date: Date) -> String {
        let part = |level: &Level| Some(format!("{}={}", level.key, time_value(level, date)?));
        self.levels.iter().filter_map(part).collect::<Vec<_>>().join("/")
    }

    pub(super) fn into_parts(self) -> (Vec<Partition>, BTreeMap<String, Day>, Vec<OtherPartition>) {
        (self.list, self.days, self.other.into_values().collect())
    }
}

fn time_value(level: &Level, date: Date) -> Option<String> {
    match level.field.as_str() {
        "year" => Some(format!("{:04}", date.year)),
        "month" => Some(format!("{:02}", date.month)),
        "day" => Some(format!("{:02}", date.day)),
        _ => None,
    }
}

fn day_name(levels: &[Level], date: Date) -> String {
    levels.iter().filter_map(|level| time_value(level, date)).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> String {
        encode(Some(Raw::new(json.as_bytes())))
    }

    #[test]
    fn values_become_names_of_folders() {
        assert_eq!(encode(None), DEFAULT);
        for json in ["null", "\"\"", "{}", "[1]", "\"\\ud800\""] {
            assert_eq!(of(json), DEFAULT, "{json}");
        }
        for (json, name) in [
            (r#""en""#, "en"),
            (r#""a_b-c.D9""#, "a_b-c.D9"),
            (r#""\u0065n""#, "en"),
            ("5", "5"),
            ("-1.5e3", "-1.5e3"),
            ("true", "true"),
            (r#""..""#, ".."),
            (r#"".""#, "."),
            (r#""a/b=c d%""#, "a%2Fb%3Dc%20d%25"),
            (r#""ü""#, "%C3%BC"),
            (r#""\u0000""#, "%00"),
            (r#""__other__""#, "%5F_other__"),
            (r#""__HIVE_DEFAULT_PARTITION__""#, "%5F_HIVE_DEFAULT_PARTITION__"),
        ] {
            assert_eq!(of(json), name);
        }
    }

    #[test]
    fn a_long_value_is_cut_between_characters_and_told_apart_by_its_hash() {
        let longest = "x".repeat(128);
        assert_eq!(of(&format!("\"{longest}\"")), longest);
        let (one, two) = (format!("\"{longest}y\""), format!("\"{longest}z\""));
        assert_eq!((of(&one).len(), of(&two).len()), (128, 128));
        assert_ne!(of(&one), of(&two));
        let long = of(&format!("\"{}\"", "ü".repeat(50)));
        assert!(long.len() <= 128 && long.starts_with("%C3%BC%C3%BC") && long.contains("%BC~"));
    }
}
