//! Which fields of an event say its id, type and time, and what it must look like.

use std::path::PathBuf;

use event::path::FieldPath;

use super::problem::Problems;
use super::section::Section;
use crate::stage::time::TimeFormat;
use crate::stage::validate::Validator;

/// The largest JSON Schema file, in bytes.
const SCHEMA_BYTES_MAX: u64 = 4 << 20;

/// Where the parts of the envelope stand in an event. What isn't named is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvelopeConfig {
    /// The event's id.
    pub id: Option<FieldPath>,
    /// What it comes from.
    pub source: Option<FieldPath>,
    /// Its type (`type` in the config).
    pub event_type: Option<FieldPath>,
    /// When it happened.
    pub time: Option<EnvelopeTime>,
    /// What it is about.
    pub subject: Option<FieldPath>,
}

/// Where an event's time stands, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeTime {
    /// The field.
    pub path: FieldPath,
    /// How it is written.
    pub format: TimeFormat,
}

/// The format that a checked word of the config means.
pub(crate) fn time_format(word: &str) -> TimeFormat {
    match word {
        "epoch_seconds" => TimeFormat::EpochSeconds,
        "epoch_millis" => TimeFormat::EpochMillis,
        "epoch_micros" => TimeFormat::EpochMicros,
        "epoch_nanos" => TimeFormat::EpochNanos,
        _ => TimeFormat::Rfc3339,
    }
}

/// What an event must look like.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidateConfig {
    /// The schema's file; relative ones start from the config's folder.
    pub path: PathBuf,
    /// The schema: read, and known to be a valid JSON Schema.
    pub schema: serde_json::Value,
}

/// Builds the envelope. `None`: something in it is wrong.
pub(crate) fn build(pipe: &Section) -> Option<EnvelopeConfig> {
    let Some(entry) = pipe.entry("envelope") else { return Some(EnvelopeConfig::default()) };
    let section = pipe.section(entry.key.name)?;
    let time = match section.section("time") {
        Some(time) => Some(EnvelopeTime {
            path: time.path("path")?.clone(),
            format: time_format(time.word("format")?),
        }),
        None => None,
    };
    Some(EnvelopeConfig {
        id: section.path("id").cloned(),
        source: section.path("source").cloned(),
        event_type: section.path("type").cloned(),
        time,
        subject: section.path("subject").cloned(),
    })
}

/// Whether the envelope names a field, or tried to: then a second error about it would only
/// confuse.
pub(crate) fn names(pipe: &Section, key: &str) -> bool {
    pipe.is_bad("envelope")
        || pipe.section("envelope").is_some_and(|section| section.entry(key).is_some())
}

/// Builds `validate`: reads and checks the schema.
pub(crate) fn validate(pipe: &Section, problems: &mut Problems<'_>) -> Option<ValidateConfig> {
    let section = pipe.section("validate")?;
    let written = section.text("schema")?;
    let place = section.place_of("schema");
    let path = problems.source.base_dir.join(written);
    match read_schema(&path) {
        Ok(schema) => Some(ValidateConfig { path, schema }),
        Err((message, help)) => {
            problems.add(place, format!("`{written}` {message}")).help(help);
            None
        }
    }
}

fn read_schema(path: &std::path::Path) -> Result<serde_json::Value, (String, String)> {
    let relative = "paths are relative to the config's file";
    let no_file = |error: std::io::Error| {
        let help = format!("{relative}: this would be {}", path.display());
        (format!("can't be read: {}", reason(&error)), help)
    };
    let length = std::fs::metadata(path).map_err(no_file)?.len();
    if length > SCHEMA_BYTES_MAX {
        let most = super::unit::show_size(SCHEMA_BYTES_MAX);
        return Err((format!("is too large: {length} bytes"), format!("at most {most} fit")));
    }
    let bytes = std::fs::read(path).map_err(no_file)?;
    let schema: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| {
        let at = format!("look at {}:{}:{}", path.display(), error.line(), error.column());
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or("");
        (format!("isn't JSON: {what}"), at)
    })?;
    if let Err(error) = Validator::new(&schema) {
        let pointer = &error.pointer;
        let at = if pointer.is_empty() { "its top".to_owned() } else { format!("`{pointer}`") };
        let help = format!("look at {at} in {}", path.display());
        return Err((format!("isn't a JSON Schema: {}", error.message), help));
    }
    Ok(schema)
}

/// An I/O error without its number.
pub(crate) fn reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}
