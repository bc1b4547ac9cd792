//! `dedup …` as it was typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::moving::args::{RawExport, RawImport};
use crate::args::RawDataDir;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum RawDedup {
    /// Shows everything that is known of one key: when it came first and again, and until when it
    /// is remembered
    Explain(Box<RawExplain>),
    /// Shows keys, memory, disk and duplicates, by scope
    Stats(RawStats),
    /// Writes all keys that a scope remembers; with its secret, so keep the file as you keep the
    /// data folder
    Export(Box<RawExport>),
    /// Remembers keys from elsewhere: an export, key values, a Redis dump, lakes
    Import(Box<RawImport>),
    /// Shows what other windows would have caught, from archived events
    Simulate(Box<RawSimulate>),
}

/// Which key, and where to look.
#[derive(Args, Debug)]
pub(crate) struct RawExplain {
    /// The key's fields in the order of the config, each a value or `field=value`; or the 32
    /// hexadecimal digits of its hash, as sidecars show it
    #[arg(value_name = "KEY", required_unless_present = "event", conflicts_with = "event")]
    pub(crate) key: Vec<String>,
    /// A file with a whole payload, of which the pipe's config makes the key; - is standard input
    #[arg(long, value_name = "FILE|-")]
    pub(crate) event: Option<PathBuf>,
    /// A file with pipes: names of the key's fields, lakes and archives to look into
    #[arg(long, value_name = "PIPE.yaml")]
    pub(crate) config: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) data_dir: RawDataDir,
    /// The pipe whose key it is
    #[arg(long, value_name = "NAME", conflicts_with = "scope")]
    pub(crate) pipe: Option<String>,
    /// The scope whose key it is
    #[arg(long, value_name = "NAME")]
    pub(crate) scope: Option<String>,
    /// The event's type; without it all types that the scope has seen are tried
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_type: Option<String>,
    /// A lake to look into
    #[arg(long, value_name = "DIR")]
    pub(crate) lake: Vec<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which scopes.
#[derive(Args, Debug)]
pub(crate) struct RawStats {
    /// Files with pipes: their data folder is shown
    #[arg(value_name = "PIPE.yaml")]
    pub(crate) pipes: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) data_dir: RawDataDir,
    /// Only this scope
    #[arg(long, value_name = "NAME")]
    pub(crate) scope: Option<String>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to simulate.
#[derive(Args, Debug)]
pub(crate) struct RawSimulate {
    /// Archive folders and files, NDJSON files, plain or compressed (.gz, .zst); globs
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) archive: Vec<String>,
    /// A field of the key; several make one key, in this order
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub(crate) key: Vec<String>,
    /// The event's type; without it all events are of one type
    #[arg(long = "type", value_name = "PATH", conflicts_with = "config")]
    pub(crate) event_type: Option<String>,
    /// The event's time; without it the time of receipt that the archive says
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub(crate) time: Option<String>,
    /// How that time is written: rfc3339, epoch_seconds, epoch_millis
    #[arg(long, value_name = "FORMAT", default_value = "rfc3339")]
    pub(crate) format: String,
    /// Takes key, type and time from a pipe
    #[arg(long, value_name = "PIPE.yaml")]
    pub(crate) config: Option<PathBuf>,
    /// Which of its pipes, if there are several; and whose events, in an archive of several
    #[arg(long, value_name = "NAME")]
    pub(crate) pipe: Option<String>,
    /// The windows to compare; `forever` is one
    #[arg(long, value_name = "LIST", default_value = "1m,5m,1h,1d")]
    pub(crate) windows: String,
    /// A duplicate prolongs its key, as with `refresh: true`
    #[arg(long)]
    pub(crate) refresh: bool,
    /// Memory for the keys of all windows together
    #[arg(long, value_name = "BYTES", default_value = "2GiB")]
    pub(crate) memory_bytes_max: String,
    /// Draws the curves into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}
