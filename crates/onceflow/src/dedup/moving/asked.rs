//! What an import was asked to do: plain values, since the owner of the data folder may be another
//! process.

use std::path::{Path, PathBuf};

use pipe::config::{ClockChoice, PipeConfig, TimeFormat};
use pipe::types::Windows;
use serde::{Deserialize, Serialize};

use super::args::{FileFormat, RawImport, TextAs};
use crate::commands::load;
use crate::dedup::simulate::Fields;
use crate::exit::Failure;
use crate::generate::duration;
use event::path::FieldPath;

/// What to import, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) file: Option<PathBuf>,
    pub(crate) lakes: Vec<PathBuf>,
    pub(crate) scope: Option<String>,
    pub(crate) format: FileFormat,
    pub(crate) config: Option<PathBuf>,
    pub(crate) pipe: Option<String>,
    pub(crate) fields: Vec<String>,
    pub(crate) type_field: Option<String>,
    pub(crate) time_field: Option<String>,
    pub(crate) time_format: String,
    pub(crate) window_ms: Option<i64>,
    pub(crate) across_types: bool,
    pub(crate) key_pattern: String,
    pub(crate) text_as: TextAs,
    pub(crate) hold_ms: Option<i64>,
    pub(crate) take_over: bool,
}

impl Asked {
    /// Checks what was typed. Paths are made absolute: another process may read them.
    pub(super) fn new(raw: &RawImport) -> Result<Asked, Failure> {
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let ms = |option, text: &Option<String>| {
            text.as_ref().map(|text| duration(option, text)).transpose()
        };
        let millis =
            |length: std::time::Duration| i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        Ok(Asked {
            file: raw.file.as_ref().map(absolute),
            lakes: raw.from_lake.iter().map(absolute).collect(),
            scope: raw.scope.clone(),
            format: raw.format,
            config: raw.config.as_ref().map(absolute),
            pipe: raw.pipe.clone(),
            fields: raw.fields.clone(),
            type_field: raw.type_field.clone(),
            time_field: raw.time_field.clone(),
            time_format: raw.time_format.clone(),
            window_ms: ms("--window", &raw.window)?.map(millis),
            across_types: raw.across_types,
            key_pattern: raw.key_pattern.clone(),
            text_as: raw.text_as,
            hold_ms: ms("--hold", &raw.hold)?.map(millis),
            take_over: raw.take_over,
        })
    }

    /// What the file is, by its beginning where nothing was said.
    pub(super) fn format_of(&self, file: &Path) -> Result<FileFormat, Failure> {
        if self.format != FileFormat::Auto {
            return Ok(self.format);
        }
        let mut head = [0; 64];
        let opened = std::fs::File::open(file);
        let read = opened.and_then(|file| std::os::unix::fs::FileExt::read_at(&file, &mut head, 0));
        let read = read.map_err(|error| super::taker::unreadable(file, error))?;
        let head = head.get(..read).unwrap_or_default();
        let text = head.strip_prefix(b"# ").unwrap_or(head);
        Ok(if head.starts_with(b"REDIS") {
            FileFormat::Rdb
        } else if text.starts_with(b"{\"onceflow_export\"") {
            FileFormat::Export
        } else if head.first() == Some(&b'{') {
            FileFormat::Ndjson
        } else {
            FileFormat::Csv
        })
    }

    /// How keys are made and how long they are remembered, as a pipe or the options say.
    pub(super) fn made(&self) -> Result<Made, Failure> {
        let config = self.config.as_ref().map(|path| the_pipe(path, self.pipe.as_deref()));
        let config = config.transpose()?;
        let path = |option: &str, text: &String| {
            FieldPath::parse(text).map_err(|error| Failure::usage(format!("{option}: {error}")))
        };
        let mut made = match &config {
            Some(config) => Made::of(config)?,
            None => Made::default(),
        };
        if !self.fields.is_empty() {
            let fields = self.fields.iter().map(|text| path("--fields", text));
            made.key = fields.collect::<Result<_, _>>()?;
            if config.is_none() {
                made.across_types = self.across_types;
            }
        }
        if let Some(text) = &self.type_field {
            made.event_type = Some(path("--type-field", text)?);
        }
        if let Some(text) = &self.time_field {
            let format = self.time_format.as_str();
            let known = pipe::stage::time::TIME_FORMATS.into_iter().find(|f| f.name() == format);
            let known = known.ok_or_else(|| {
                Failure::usage(format!("--time-format: there is no format `{format}`"))
            })?;
            made.time = Some((path("--time-field", text)?, known));
        }
        if let Some(window_ms) = self.window_ms {
            made.windows = Some(Windows::new(window_ms, &[]));
        }
        Ok(made)
    }
}

/// How keys are made.
#[derive(Default)]
pub(super) struct Made {
    pub(super) scope: Option<String>,
    pub(super) key: Vec<FieldPath>,
    pub(super) event_type: Option<FieldPath>,
    pub(super) time: Option<(FieldPath, TimeFormat)>,
    pub(super) across_types: bool,
    pub(super) windows: Option<Windows>,
    pub(super) clock: Option<ClockChoice>,
}

impl Made {
    fn of(config: &PipeConfig) -> Result<Made, Failure> {
        let fields = Fields::of(config)?;
        let dedup = config.dedup.as_ref();
        Ok(Made {
            scope: dedup.map(|dedup| dedup.scope.clone()),
            key: fields.key,
            event_type: fields.event_type,
            time: fields.time,
            across_types: fields.across_types,
            windows: dedup.map(pipe::plan::windows_of),
            clock: dedup.map(|dedup| dedup.clock),
        })
    }

    /// Number of fields and whether the type is left out, where that was said.
    pub(super) fn definition(&self) -> Option<(u32, bool)> {
        let fields = u32::try_from(self.key.len()).ok().filter(|fields| *fields > 0)?;
        Some((fields, self.across_types))
    }
}

fn the_pipe(path: &Path, name: Option<&str>) -> Result<PipeConfig, Failure> {
    let configs = load(&[path.to_path_buf()])?;
    crate::replay::the_pipe(&configs, name).cloned()
}
