//! Where a pipe delivers.

use std::path::PathBuf;
use std::time::Duration;

use event::path::FieldPath;

use super::HttpConfig;
use super::broker_name;
use super::call;
use super::dead_letter;
use super::delivery::{CircuitConfig, DeadLetterConfig, PatternKind, RetryConfig};
use super::envelope;
use super::pattern;
use super::place::Place;
use super::problem::Problems;
use super::retry;
use super::section::{Section, Value};

/// The sink that takes rejected events.
const RESERVED_NAME: &str = "rejected";

/// One place where a pipe delivers.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkConfig {
    /// Its name, unique in the pipe; the kind's name by default.
    pub name: String,
    /// Only events that this pattern takes, as they stand after all transforms; `None`: all.
    pub matches: Option<serde_json::Value>,
    /// When a failed delivery is tried again: the sink's own, else the pipe's.
    pub retry: RetryConfig,
    /// When it counts as down: the sink's own, else the pipe's.
    pub circuit: CircuitConfig,
    /// Where its dead letters go; `None`: where the pipe's do.
    pub dead_letter: Option<DeadLetterConfig>,
    /// What it is.
    pub kind: SinkKind,
}

/// The kinds of sinks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// One NDJSON file.
    File(FileSinkConfig),
    /// Standard output.
    Stdout,
    /// A folder of NDJSON files by minute, and a table of Parquet files.
    Lake(LakeConfig),
    /// An embedded stream.
    Kinesis(KinesisSinkConfig),
    /// An embedded queue.
    Sqs(SqsSinkConfig),
    /// A receiver that is called over HTTP.
    Http(HttpConfig),
}

/// An embedded stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KinesisSinkConfig {
    /// Its name.
    pub stream: String,
    /// Shards of a stream that is made; 1 to 1,000.
    pub shards: u32,
    /// The field that decides on the shard; `None`: the dedup key.
    pub partition_key: Option<FieldPath>,
    /// Output that waits for the broker at most; bytes.
    pub spool_bytes_max: u64,
}

/// An embedded queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqsSinkConfig {
    /// Its name.
    pub queue: String,
    /// Output that waits for the broker at most; bytes.
    pub spool_bytes_max: u64,
}

/// One NDJSON file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSinkConfig {
    /// The file; relative ones start from the config's folder.
    pub path: PathBuf,
    /// Whether content that isn't the ledger's may be appended to.
    pub append: bool,
}

/// A folder of NDJSON files by minute, and a table of Parquet files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeConfig {
    /// The folder; relative ones start from the config's folder.
    pub path: PathBuf,
    /// Which time decides on the folder.
    pub by: LakeTime,
    /// Unfinished files at once; 1 to 65,536.
    pub staging_files_open_max: u64,
    /// A file is finished past this many bytes; 1 MiB to 64 GiB.
    pub staging_file_bytes_max: u64,
    /// How finished files become a table.
    pub table: TableConfig,
}

/// How a lake's finished NDJSON files become Parquet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableConfig {
    /// The folders of the table, from the outside in; each once.
    pub partition: Vec<Partition>,
    /// Whether `run` and `serve` compact by themselves.
    pub automatic: bool,
    /// How often they do; 1 s to 1 d.
    pub every: Duration,
    /// About how large a file may get; 1 MiB to 1 GiB.
    pub file_bytes_target: u64,
    /// Memory for sorting, before rows go to files in between; 16 MiB to 64 GiB.
    pub memory_bytes_max: u64,
    /// Values of partition fields in one day; 1 to 100,000.
    pub partitions_open_max: u64,
}

/// One level of a table's folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Partition {
    /// `year=2026`.
    Year,
    /// `month=11`.
    Month,
    /// `day=02`.
    Day,
    /// A field of the event.
    Field(FieldPath),
}

/// Which time decides on a lake's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LakeTime {
    /// When Onceflow received the event.
    Arrival,
    /// When it happened, by the envelope.
    EventTime,
}

/// A sink, and where the config names it.
#[derive(Debug)]
pub(crate) struct PlacedSink {
    /// The sink.
    pub(crate) config: SinkConfig,
    /// Where its kind stands.
    pub(crate) place: Place,
    /// Where its path stands, or its kind.
    pub(crate) path_place: Place,
    /// Where its `match` stands, or its kind.
    pub(crate) match_place: Place,
    /// Its own `dead_letter`, with its place.
    pub(crate) dead_letter: Option<dead_letter::Placed>,
}

