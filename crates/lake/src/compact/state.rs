//! What the lake's journal holds: docs/formats/lake-journal.md.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::RescuedField;
use crate::table::Schema;

/// Version of the records that this code writes; the first byte of each.
pub(super) const VERSION: u8 = 1;

/// One level of the table's folders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Level {
    /// `year`, `month`, `day` or a field path.
    pub(super) field: String,
    /// What stands before the `=` in its folders' names.
    pub(super) key: String,
}

/// What is remembered of a day's values of the partition fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Day {
    /// How many have a folder of their own.
    pub(super) values: u64,
    /// Whether there were too many, so that new ones go to `__other__`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) other: bool,
}

/// A file that a compaction takes up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Taken {
    /// Name of its rows below the lake.
    pub(super) rows: String,
    pub(super) bytes: u64,
    /// Name of its sidecar.
    pub(super) keys: String,
    pub(super) keys_bytes: u64,
}

/// A file that a compaction wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Made {
    /// Its name below `table`.
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) rows: u64,
}

/// The switch: from this record on the outputs count, and no longer the inputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    pub(super) inputs: Vec<Taken>,
    pub(super) outputs: Vec<Made>,
}

/// What all compactions did together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Totals {
    pub(super) compactions: u64,
    pub(super) rows: u64,
    pub(super) rows_rescued: u64,
    pub(super) rows_duplicate: u64,
}

/// A record: all that is to be known of the table. The last one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// Number of the next compaction, never used again.
    pub(super) next: u64,
    /// A compaction was begun: there may be unfinished files in the table's folders.
    pub(super) writing: bool,
    pub(super) partition: Option<Vec<Level>>,
    pub(super) columns: Schema,
    pub(super) days: BTreeMap<String, Day>,
    pub(super) totals: Totals,
    pub(super) rescued: Vec<RescuedField>,
    /// A switch that may not be completed.
    pub(super) switch: Option<Switch>,
}

impl State {
    pub(super) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut record = vec![VERSION];
        serde_json::to_writer(&mut record, self)?;
        Ok(record)
    }

    pub(super) fn decode(record: &[u8]) -> Result<Self, String> {
        match record.split_first() {
            Some((&VERSION, json)) => {
                serde_json::from_slice(json).map_err(|error| format!("a record is wrong: {error}"))
            }
            Some((version, _)) => Err(format!(
                "a record has version {version}, this program knows {VERSION}: use a newer one"
            )),
            None => Err("a record is empty".into()),
        }
    }

    /// The folders of the switch's inputs.
    pub(super) fn input_folders(switch: &Switch) -> std::collections::BTreeSet<PathBuf> {
        let folder = |taken: &Taken| {
            PathBuf::from(&taken.rows)
                .parent()
                .map(std::path::Path::to_path_buf)
                .unwrap_or_default()
        };
        switch.inputs.iter().map(folder).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Column, ColumnType};

    fn state() -> State {
        let column = |name: &str, kind| Column { name: name.into(), column: name.into(), kind };
        let lang =
            Column { name: "Lang".into(), column: "Lang_field".into(), kind: ColumnType::Utf8 };
        State {
            next: 43,
            writing: true,
            partition: Some(vec![
                Level { field: "year".into(), key: "year".into() },
                Level { field: "$.specifics.lang".into(), key: "lang".into() },
            ]),
            columns: Schema {
                columns: vec![
                    column("id", ColumnType::Int64),
                    column("ok", ColumnType::Bool),
                    column("score", ColumnType::Float64),
                    column("specifics", ColumnType::Struct(vec![lang])),
                    column("tags", ColumnType::List(Box::new(ColumnType::Utf8))),
                ],
            },
            days: BTreeMap::from([
                ("2026-11-02".into(), Day { values: 12, other: false }),
                ("2026-11-03".into(), Day { values: 1000, other: true }),
            ]),
            totals: Totals { compactions: 42, rows: 1000, rows_rescued: 1, rows_duplicate: 2 },
            rescued: vec![RescuedField {
                column: "$.id".into(),
                found: "text, the column is int64".into(),
                rows: 1,
                example: "\"x\"".into(),
            }],
            switch: Some(Switch {
                inputs: vec![Taken {
                    rows: "year=2026/month=11/day=02/hour=10/minute=00/a-1-2-3.ndjson".into(),
                    bytes: 100,
                    keys: "year=2026/month=11/day=02/hour=10/minute=00/_a-1-2-3.keys".into(),
                    keys_bytes: 50,
                }],
                outputs: vec![Made {
                    name: "year=2026/lang=en/part-000042-0001.parquet".into(),
                    bytes: 200,
                    rows: 3,
                }],
            }),
        }
    }

    /// Written once by version 1 of the format; must be readable for ever.
    #[test]
    fn the_frozen_record_of_version_1_is_read() {
        let frozen = include_bytes!("../../tests/fixtures/lake-journal-v1.record");
        assert_eq!(State::decode(frozen).unwrap(), state());
        let same = state().encode().unwrap() == frozen;
        assert!(same, "a changed writer needs a new version and a new fixture");
    }

    #[test]
    fn another_version_is_named() {
        assert!(State::decode(b"\x02{}").unwrap_err().contains("version 2"));
        assert!(State::decode(b"").is_err());
        assert!(State::decode(b"\x01{}").is_err());
    }
}
