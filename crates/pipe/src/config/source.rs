//! Where a pipe reads, and how payloads are unwrapped.

use std::path::PathBuf;
use std::time::Duration;

use super::broker_name;
use super::problem::Problems;
use super::section::{Section, Value};
use crate::stage::decode::DecodeStep;

/// Where a pipe reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceConfig {
    /// Files or standard input.
    File(FileSourceConfig),
    /// A stream.
    Kinesis(KinesisSourceConfig),
    /// A queue.
    Sqs(SqsSourceConfig),
}

impl SourceConfig {
    /// The largest event, in bytes; 1 KiB to 64 MiB.
    #[must_use]
    pub const fn event_bytes_max(&self) -> u64 {
        match self {
            Self::File(file) => file.event_bytes_max,
            Self::Kinesis(kinesis) => kinesis.event_bytes_max,
            Self::Sqs(sqs) => sqs.event_bytes_max,
        }
    }

    /// Whether it, or what stands behind it, is the embedded broker.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Kinesis(kinesis) => kinesis.endpoint == Endpoint::Embedded,
            Self::Sqs(sqs) => sqs.endpoint == Endpoint::Embedded,
        }
    }
}

/// Which broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// That of the data folder.
    Embedded,
    /// The cloud's.
    Aws {
        /// `None`: that of the environment.
        region: Option<String>,
    },
    /// Whoever speaks the protocol at this address.
    Url {
        /// `http://…` or `https://…`.
        url: String,
        /// `None`: that of the environment, else `us-east-1`.
        region: Option<String>,
    },
}

/// Records of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KinesisSourceConfig {
    /// The stream's name: 1 to 128 letters, digits, `_`, `-` and `.`.
    pub stream: String,
    /// Shards of an embedded stream that is made; 1 to 1,000.
    pub shards: u32,
    /// Where to begin in a shard that the pipe hasn't read before.
    pub start: StreamStart,
    /// Which broker.
    pub endpoint: Endpoint,
    /// The largest event; bytes.
    pub event_bytes_max: u64,
}

/// Where to begin in a shard that the pipe hasn't read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamStart {
    /// With the oldest record.
    TrimHorizon,
    /// With the first record that comes after the start.
    Latest,
    /// With the first record that came then or later; ms since the Unix epoch.
    AtTimestamp(i64),
}

/// Messages of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqsSourceConfig {
    /// The queue's name: 1 to 80 letters, digits, `_` and `-`.
    pub queue: String,
    /// Which broker.
    pub endpoint: Endpoint,
    /// Behind an endpoint: for how long a message is hidden before its next renewal; 10 s to 12 h.
    pub visibility_timeout: Duration,
    /// Behind an endpoint: how long an id is remembered after its delete; 1 min to 14 d.
    pub redelivery_memory: Duration,
    /// Message ids that are remembered at most.
    pub message_ids_max: u64,
    /// The largest event; bytes.
    pub event_bytes_max: u64,
}

/// Files or standard input, one event per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSourceConfig {
    /// The path as it was written.
    pub path: String,
    /// What it stands for.
    pub paths: FilePattern,
    /// How the files are compressed.
    pub compression: Compression,
    /// The largest event, in bytes of its line; 1 KiB to 64 MiB.
    pub event_bytes_max: u64,
}

/// Which files a source reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilePattern {
    /// One file; relative ones start from the config's folder.
    Path(PathBuf),
    /// All files that match a valid pattern of the `glob` crate. The config's folder stands in
    /// front of it, escaped.
    Glob(String),
    /// Standard input.
    Stdin,
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// By its name: `.gz`, `.zst`, else not.
    Auto,
    /// Not.
    None,
    /// Gzip, possibly several members.
    Gzip,
    /// Zstandard, possibly several frames.
    Zstd,
}

/// Builds the source.
pub(crate) fn build(pipe: &Section, problems: &mut Problems<'_>) -> Option<SourceConfig> {
    let source = pipe.section("source")?;
    match source.entries.first()?.key.name {
        "kinesis" => kinesis(source.section("kinesis")?, problems),
        "sqs" => sqs(source.section("sqs")?, problems),
        _ => file(source.section("file")?, problems),
    }
}

fn kinesis(section: &Section, problems: &mut Problems<'_>) -> Option<SourceConfig> {
    let stream = broker_name::stream(section, problems);
    let start = start(section, problems);
    let endpoint = endpoint(section, problems);
    Some(SourceConfig::Kinesis(KinesisSourceConfig {
        stream: stream?,
        shards: u32::try_from(section.count("shards")?).ok()?,
        start: start?,
        endpoint: endpoint?,
        event_bytes_max: section.count("event_bytes_max")?,
    }))
}