/// What sinks have that say nothing else.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults {
    /// The pipe's `retry`.
    pub(crate) retry: RetryConfig,
    /// The pipe's `circuit`.
    pub(crate) circuit: CircuitConfig,
    /// The pipe's `dead_letter`.
    pub(crate) dead_letter: DeadLetterConfig,
}

/// Builds the sinks; the second value is whether all of them are right.
pub(crate) fn build(
    pipe: &Section,
    defaults: &Defaults,
    problems: &mut Problems<'_>,
) -> (Vec<PlacedSink>, bool) {
    let written: Vec<&Value> = match (pipe.entry("sink"), pipe.entry("sinks")) {
        (Some(sink), Some(sinks)) => {
            let place = sinks.name.unwrap_or(pipe.place).max(sink.name.unwrap_or(pipe.place));
            problems
                .add(place, "a pipe has `sink` or `sinks`, not both")
                .help("put all of them into `sinks`, with `- ` before each");
            return (Vec::new(), false);
        }
        (None, None) => return (Vec::new(), false),
        (Some(_), None) => {
            pipe.entry("sink").map(|entry| &entry.checked.value).into_iter().collect()
        }
        (None, Some(_)) => match pipe.list("sinks") {
            Some(items) => items.iter().map(|item| &item.value).collect(),
            None => return (Vec::new(), false),
        },
    };
    let mut sinks: Vec<PlacedSink> = Vec::new();
    let mut complete = true;
    for value in written {
        let sink = match value {
            Value::Section(section) => one(pipe, section, defaults, problems),
            _ => None,
        };
        let Some(sink) = sink else {
            complete = false;
            continue;
        };
        check_name(&sinks, &sink, problems);
        sinks.push(sink);
    }
    (sinks, complete)
}

fn check_name(sinks: &[PlacedSink], sink: &PlacedSink, problems: &mut Problems<'_>) {
    let name = &sink.config.name;
    if let Some(first) = sinks.iter().find(|other| other.config.name == *name) {
        problems.add(sink.place, format!("a second sink is called `{name}`")).help(format!(
            "the first is in line {}; give this one a name of its own: `name: {name}-2`",
            first.place.line
        ));
    }
}

fn one(
    pipe: &Section,
    sink: &Section,
    defaults: &Defaults,
    problems: &mut Problems<'_>,
) -> Option<PlacedSink> {
    let entry = sink.entries.first()?;
    let section = sink.section(entry.key.name)?;
    let path = section.table.key("path").and_then(|_| section.text("path"));
    let path_place = if path.is_some() { section.place_of("path") } else { section.place };
    let kind = match entry.key.name {
        "file" => file(section, path?, path_place, problems),
        "lake" => lake(pipe, section, path?, problems),
        "kinesis" => kinesis(section, problems),
        "sqs" => sqs(section, problems),
        "http" => call::sink(section, problems).map(SinkKind::Http),
        _ => Some(SinkKind::Stdout),
    };
    let matches = section
        .entry("match")
        .map(|_| pattern::build(section, "match", PatternKind::EventBridge, problems));
    let dead_letter = dead_letter::of_sink(pipe, section, &defaults.dead_letter, problems);
    let name = match section.entry("name") {
        Some(_) => section.text("name")?.to_owned(),
        None => entry.key.name.to_owned(),
    };
    let place = entry.name.unwrap_or(section.place);
    if name == RESERVED_NAME {
        problems
            .add(section.place_of("name"), format!("a sink can't be called `{name}`"))
            .help("that is the name of the sink for rejected events");
        return None;
    }
    let dead_letter = dead_letter?;
    let (retry, circuit) = if entry.key.name == "http" {
        (
            retry::of_sink(section, defaults.retry)?,
            retry::circuit_of_sink(section, defaults.circuit)?,
        )
    } else {
        (defaults.retry, defaults.circuit)
    };
    // A pattern that is wrong must not leave a sink that takes everything.
    let matches = match matches {
        Some(pattern) => Some(pattern?),
        None => None,
    };
    Some(PlacedSink {
        config: SinkConfig {
            name,
            matches,
            retry,
            circuit,
            dead_letter: dead_letter.as_ref().map(|placed| placed.config.clone()),
            kind: kind?,
        },
        place,
        path_place,
        match_place: section.name_of("match"),
        dead_letter,
    })
}

