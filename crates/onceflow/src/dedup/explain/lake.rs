//! Where a key's rows lie in a lake: in staging files by their sidecars, in the table by its
//! columns.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde_json::{Map, Value};

const KEY: &str = "_onceflow_key";
const OWN: &str = "_onceflow_";

/// A row of a lake.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LakeRow {
    pub(super) key: u128,
    pub(super) file: PathBuf,
    pub(super) recorded_ms: i64,
    pub(super) batch: u64,
    pub(super) shard: String,
    pub(super) offset: String,
    /// The row, where it could be read.
    pub(super) body: Option<Vec<u8>>,
    /// Whether the body is built from columns, so that empty fields may be missing.
    pub(super) from_table: bool,
}

/// What a search came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Searched {
    pub(super) rows: Vec<LakeRow>,
    pub(super) files: u64,
    /// What couldn't be read.
    pub(super) problems: Vec<String>,
}

/// Looks for the rows of `keys` below `root`.
pub(super) fn search(root: &Path, keys: &BTreeSet<u128>) -> io::Result<Searched> {
    let mut searched = Searched::default();
    for path in files(root)? {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let found = if name.ends_with(".keys") || name.ends_with(".keys.open") {
            of_sidecar(&path, &name, keys)
        } else if name.ends_with(".parquet") && !name.starts_with('_') {
            of_table(&path, keys)
        } else {
            continue;
        };
        searched.files += 1;
        match found {
            Ok(rows) => searched.rows.extend(rows),
            // It was compacted, or got its final name, meanwhile.
            Err(_) if !path.exists() => {}
            Err(what) => searched.problems.push(format!("{}: {what}", path.display())),
        }
    }
    searched.rows.sort_by_key(|row| (row.recorded_ms, row.batch));
    Ok(searched)
}

fn files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn of_sidecar(path: &Path, name: &str, keys: &BTreeSet<u128>) -> Result<Vec<LakeRow>, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let open = name.ends_with(".open");
    let all = match lake::sidecar::read(&bytes) {
        Ok(all) => all,
        // A batch may be on its way.
        Err(_) if open => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    let wanted = |(_, row): &(usize, _)| {
        let row: &lake::sidecar::SidecarRow = row;
        keys.contains(&row.key)
    };
    let found: Vec<_> = all.into_iter().enumerate().filter(wanted).collect();
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let rows_name = if open {
        name.replace(".keys.open", ".ndjson.open")
    } else {
        name.trim_start_matches('_').replace(".keys", ".ndjson")
    };
    let file = path.with_file_name(rows_name);
    let text = std::fs::read(&file).unwrap_or_default();
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let row = |(index, row): (usize, lake::sidecar::SidecarRow)| LakeRow {
        key: row.key,
        file: file.clone(),
        recorded_ms: row.recorded_ms,
        batch: row.batch.0,
        shard: row.shard.to_string(),
        offset: row.offset.to_string(),
        body: lines.get(index).filter(|line| !line.is_empty()).map(|line| line.to_vec()),
        from_table: false,
    };
    Ok(found.into_iter().map(row).collect())
}

fn of_table(path: &Path, keys: &BTreeSet<u128>) -> Result<Vec<LakeRow>, String> {
    let failed = |error: parquet::errors::ParquetError| error.to_string();
    let file = File::open(path).map_err(|error| error.to_string())?;
    let reader = SerializedFileReader::new(file).map_err(failed)?;
    let schema = reader.metadata().file_metadata().schema().clone();
    let Some(column) = schema.get_fields().iter().find(|field| field.name() == KEY) else {
        return Ok(Vec::new());
    };
    let only_key = Type::group_type_builder(schema.name())
        .with_fields(vec![column.clone()])
        .build()
        .map_err(failed)?;
    let mut found = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(failed)?;
        let mut places = Vec::new();
        let column = group.get_row_iter(Some(only_key.clone())).map_err(failed)?;
        for (at, row) in column.enumerate() {
            let row = row.map_err(failed)?;
            if key_of(&row).is_some_and(|key| keys.contains(&key)) {
                places.push(at);
            }
        }
        let Some(last) = places.last() else { continue };
        let whole = group.get_row_iter(None).map_err(failed)?;
        for (at, row) in whole.enumerate().take(last + 1) {
            if places.binary_search(&at).is_ok() {
                found.extend(table_row(path, &row.map_err(failed)?));
            }
        }
    }
    Ok(found)
}

fn key_of(row: &Row) -> Option<u128> {
    row.get_column_iter().find(|(name, _)| *name == KEY).and_then(|(_, field)| match field {
        Field::Bytes(bytes) => bytes.data().try_into().ok().map(u128::from_be_bytes),
        _ => None,
    })
}

fn table_row(path: &Path, row: &Row) -> Option<LakeRow> {
    let field = |wanted: &str| {
        row.get_column_iter().find(|(name, _)| *name == wanted).map(|(_, field)| field)
    };
    let number = |wanted: &str| match field(wanted) {
        Some(Field::Long(number) | Field::TimestampMillis(number)) => Some(*number),
        _ => None,
    };
    let text = |wanted: &str| match field(wanted) {
        Some(Field::Str(text)) => Some(text.clone()),
        _ => None,
    };
    let mut body = Map::new();
    for (name, field) in row.get_column_iter() {
        let null = matches!(field, Field::Null);
        if !name.starts_with(OWN) && !null && name != "_rescued" {
            body.insert(name.clone(), value(field));
        }
    }
    if let Some(Ok(Value::Object(rescued))) =
        text("_rescued").map(|text| serde_json::from_str(&text))
    {
        body.extend(rescued);
    }
    let offset = number("_onceflow_offset").map(|offset| offset.to_string());
    Some(LakeRow {
        key: key_of(row)?,
        file: path.to_path_buf(),
        recorded_ms: number("_onceflow_recorded_time")?,
        batch: number("_onceflow_batch").unwrap_or_default().cast_unsigned(),
        shard: text("_onceflow_shard").unwrap_or_default(),
        offset: offset.or_else(|| text("_onceflow_offset_wide")).unwrap_or_default(),
        body: serde_json::to_vec(&Value::Object(body)).ok(),
        from_table: true,
    })
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Byte(value) => (*value).into(),
        Field::Short(value) => (*value).into(),
        Field::Int(value) | Field::Date(value) => (*value).into(),
        Field::Long(value) => (*value).into(),
        Field::UByte(value) => (*value).into(),
        Field::UShort(value) => (*value).into(),
        Field::UInt(value) => (*value).into(),
        Field::ULong(value) => (*value).into(),
        Field::Float(value) => (*value).into(),
        Field::Double(value) => (*value).into(),
        Field::Str(text) => text.as_str().into(),
        Field::Group(row) => row
            .get_column_iter()
            .filter(|(_, field)| !matches!(field, Field::Null))
            .map(|(name, field)| (name.clone(), value(field)))
            .collect::<Map<String, Value>>()
            .into(),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        other => other.to_string().trim_matches('"').into(),
    }
}
