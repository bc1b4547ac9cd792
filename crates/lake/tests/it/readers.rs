//! DuckDB, Polars and pyarrow read the table, and see the same in it.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use journal::SimDisk;
use lake::{CompactOptions, PartitionField};
use serde_json::{Value, json};

use crate::fake_ledger::FakeLedger;
use crate::table::{START, compact, event, files, options, path, stage};

/// The interpreter with the libraries; says so when there is none.
fn python(test: &str) -> Option<String> {
    let python = std::env::var("ONCEFLOW_PYTHON").ok().filter(|python| !python.is_empty());
    if python.is_none() {
        let mut stderr = std::io::stderr();
        let _ = writeln!(stderr, "skipped: {test} (ONCEFLOW_PYTHON isn't set)");
    }
    python
}

fn read(python: &str, disk: &SimDisk, key: &str, lang: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files(disk) {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create_new(path).unwrap().write_all(&bytes).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/read_table.py");
    let out =
        Command::new(python).arg(script).arg(folder.path()).args([key, lang]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Two compactions, the second with new fields; values of the partition field of every kind.
fn filled(options: &CompactOptions) -> (SimDisk, Vec<Value>) {
    let langs = [
        r#""en""#,
        "5",
        "1.5",
        "true",
        "null",
        r#""""#,
        r#""a/b=c d%ü""#,
        r#""2026-11-02""#,
        r#""__other__""#,
        r#"{"x":1}"#,
        r#""..""#,
        r#""007""#,
    ];
    let disk = SimDisk::new(1);
    let mut ledger = FakeLedger::new();
    let mut expected = Vec::new();
    for second in [false, true] {
        let first_id: u64 = if second { 100 } else { 0 };
        let mut events = Vec::new();
        for (at, lang) in langs.iter().enumerate() {
            let id = first_id + at as u64;
            let time = START + id as i64 * 3_600_000;
            let new = if second {
                r#","flag":true,"nested":{"deep":{"x":1,"y":"z"},"list":[[1],[2,3]]}"#
            } else {
                ""
            };
            let payload = format!(
                r#"{{"id":{id},"at":{time},"specifics":{{"lang":{lang}}},"lang":{lang},"tags":["a","b{id}",null],"score":{id}.5,"year":{id}{new}}}"#
            );
            let fits = lang.starts_with('"');
            let lang: Value = if fits { serde_json::from_str(lang).unwrap() } else { Value::Null };
            let rescued = !fits && langs[at] != "null";
            expected.push(json!([
                id,
                time,
                lang,
                lang,
                ["a", format!("b{id}"), null],
                if second { json!(1) } else { Value::Null },
                id as f64 + 0.5,
                if second { json!(true) } else { Value::Null },
                id,
                rescued.then(|| format!("{{\"$.specifics.lang\":{0},\"$.lang\":{0}}}", langs[at])),
                format!("{:032X}", u128::from(id) << 64),
                START + id as i64,
                time * 1000,
            ]));
            events.push(event(id, payload));
        }
        stage(&disk, &mut ledger, &[events]);
        compact(&disk, options).unwrap();
    }
    (disk, expected)
}

fn see_the_same(options: &CompactOptions, key: &str, lang: &str) {
    let Some(python) = python("duckdb_polars_and_pyarrow_see_the_same") else { return };
    let (disk, expected) = filled(options);
    let seen = read(&python, &disk, key, lang);
    for name in ["duckdb", "polars", "pyarrow"] {
        let rows = seen[name]["rows"].as_array().unwrap();
        for (row, expected) in rows.iter().zip(&expected) {
            assert_eq!(row, expected, "{name}");
        }
        assert_eq!(rows.len(), expected.len(), "{name}");
        assert_eq!(seen[name]["groups"], seen["duckdb"]["groups"], "{name}");
    }
    let groups = seen["duckdb"]["groups"].to_string();
    for value in ["\"en\"", "\"a/b=c d%ü\"", "\"007\"", "\"1.5\"", "\"..\""] {
        assert!(groups.contains(value), "{value} in {groups}");
    }
    let types = |reader: &str, names: &[&str]| -> Vec<String> {
        names
            .iter()
            .map(|name| seen[reader]["columns"][name].as_str().unwrap().to_owned())
            .collect()
    };
    let names = [
        "id",
        "specifics",
        lang,
        "tags",
        "score",
        "flag",
        "_onceflow_key",
        "_onceflow_recorded_time",
    ];
    assert_eq!(
        types("duckdb", &names),
        [
            "BIGINT",
            "STRUCT(lang VARCHAR)",
            "VARCHAR",
            "VARCHAR[]",
            "DOUBLE",
            "BOOLEAN",
            "BLOB",
            "TIMESTAMP WITH TIME ZONE"
        ]
    );
    assert_eq!(
        types("pyarrow", &names),
        [
            "int64",
            "struct<lang: string>",
            "string",
            "list<element: string>",
            "double",
            "bool",
            "fixed_size_binary[16]",
            "timestamp[ms, tz=UTC]"
        ]
    );
}

#[test]
fn duckdb_polars_and_pyarrow_see_the_same() {
    let mut options = options();
    options.partition.pop();
    options.partition.push(PartitionField::Field(path("$.specifics.lang")));
    // The folders take the name `lang`; readers would see that in place of the field.
    see_the_same(&options, "lang", "lang_field");
}

#[test]
fn duckdb_polars_and_pyarrow_see_the_same_partitioned_by_a_column() {
    let mut options = options();
    options.partition.pop();
    options.partition.push(PartitionField::Field(path("$.lang")));
    see_the_same(&options, "lang_partition", "lang");
}
