//! Keys of sinks.

use super::super::table::{Key, Kind, Table, Word};
use super::delivery::{MATCH, NO_CIRCUIT_KEY, NO_RETRY_KEY, SINK_DEAD_LETTER_KEY};
use super::http::HTTP_SINK;
use super::{GIB, MIB, TIB, list, seconds};

const SINK_INSTEAD: &str = "so far a pipe writes files, standard output, a lake, queues (`sqs`), \
     streams (`kinesis`), and calls receivers (`http`): `sink: { file: { path: out.ndjson } }`";

pub(super) static SINK: Table = Table {
    path: "sink",
    doc: "Where the pipe delivers: exactly one of these, here or in each entry of `sinks`.",
    keys: &[
        Key::new("file", Kind::Map(&FILE_SINK), "One NDJSON file. Exactly once."),
        Key::new("stdout", Kind::Map(&STDOUT_SINK), "Standard output. At least once."),
        Key::new(
            "lake",
            Kind::Map(&LAKE_SINK),
            "A folder of NDJSON files by minute, and a table of Parquet files. Exactly once.",
        ),
        Key::new("kinesis", Kind::Map(&KINESIS_SINK), "An embedded stream. Exactly once."),
        Key::new("sqs", Kind::Map(&SQS_SINK), "An embedded queue. Exactly once."),
        Key::new(
            "http",
            Kind::Map(&HTTP_SINK),
            "A receiver over HTTP. Effectively once where it heeds the idempotency header, else at \
             least once.",
        ),
        Key::later("sns", SINK_INSTEAD),
        Key::later("kafka", SINK_INSTEAD),
        Key::later("rabbitmq", SINK_INSTEAD),
        Key::later("nats", SINK_INSTEAD),
        Key::later("redis", SINK_INSTEAD),
        Key::later("s3", SINK_INSTEAD),
        Key::later("sql", SINK_INSTEAD),
    ],
    exactly_one_of: &[],
};

pub(super) const SINK_NAME: Key = Key::new(
    "name",
    Kind::Name,
    "The sink's name in the ledger, counters and the report; once per pipe. Keep it as long as \
     the sink lives.",
)
.default_in_words("the kind: `file`, `stdout`, `lake`, `kinesis`, `sqs`, `http`");

static FILE_SINK: Table = Table {
    path: "sink.file",
    doc: "Appends in place: readers may see the last, uncommitted bytes until a restart after a \
          crash cuts them.",
    keys: &[
        Key::new("path", Kind::LocalPath, "The file.").required("out.ndjson"),
        Key::new(
            "append",
            Kind::Flag,
            "Whether a file that has content from elsewhere may be appended to.",
        )
        .default("false"),
        SINK_NAME,
        Key::later("compression", "write plain NDJSON and compress finished files"),
        MATCH,
        SINK_DEAD_LETTER_KEY,
        NO_RETRY_KEY,
        NO_CIRCUIT_KEY,
    ],
    exactly_one_of: &[],
};

static STDOUT_SINK: Table = Table {
    path: "sink.stdout",
    doc: "NDJSON on standard output.",
    keys: &[SINK_NAME, MATCH, SINK_DEAD_LETTER_KEY, NO_RETRY_KEY, NO_CIRCUIT_KEY],
    exactly_one_of: &[],
};

static LAKE_SINK: Table = Table {
    path: "sink.lake",
    doc: "`year=…/month=…/day=…/hour=…/minute=…/` with NDJSON files that never change once \
          they are finished.",
    keys: &[
        Key::new("path", Kind::LocalPath, "The lake's folder.").required("lake"),
        Key::new("by", Kind::Word(LAKE_TIMES), "Which time decides on the folder.")
            .default("arrival"),
        Key::new(
            "staging_files_open_max",
            Kind::Count { min: 1, max: 65_536 },
            "Unfinished files at once; past it the oldest is finished.",
        )
        .default("256"),
        Key::new(
            "staging_file_bytes_max",
            Kind::Size { min: MIB, max: 64 * GIB },
            "A file is finished past this size, even within its minute.",
        )
        .default("1GiB"),
        SINK_NAME,
        Key::new(
            "partition",
            list(&Kind::Text { chars_max: 200 }, 0, 8),
            "How the table's folders stand: `year`, `month`, `day`, and fields of the event, like \
             `event_specifics.language_id`. The time is the envelope's, else that of the dedup \
             clock.",
        )
        .default("[year, month, day]"),
        Key::new("compact", Kind::Word(COMPACTS), "Whether finished NDJSON files become Parquet.")
            .default("auto"),
        Key::new(
            "compact_every",
            seconds(1, 86_400),
            "How often `run` and `serve` do it; a run also does it when it ends.",
        )
        .default("1h"),
        Key::new(
            "compact_file_bytes_target",
            Kind::Size { min: MIB, max: GIB },
            "About how large a Parquet file may get.",
        )
        .default("128MiB"),
        Key::new(
            "compact_memory_bytes_max",
            Kind::Size { min: 16 * MIB, max: 64 * GIB },
            "Memory for sorting; past it rows go to files in between.",
        )
        .default("256MiB"),
        Key::new(
            "partitions_open_max",
            Kind::Count { min: 1, max: 100_000 },
            "Values of partition fields in one day; new ones past it go to `__other__`.",
        )
        .default("1000"),
        MATCH,
        SINK_DEAD_LETTER_KEY,
        NO_RETRY_KEY,
        NO_CIRCUIT_KEY,
    ],
    exactly_one_of: &[],
};

const COMPACTS: &[Word] = &[
    Word::new("auto", "`run` and `serve` do it by themselves"),
    Word::new("on_request", "only `onceflow compact` does it"),
];

const LAKE_TIMES: &[Word] = &[
    Word::new("arrival", "when Onceflow received the event"),
    Word::new("event_time", "when the event happened, by `envelope.time`"),
];

/// Output that waits in the data folder until the broker has it.
const SPOOL_BYTES_MAX: Key = Key::new(
    "spool_bytes_max",
    Kind::Size { min: MIB, max: TIB },
    "Output that is committed and not yet in the broker; past it the pipe pauses.",
)
.default("1GiB");

static KINESIS_SINK: Table = Table {
    path: "sink.kinesis",
    doc: "A stream of the embedded broker; it is made when it isn't there.",
    keys: &[
        Key::new("stream", Kind::Text { chars_max: 128 }, "The stream's name.").required("clean"),
        Key::new(
            "shards",
            Kind::Count { min: 1, max: 1000 },
            "Shards of a stream that is made; one that exists keeps its own.",
        )
        .default("4"),
        Key::new("partition_key", Kind::FieldPath, "The field that decides on the shard.")
            .default_in_words("the dedup key"),
        SPOOL_BYTES_MAX,
        SINK_NAME,
        Key::later("endpoint", "take it out: this sink writes to the embedded broker"),
        MATCH,
        SINK_DEAD_LETTER_KEY,
        NO_RETRY_KEY,
        NO_CIRCUIT_KEY,
    ],
    exactly_one_of: &[],
};

static SQS_SINK: Table = Table {
    path: "sink.sqs",
    doc: "A queue of the embedded broker; it is made when it isn't there.",
    keys: &[
        Key::new("queue", Kind::Text { chars_max: 80 }, "The queue's name.").required("clean"),
        SPOOL_BYTES_MAX,
        SINK_NAME,
        Key::later("endpoint", "take it out: this sink writes to the embedded broker"),
        MATCH,
        SINK_DEAD_LETTER_KEY,
        NO_RETRY_KEY,
        NO_CIRCUIT_KEY,
    ],
    exactly_one_of: &[],
};