fn file(
    section: &Section,
    path: &str,
    place: Place,
    problems: &mut Problems<'_>,
) -> Option<SinkKind> {
    if path == "-" {
        problems
            .add(place, "a file sink writes to a file, not to standard output")
            .help("write `stdout` in place of `file: { path: \"-\" }`");
        return None;
    }
    if path.ends_with('/') {
        problems
            .add(place, "this is a folder, but the file sink writes one file")
            .help("name a file, or use `lake: { path: … }`");
        return None;
    }
    let ending = path.rsplit('.').next().unwrap_or("");
    if matches!(ending, "gz" | "zst" | "parquet") {
        problems
            .add(
                place,
                format!("the file sink writes plain NDJSON, but the name ends in `.{ending}`"),
            )
            .help("name it `….ndjson`; other forms aren't built yet");
        return None;
    }
    let path = problems.source.base_dir.join(path);
    Some(SinkKind::File(FileSinkConfig { path, append: section.flag("append")? }))
}

fn lake(
    pipe: &Section,
    section: &Section,
    path: &str,
    problems: &mut Problems<'_>,
) -> Option<SinkKind> {
    let by = match section.word("by")? {
        "event_time" => {
            if !envelope::names(pipe, "time") {
                problems
                    .add(section.place_of("by"), "`by: event_time` needs `envelope.time`")
                    .help(
                        "add `envelope: { time: $.created_at }` with the field that holds the time",
                    );
                return None;
            }
            LakeTime::EventTime
        }
        _ => LakeTime::Arrival,
    };
    let table = table(section, problems)?;
    Some(SinkKind::Lake(LakeConfig {
        path: problems.source.base_dir.join(path),
        by,
        staging_files_open_max: section.count("staging_files_open_max")?,
        staging_file_bytes_max: section.count("staging_file_bytes_max")?,
        table,
    }))
}

fn table(section: &Section, problems: &mut Problems<'_>) -> Option<TableConfig> {
    let mut partition = Vec::new();
    for item in section.list("partition")? {
        let Value::Text(text) = &item.value else { return None };
        let level = match text.as_str() {
            "year" => Partition::Year,
            "month" => Partition::Month,
            "day" => Partition::Day,
            field => {
                let path =
                    if field.starts_with('$') { field.to_owned() } else { format!("$.{field}") };
                match FieldPath::parse(&path) {
                    Ok(path) => Partition::Field(path),
                    Err(error) => {
                        problems
                            .add(item.place, format!("`{field}` is no field: {error}"))
                            .help("write `year`, `month`, `day`, or a field like `user.country`");
                        return None;
                    }
                }
            }
        };
        if partition.contains(&level) {
            problems.add(item.place, format!("`{text}` stands here twice")).help("keep one");
            return None;
        }
        partition.push(level);
    }
    Some(TableConfig {
        partition,
        automatic: section.word("compact")? == "auto",
        every: section.duration("compact_every")?,
        file_bytes_target: section.count("compact_file_bytes_target")?,
        memory_bytes_max: section.count("compact_memory_bytes_max")?,
        partitions_open_max: section.count("partitions_open_max")?,
    })
}

fn kinesis(section: &Section, problems: &mut Problems<'_>) -> Option<SinkKind> {
    let partition_key = match section.entry("partition_key") {
        Some(_) => Some(section.path("partition_key")?.clone()),
        None => None,
    };
    Some(SinkKind::Kinesis(KinesisSinkConfig {
        stream: broker_name::stream(section, problems)?,
        shards: u32::try_from(section.count("shards")?).ok()?,
        partition_key,
        spool_bytes_max: section.count("spool_bytes_max")?,
    }))
}

fn sqs(section: &Section, problems: &mut Problems<'_>) -> Option<SinkKind> {
    Some(SinkKind::Sqs(SqsSinkConfig {
        queue: broker_name::queue(section, problems)?,
        spool_bytes_max: section.count("spool_bytes_max")?,
    }))
}
