//! What this build can read from and deliver to: one line per connector.

use event::sink::Guarantee;

/// A place to read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceEntry {
    /// The word for it in config.
    pub name: &'static str,
    /// Whether a restart goes on where the last run stopped.
    pub resumes: bool,
    /// One line for a person.
    pub about: &'static str,
}

/// A place to deliver to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkEntry {
    /// The word for it in config.
    pub name: &'static str,
    /// What it promises.
    pub guarantee: Guarantee,
    /// One line for a person.
    pub about: &'static str,
}

/// Every source of this build. Standard input is `file` with the path `-`; it can't resume.
#[rustfmt::skip]
pub const SOURCES: &[SourceEntry] = &[
    SourceEntry { name: "file", resumes: true, about: "NDJSON files: a path, a glob, .gz, .zst, or - for standard input" },
    SourceEntry { name: "kinesis", resumes: true, about: "a stream: of the embedded broker, or behind an endpoint" },
    SourceEntry { name: "sqs", resumes: true, about: "a queue: of the embedded broker, or behind an endpoint" },
];

/// Every sink of this build.
#[rustfmt::skip]
pub const SINKS: &[SinkEntry] = &[
    SinkEntry { name: "file", guarantee: Guarantee::ExactlyOnce, about: "one NDJSON file, appended in place" },
    SinkEntry { name: "stdout", guarantee: Guarantee::AtLeastOnce, about: "standard output" },
    SinkEntry { name: "lake", guarantee: Guarantee::ExactlyOnce, about: "NDJSON by minute in a lake's folder" },
    SinkEntry { name: "kinesis", guarantee: Guarantee::ExactlyOnce, about: "a stream of the embedded broker" },
    SinkEntry { name: "sqs", guarantee: Guarantee::ExactlyOnce, about: "a queue of the embedded broker" },
    SinkEntry { name: "rejected", guarantee: Guarantee::ExactlyOnce, about: "what can't be used, whole, with the reason" },
];
