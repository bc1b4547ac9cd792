//! When a batch closes, and what keeps a pipe bounded.

use std::path::PathBuf;
use std::time::Duration;

use super::problem::Problems;
use super::section::Section;
use super::unit;

/// When a batch closes: whichever bound comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchConfig {
    /// Bytes; 64 KiB to 256 MiB.
    pub bytes_max: u64,
    /// Events; 1 to 1,000,000.
    pub events_max: u64,
    /// How long a batch waits for more events after its first; 1 ms to 60 s.
    pub interval_max: Duration,
}

/// Where rejected events are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectedConfig {
    /// The file; `None` is `rejected/<pipe>.ndjson` in the data folder.
    pub path: Option<PathBuf>,
}

/// What keeps a pipe bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Events that wait to be settled, before the source pauses.
    pub unsettled_events_max: u64,
    /// Their bytes, before the source pauses; at least the largest event.
    pub unsettled_bytes_max: u64,
    /// An event that is unsettled for longer is parked: kept whole in the ledger.
    pub park_after: Duration,
    /// Bytes of parked events, past which the source pauses.
    pub parked_bytes_max: u64,
    /// Dead events whose keys are kept, past which the pipe stops.
    pub dead_letters_max: u64,
    /// Event types with counters of their own; further ones count as `other`.
    pub types_max: u64,
    /// Minutes that the ledger counts one by one.
    pub counter_minutes_max: u64,
    /// Bytes of sightings that the data folder keeps; the largest of its pipes' values holds. 0:
    /// none.
    pub sightings_bytes_max: u64,
    /// The report warns past this many bytes written; `None`: never.
    pub storage_bytes_max: Option<u64>,
    /// How long a stopping run may settle what is in flight.
    pub drain_max: Duration,
}

/// Builds `batch`.
pub(crate) fn batch(pipe: &Section) -> Option<BatchConfig> {
    let queue = pipe.section("source")?.entry("sqs").is_some();
    // A queue's messages are deleted one by one, and somebody waits for them (DESIGN §3).
    let default = if queue {
        BatchConfig {
            bytes_max: 1 << 20,
            events_max: 10_000,
            interval_max: Duration::from_millis(50),
        }
    } else {
        BatchConfig {
            bytes_max: 16 << 20,
            events_max: 65_536,
            interval_max: Duration::from_millis(200),
        }
    };
    let Some(section) = pipe.section("batch") else { return Some(default) };
    let count = |key: &str, default: u64| match section.entry(key) {
        Some(_) => section.count(key),
        None => Some(default),
    };
    Some(BatchConfig {
        bytes_max: count("bytes_max", default.bytes_max)?,
        events_max: count("events_max", default.events_max)?,
        interval_max: match section.entry("interval_max") {
            Some(_) => section.duration("interval_max")?,
            None => default.interval_max,
        },
    })
}

/// Builds `rejected`.
pub(crate) fn rejected(pipe: &Section, problems: &mut Problems<'_>) -> Option<RejectedConfig> {
    if pipe.entry("rejected").is_none() {
        return Some(RejectedConfig::default());
    }
    let section = pipe.section("rejected")?;
    if section.entry("path").is_none() {
        return Some(RejectedConfig::default());
    }
    let path = section.text("path")?;
    if path == "-" || path.ends_with('/') {
        problems
            .add(section.place_of("path"), "rejected events go to a file")
            .help("name a file, like `rejected.ndjson`");
        return None;
    }
    Some(RejectedConfig { path: Some(problems.source.base_dir.join(path)) })
}

/// Builds `limits`.
pub(crate) fn limits(pipe: &Section, problems: &mut Problems<'_>) -> Option<LimitsConfig> {
    let section = pipe.section("limits")?;
    let source = pipe.section("source").and_then(|source| source.entries.first());
    let source_kind = source.map_or("file", |source| source.key.name);
    let source = pipe.section("source").and_then(|source| source.section(source_kind));
    let event_bytes_max = source.and_then(|source| source.count("event_bytes_max"));
    for (key, what) in [("unsettled_bytes_max", "wait"), ("parked_bytes_max", "be parked")] {
        if let (Some(bytes), Some(event)) = (section.count(key), event_bytes_max)
            && bytes < event
        {
            let message = format!(
                "one event may have {}, but only {} may {what}",
                unit::show_size(event),
                unit::show_size(bytes)
            );
            problems.add(section.place_of(key), message).help(format!(
                "raise `limits.{key}`, or lower `source.{source_kind}.event_bytes_max`"
            ));
            return None;
        }
    }
    let storage_bytes_max = match section.entry("storage_bytes_max") {
        Some(_) => Some(section.count("storage_bytes_max")?),
        None => None,
    };
    Some(LimitsConfig {
        unsettled_events_max: section.count("unsettled_events_max")?,
        unsettled_bytes_max: section.count("unsettled_bytes_max")?,
        park_after: section.duration("park_after")?,
        parked_bytes_max: section.count("parked_bytes_max")?,
        dead_letters_max: section.count("dead_letters_max")?,
        types_max: section.count("types_max")?,
        counter_minutes_max: section.count("counter_minutes_max")?,
        sightings_bytes_max: section.count("sightings_bytes_max")?,
        storage_bytes_max,
        drain_max: section.duration("drain_max")?,
    })
}
