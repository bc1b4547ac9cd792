//! `dedup export|import` as they were typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::args::RawDataDir;

/// Which keys, and where to.
#[derive(Args, Debug)]
pub(crate) struct RawExport {
    /// Files with pipes: their data folder is read
    #[arg(value_name = "PIPE.yaml")]
    pub(crate) pipes: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) data_dir: RawDataDir,
    /// The scope, if there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) scope: Option<String>,
    /// Where to write; - is standard output, and the default
    #[arg(long, value_name = "FILE|-")]
    pub(crate) out: Option<PathBuf>,
    /// How keys are written
    #[arg(long, value_enum, default_value_t = RawForm::Ndjson)]
    pub(crate) format: RawForm,
}

/// How keys are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RawForm {
    /// One JSON object a line
    Ndjson,
    /// Comma-separated
    Csv,
}

/// Which keys, and where they come from.
#[derive(Args, Debug)]
pub(crate) struct RawImport {
    /// An export of ours, key values or events one a line (NDJSON, or CSV with a line of names), or
    /// a Redis dump
    #[arg(
        value_name = "FILE",
        required_unless_present = "from_lake",
        conflicts_with = "from_lake"
    )]
    pub(crate) file: Option<PathBuf>,
    /// Lakes whose rows' keys are remembered
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub(crate) from_lake: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) data_dir: RawDataDir,
    /// The scope; by default that of the export, of the lake or of the pipe
    #[arg(long, value_name = "NAME")]
    pub(crate) scope: Option<String>,
    /// What the file is
    #[arg(long, value_enum, default_value_t = FileFormat::Auto)]
    pub(crate) format: FileFormat,
    /// Takes fields, windows and clock from a pipe
    #[arg(long, value_name = "PIPE.yaml")]
    pub(crate) config: Option<PathBuf>,
    /// Which of its pipes, if there are several
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(crate) pipe: Option<String>,
    /// The key's fields in each line, in their order
    #[arg(long, value_name = "PATH,PATH", value_delimiter = ',')]
    pub(crate) fields: Vec<String>,
    /// The event's type in each line
    #[arg(long, value_name = "PATH")]
    pub(crate) type_field: Option<String>,
    /// The key's time in each line; without one it is now
    #[arg(long, value_name = "PATH")]
    pub(crate) time_field: Option<String>,
    /// How that time is written: rfc3339, epoch_seconds, epoch_millis
    #[arg(long, value_name = "FORMAT", default_value = "rfc3339")]
    pub(crate) time_format: String,
    /// How long the keys are remembered, from their time on; a pipe says it by type
    #[arg(long, value_name = "DURATION")]
    pub(crate) window: Option<String>,
    /// Keys of a new scope leave out the event's type
    #[arg(long)]
    pub(crate) across_types: bool,
    /// What a key of a Redis dump looks like: event:{key}, {type}:{key}, {a}:{b} for two fields
    #[arg(long, value_name = "PATTERN", default_value = "{key}")]
    pub(crate) key_pattern: String,
    /// What key fields are that stand as text in a dump or in CSV
    #[arg(long, value_enum, default_value_t = TextAs::String)]
    pub(crate) text_as: TextAs,
    /// Remembers every key for so long from now at least, whatever its window
    #[arg(long, value_name = "DURATION")]
    pub(crate) hold: Option<String>,
    /// The lakes are this data folder's from now on: their own is lost
    #[arg(long, requires = "from_lake")]
    pub(crate) take_over: bool,
    /// Only says what it would do
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileFormat {
    /// Told by its beginning
    Auto,
    /// An export of ours
    Export,
    /// One JSON object a line
    Ndjson,
    /// Comma-separated, with a line of names
    Csv,
    /// A Redis dump, as BGSAVE writes it
    Rdb,
}

/// What text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TextAs {
    /// A string
    String,
    /// A number
    Number,
}