fn start(section: &Section, problems: &mut Problems<'_>) -> Option<StreamStart> {
    let word = section.word("start")?;
    let written = section.entry("timestamp").is_some();
    match (word, written) {
        ("at_timestamp", true) => {
            let text = section.text("timestamp")?;
            if let Ok(time) = text.parse::<jiff::Timestamp>() {
                return Some(StreamStart::AtTimestamp(time.as_millisecond()));
            }
            problems
                .add(section.place_of("timestamp"), format!("`{text}` isn't a time"))
                .help("write it like `2026-11-02T10:15:00Z`");
            None
        }
        ("at_timestamp", false) => {
            problems
                .add(section.place_of("start"), "`start: at_timestamp` needs `timestamp`")
                .help("add `timestamp: 2026-11-02T10:15:00Z`");
            None
        }
        (_, true) => {
            problems
                .add(section.place_of("timestamp"), format!("`start: {word}` takes no `timestamp`"))
                .help("take it out, or write `start: at_timestamp`");
            None
        }
        ("latest", false) => Some(StreamStart::Latest),
        _ => Some(StreamStart::TrimHorizon),
    }
}

fn sqs(section: &Section, problems: &mut Problems<'_>) -> Option<SourceConfig> {
    let queue = broker_name::queue(section, problems);
    let endpoint = endpoint(section, problems);
    Some(SourceConfig::Sqs(SqsSourceConfig {
        queue: queue?,
        endpoint: endpoint?,
        visibility_timeout: section.duration("visibility_timeout")?,
        redelivery_memory: section.duration("redelivery_memory")?,
        message_ids_max: section.count("message_ids_max")?,
        event_bytes_max: section.count("event_bytes_max")?,
    }))
}

/// Builds `endpoint` and `region`.
fn endpoint(section: &Section, problems: &mut Problems<'_>) -> Option<Endpoint> {
    let region = match section.entry("region") {
        Some(_) => Some(section.text("region")?.to_owned()),
        None => None,
    };
    if section.entry("endpoint").is_none() {
        if region.is_some() {
            problems
                .add(section.place_of("region"), "the embedded broker has no region")
                .help("take it out, or add `endpoint: aws`");
            return None;
        }
        return Some(Endpoint::Embedded);
    }
    let text = section.text("endpoint")?;
    if text == "aws" {
        return Some(Endpoint::Aws { region });
    }
    if is_address(text) {
        return Some(Endpoint::Url { url: text.trim_end_matches('/').to_owned(), region });
    }
    problems
        .add(section.place_of("endpoint"), format!("`{text}` is no endpoint"))
        .help("write `aws`, or an address like `http://127.0.0.1:4566`");
    None
}

/// Whether a text is an `http` or `https` address with a host.
pub(crate) fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !text.contains(' '))
}

fn file(file: &Section, problems: &mut Problems<'_>) -> Option<SourceConfig> {
    let paths = file_pattern(file, problems);
    let compression = match file.word("compression")? {
        "none" => Compression::None,
        "gzip" => Compression::Gzip,
        "zstd" => Compression::Zstd,
        _ => Compression::Auto,
    };
    Some(SourceConfig::File(FileSourceConfig {
        path: file.text("path")?.to_owned(),
        paths: paths?,
        compression,
        event_bytes_max: file.count("event_bytes_max")?,
    }))
}

fn file_pattern(file: &Section, problems: &mut Problems<'_>) -> Option<FilePattern> {
    let written = file.text("path")?;
    if written == "-" {
        return Some(FilePattern::Stdin);
    }
    let path = problems.source.base_dir.join(written);
    if !written.contains(['*', '?', '[']) {
        return Some(FilePattern::Path(path));
    }
    let place = file.place_of("path");
    if let Err(error) = glob::Pattern::new(written) {
        let place = problems.source.inside(place, written, error.pos, 1);
        problems
            .add(place, format!("this pattern can't be read: {}", error.msg))
            .help("`*`, `?`, `[a-z]` and `**` are patterns; `[[]` stands for a plain `[`");
        return None;
    }
    let Some(base) = problems.source.base_dir.to_str() else {
        let message = "a pattern needs a folder whose name is UTF-8, this config's isn't";
        problems.add(place, message).help("move the config, or name one file");
        return None;
    };
    let escaped = PathBuf::from(glob::Pattern::escape(base)).join(written);
    escaped.to_str().map(|pattern| FilePattern::Glob(pattern.to_owned()))
}

/// Builds the decode steps.
pub(crate) fn decode(pipe: &Section, problems: &mut Problems<'_>) -> Option<Vec<DecodeStep>> {
    let items = pipe.list("decode")?;
    let mut steps = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Value::Word(word) = item.value else { return None };
        let last = index + 1 == items.len();
        if word == "json" && !last {
            problems
                .add(item.place, "`json` must be the last step of `decode`")
                .help("what stands after it would have nothing to unwrap");
            return None;
        }
        if last && word != "json" {
            problems
                .add(item.place, format!("`decode` ends with `{word}`, but must end with `json`"))
                .help("add `json`: the other formats aren't built yet");
            return None;
        }
        steps.push(match word {
            "url" => DecodeStep::Url,
            "base64" => DecodeStep::Base64,
            "gzip" => DecodeStep::Gzip,
            "zstd" => DecodeStep::Zstd,
            _ => DecodeStep::Json,
        });
    }
    Some(steps)
}
