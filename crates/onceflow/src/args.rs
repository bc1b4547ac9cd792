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
        #[command(flatten)]
        new_key: RawNewKey,
        /// Prints the summary as JSON to standard output
        #[arg(long)]
        json: bool,
        /// For tests: a line to standard error for every batch
        #[arg(long, hide = true)]
        progress_lines: bool,
    },
    /// Opens the broker's front door (SQS and Kinesis over HTTP), and runs pipes, until SIGTERM or
    /// SIGINT
    Serve(Box<RawServe>),
    /// Makes Parquet out of the finished NDJSON files of lakes, now
    Compact {
        /// Files with pipes
        #[arg(required = true, value_name = "PIPE.yaml")]
        pipes: Vec<PathBuf>,
        #[command(flatten)]
        data_dir: RawDataDir,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Says everything that is wrong with config files, and touches nothing
    Check {
        /// Files with pipes
        #[arg(required = true, value_name = "PIPE.yaml")]
        pipes: Vec<PathBuf>,
    },
    /// Prints the JSON Schema of config files, for editors
    Schema,
    /// Makes events out of a description of their types: into a file, a stream or a queue
    Generate(Box<RawGenerate>),
    /// Tries the `tests:` of pipes, with nothing on disk
    Test {
        /// Files with pipes
        #[arg(required = true, value_name = "PIPE.yaml")]
        pipes: Vec<PathBuf>,
        /// As JSON
        #[arg(long)]
        json: bool,
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
    /// Runs pipes in child processes on a copy of their state, kills them and lets their disk fail,
    /// and shows that nothing is lost, twice or miscounted
    Prove(Box<RawProve>),
    /// One life of a proof's pipes
    #[command(hide = true)]
    ProveChild {
        /// What it does, as JSON
        life: String,
    },
    /// What a pipe's source gave: which files, whether they are whole, and once more
    Archive {
        #[command(subcommand)]
        what: Box<RawArchive>,
    },
    /// Events that could not be delivered: look at them, send them again, forget them
    Dead {
        #[command(subcommand)]
        what: Box<crate::dead::args::RawDead>,
    },
    /// What is remembered: everything about one key, figures by scope, and which window is enough
    Dedup {
        #[command(subcommand)]
        what: Box<crate::dedup::args::RawDedup>,
    },
    /// Prints docs/config.md
    #[command(hide = true)]
    ConfigDocs,
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

#[derive(Args, Debug)]
pub(crate) struct RawGenerate {
    /// What the events look like; examples/event_config.yml is one
    #[arg(value_name = "EVENT_CONFIG.yml")]
    pub(crate) config: PathBuf,
    /// How many, duplicates included
    #[arg(long, value_name = "N")]
    pub(crate) events: String,
    /// How many of them are exact copies of an earlier one: 10%
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    pub(crate) duplicates: String,
    /// How many have the key of an earlier one, and another body: 2%
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    pub(crate) duplicates_other_body: String,
    /// How many lie behind with their time: 5%
    #[arg(long, value_name = "SHARE")]
    pub(crate) late: Option<String>,
    /// By how much: 10m
    #[arg(long, value_name = "DURATION")]
    pub(crate) late_by: Option<String>,
    /// The same seed gives the same events
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
    /// So many events a second, evenly; without it as fast as it goes
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<String>,
    /// Where to write them; - is standard output, and the default
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    pub(crate) out: Option<PathBuf>,
    /// How they stand in the file
    #[arg(long, value_enum, default_value_t = RawFormat::Lines)]
    pub(crate) format: RawFormat,
    /// Records in a payload of --format kinesis-lambda; 100 by default
    #[arg(long, value_name = "N")]
    pub(crate) records_per_payload: Option<u64>,
    /// Sends them: stream:NAME or queue:NAME
    #[arg(long, value_name = "WHERE")]
    pub(crate) to: Option<String>,
    /// Who takes them: an address, or `aws`; http://127.0.0.1:4566 by default
    #[arg(long, value_name = "URL|aws")]
    pub(crate) endpoint: Option<String>,
    /// Requests under way at once; 8 by default, 1 keeps the order
    #[arg(long, value_name = "N")]
    pub(crate) connections: Option<usize>,
    /// The field that decides on the shard; by default the key
    #[arg(long, value_name = "FIELD")]
    pub(crate) partition_key: Option<String>,
    /// For how long a failing request is tried again; 30s by default
    #[arg(long, value_name = "DURATION")]
    pub(crate) retry_for: Option<String>,
    /// Writes the key of every event that the service has acknowledged
    #[arg(long, value_name = "FILE")]
    pub(crate) acknowledged: Option<PathBuf>,
    /// Prints the summary as JSON to standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RawArchive {
    /// Lists files: times, events, bytes
    List(RawArchiveWhere),
    /// Reads everything, and names what is damaged
    Verify(RawArchiveWhere),
    /// Sends archived events through the pipe again, marked; around dedup, unless --dedup
    Replay(RawArchiveReplay),
}

#[derive(Args, Debug)]
pub(crate) struct RawArchiveWhere {
    /// The file with the pipe
    #[arg(value_name = "PIPE.yaml")]
    pub(crate) pipes: PathBuf,
    /// Which of its pipes, if there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) pipe: Option<String>,
    #[command(flatten)]
    pub(crate) data_dir: RawDataDir,
    /// Received at this time or later: 2026-11-03T10:15:00Z, 2026-11-03, 90m (ago)
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Received before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RawArchiveReplay {
    #[command(flatten)]
    pub(crate) at: RawArchiveWhere,
    /// Only events that this event pattern (JSON) matches
    #[arg(long, value_name = "PATTERN")]
    pub(crate) filter: Option<String>,
    /// Into this sink of the pipe alone
    #[arg(long, value_name = "NAME", conflicts_with = "all_sinks")]
    pub(crate) to_sink: Option<String>,
    /// Into every sink that takes them
    #[arg(long)]
    pub(crate) all_sinks: bool,
    /// 1 is the original pace, 10 ten times that, max as fast as it goes
    #[arg(long, value_name = "TIMES|max", default_value = "max")]
    pub(crate) speed: String,
    /// Events a second at most
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<String>,
    /// Through dedup, with the time that they had at first: what it knows is a duplicate
    #[arg(long)]
    pub(crate) dedup: bool,
    /// Only says what it would do
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RawProve {
    /// Files with pipes
    #[arg(required = true, value_name = "PIPE.yaml")]
    pub(crate) pipes: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) data_dir: RawDataDir,
    /// Events to feed, one a line; by default they are made after the pipes' own tests
    #[arg(long, value_name = "FILE", conflicts_with = "generate")]
    pub(crate) events: Option<PathBuf>,
    /// A description of events to feed, as `generate` takes it
    #[arg(long, value_name = "EVENT_CONFIG.yml")]
    pub(crate) generate: Option<PathBuf>,
    /// Ends after so many kills, and as many faults as --faults says
    #[arg(long, value_name = "N")]
    pub(crate) kills: Option<u64>,
    /// Ends after so many I/O errors, and as many kills as --kills says
    #[arg(long, value_name = "N")]
    pub(crate) faults: Option<u64>,
    /// Ends after this time; 60s by default where neither --kills nor --faults is given
    #[arg(long, value_name = "DURATION")]
    pub(crate) time: Option<String>,
    /// The same seed makes the same events and goes through the same faults
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Builds a breakage in, which must be found
    #[arg(long, value_name = "NAME")]
    pub(crate) plant: Option<String>,
    /// Keeps the folder in which it worked
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RawFormat {
    /// One event a line
    Lines,
    /// A line is what a Lambda function gets from a Kinesis stream
    KinesisLambda,
}

#[derive(Args, Debug)]
pub(crate) struct RawServe {
    /// Files with pipes
    #[arg(value_name = "PIPE.yaml")]
    pub(crate) pipes: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) data_dir: RawDataDir,
    /// Where to listen; loopback only, port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4566")]
    pub(crate) listen: std::net::SocketAddr,
    #[command(flatten)]
    pub(crate) new_key: RawNewKey,
    /// Another name that requests may use for this host
    #[arg(long, value_name = "NAME")]
    pub(crate) host_name: Vec<String>,
    /// Records a second that a shard takes; 0 for no limits of shards at all
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) shard_records_in_per_s: u32,
    /// Bytes a second that a shard takes
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    pub(crate) shard_bytes_in_per_s: u32,
    /// Reads a second of a shard
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) shard_reads_per_s: u32,
    /// Bytes a second that a shard gives
    #[arg(long, value_name = "BYTES", default_value_t = 2 << 20)]
    pub(crate) shard_bytes_out_per_s: u32,
    /// Connections at once
    #[arg(long, value_name = "N")]
    pub(crate) connections_max: Option<usize>,
    /// Prints the summary as JSON to standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RawNewKey {
    /// The key of a scope is another one now: old keys are looked up as well until they have ended
    #[arg(long)]
    pub(crate) new_key: bool,
    /// The paths of the old key, where the data folder doesn't know them
    #[arg(long, value_name = "PATH,PATH", requires = "new_key", value_delimiter = ',')]
    pub(crate) old_key: Option<Vec<String>>,
    /// Old keys that are remembered for ever are looked up no longer than the others
    #[arg(long, requires = "new_key")]
    pub(crate) forget_old_forever: bool,
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
