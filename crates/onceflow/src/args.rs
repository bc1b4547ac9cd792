//! The command line as it was typed. [`crate::command`] checks it; nothing after that sees this.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

/// Lets each event through once, and lands it in a lake or passes it on.
#[derive(Debug, Parser)]
#[command(name = "onceflow", version, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 usage or config, 3 data folder, \
                        4 source or sink, 5 storage failed while running, 6 counts don't balance. \
                        More in docs/cli.md.")]
pub(crate) struct RawArgs {
    #[command(flatten)]
    pub(crate) global: RawGlobal,
    #[command(subcommand)]
    pub(crate) command: RawCommand,
}

#[derive(Args, Debug)]
pub(crate) struct RawGlobal {
    /// Logs more: -v what happens, -vv details of it
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// How logs are written to standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text, global = true)]
    pub(crate) log_format: LogFormat,
    /// For tests: the clock is off by as many milliseconds as this file says, read again when it
    /// changes
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) test_clock: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RawCommand {
    /// Runs pipes until their sources end, or until SIGTERM or SIGINT
    Run {
        /// Files with pipes
        #[arg(required = true, value_name = "PIPE.yaml")]
        pipes: Vec<PathBuf>,
        #[command(flatten)]
        data_dir: RawDataDir,
        /// Reads files from their start again; what was delivered is recognised
        #[arg(long)]
        reread: bool,
        /// Prints the summary as JSON to standard output
        #[arg(long)]
        json: bool,
        /// For the demo: a line to standard error for every batch
        #[arg(long, hide = true)]
        progress_lines: bool,
    },
    /// Says everything that is wrong with config files, and touches nothing
    Check {
        /// Files with pipes
        #[arg(required = true, value_name = "PIPE.yaml")]
        pipes: Vec<PathBuf>,
    },
    /// Prints the JSON Schema of config files, for editors
    Schema,
    /// Makes events out of a description of their types
    Generate {
        /// What the events look like; examples/event_config.yml is one
        #[arg(value_name = "EVENT_CONFIG.yml")]
        config: PathBuf,
        /// How many, duplicates included
        #[arg(long, value_name = "N")]
        events: String,
        /// How many of them are exact copies of an earlier one: 10%
        #[arg(long, value_name = "SHARE", default_value = "0%")]
        duplicates: String,
        /// The same seed gives the same events
        #[arg(long, value_name = "NUMBER", default_value_t = 1)]
        seed: u64,
        /// Where to write them; - is standard output
        #[arg(long, value_name = "FILE", default_value = "-")]
        out: PathBuf,
    },
    /// Says what happened: events by outcome and type, storage, conservation
    Report {
        /// Files with pipes: their data folder is shown
        #[arg(value_name = "PIPE.yaml")]
        pipes: Vec<PathBuf>,
        #[command(flatten)]
        data_dir: RawDataDir,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Shows events of a running pipe as they settle, one JSON object a line
    Tap {
        /// Files with pipes: their data folder is looked at
        #[arg(value_name = "PIPE.yaml")]
        pipes: Vec<PathBuf>,
        #[command(flatten)]
        data_dir: RawDataDir,
        /// Only of this pipe
        #[arg(long)]
        pipe: Option<String>,
        /// Only with this outcome
        #[arg(long, value_enum)]
        outcome: Option<RawOutcome>,
        /// Ends after so many events
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Runs the main job on real events, kills itself in the middle, and shows what happened
    Demo {
        /// Where to work, about 1 GiB; the default is onceflow/demo in the user's cache folder
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Generated app events
        #[arg(long, value_name = "N", default_value = "1000000")]
        events: String,
    },
    /// Prints docs/config.md
    #[command(hide = true)]
    ConfigDocs,
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

#[derive(Args, Debug)]
pub(crate) struct RawDataDir {
    /// Where state lives; the default is onceflow-data next to the first config
    #[arg(long, value_name = "DIR", env = "ONCEFLOW_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RawOutcome {
    /// It is in every sink that should have it
    Delivered,
    /// Its key is remembered
    Duplicate,
    /// The filter didn't want it
    Filtered,
    /// It broke a rule; it is whole in the rejected file
    Rejected,
    /// It could not be delivered
    Dead,
    /// It was given back to its source
    Returned,
}
