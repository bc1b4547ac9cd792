//! Keys of sources.

use super::super::table::{Key, Kind, Table, Word};
use super::{KIB, MIB, seconds};

const SOURCE_INSTEAD: &str = "so far a pipe reads files, standard input, queues (`sqs`) and \
     streams (`kinesis`): `source: { file: { path: app.ndjson } }`";

pub(super) static SOURCE: Table = Table {
    path: "source",
    doc: "Where the pipe reads: exactly one of these.",
    keys: &[
        Key::new("file", Kind::Map(&FILE_SOURCE), "A file, many files, or standard input."),
        Key::new(
            "kinesis",
            Kind::Map(&KINESIS_SOURCE),
            "A stream: an embedded one, or behind an endpoint.",
        ),
        Key::new("sqs", Kind::Map(&SQS_SOURCE), "A queue: an embedded one, or behind an endpoint."),
        Key::later("sns", SOURCE_INSTEAD),
        Key::later("kafka", SOURCE_INSTEAD),
        Key::later("rabbitmq", SOURCE_INSTEAD),
        Key::later("nats", SOURCE_INSTEAD),
        Key::later("redis", SOURCE_INSTEAD),
        Key::later("http", SOURCE_INSTEAD),
    ],
    exactly_one_of: &[],
};

static FILE_SOURCE: Table = Table {
    path: "source.file",
    doc: "One event per line. Read on from where the last run stopped. Standard input can't be \
          read again, so a run over it can't resume.",
    keys: &[
        Key::new(
            "path",
            Kind::LocalPath,
            "A file, a glob (`*`, `?`, `[a-z]`, `**`), or `-` for standard input.",
        )
        .required("app.ndjson"),
        Key::new("compression", Kind::Word(COMPRESSIONS), "How the file is compressed.")
            .default("auto"),
        Key::new(
            "event_bytes_max",
            Kind::Size { min: KIB, max: 64 * MIB },
            "The largest event. A longer line goes to the rejected file without being held in \
             memory.",
        )
        .default("1MiB"),
    ],
    exactly_one_of: &[],
};

const COMPRESSIONS: &[Word] = &[
    Word::new(
        "auto",
        "by the name (`.gz`, `.zst`), else by the first bytes; standard input isn't compressed",
    ),
    Word::new("none", "not compressed, whatever the name"),
    Word::new("gzip", "gzip, also of several members"),
    Word::new("zstd", "Zstandard, also of several frames"),
];

/// The largest record or message that the services take.
const EVENT_BYTES_MAX: Key = Key::new(
    "event_bytes_max",
    Kind::Size { min: KIB, max: 64 * MIB },
    "The largest event. A longer one goes to the rejected file.",
)
.default("1MiB");

const ENDPOINT: Key = Key::new(
    "endpoint",
    Kind::Text { chars_max: 2048 },
    "`aws`, or the address of a service that speaks its protocol, like another `onceflow serve`. \
     What is named there must exist.",
)
.default_in_words("the embedded broker of this data folder, which makes what is named")
.example("http://127.0.0.1:4566");

const REGION: Key = Key::new("region", Kind::Text { chars_max: 64 }, "The region of `endpoint`.")
    .default_in_words("that of the environment, else `us-east-1` for an address");

static KINESIS_SOURCE: Table = Table {
    path: "source.kinesis",
    doc: "Records of a stream. Read on from where the last run stopped.",
    keys: &[
        Key::new("stream", Kind::Text { chars_max: 128 }, "The stream's name.")
            .required("app-events"),
        Key::new(
            "shards",
            Kind::Count { min: 1, max: 1000 },
            "Shards of an embedded stream that is made; one that exists keeps its own.",
        )
        .default("4"),
        Key::new(
            "start",
            Kind::Word(STARTS),
            "Where to begin in a shard that the pipe hasn't read before.",
        )
        .default("trim_horizon"),
        Key::new(
            "timestamp",
            Kind::Text { chars_max: 64 },
            "For `start: at_timestamp`: text like `2026-11-02T10:15:00Z`.",
        ),
        ENDPOINT,
        REGION,
        EVENT_BYTES_MAX,
    ],
    exactly_one_of: &[],
};

const STARTS: &[Word] = &[
    Word::new("trim_horizon", "with the oldest record that is kept"),
    Word::new("latest", "with the first record that comes after the start"),
    Word::new("at_timestamp", "with the first record that came at `timestamp` or later"),
];

static SQS_SOURCE: Table = Table {
    path: "source.sqs",
    doc: "Messages of a standard queue. A message is deleted once its event is settled; until \
          then it is hidden, however long that takes.",
    keys: &[
        Key::new("queue", Kind::Text { chars_max: 80 }, "The queue's name.").required("app-events"),
        ENDPOINT,
        REGION,
        Key::new(
            "visibility_timeout",
            seconds(10, 43_200),
            "Behind an endpoint: how long a message is hidden before its next renewal, so how soon \
             another reader gets it after a crash.",
        )
        .default("60s"),
        Key::new(
            "redelivery_memory",
            seconds(60, 14 * 86_400),
            "Behind an endpoint: how long the id of a message whose delete was confirmed is \
             remembered.",
        )
        .default("1h"),
        Key::new(
            "message_ids_max",
            Kind::Count { min: 10_000, max: 100_000_000 },
            "Message ids that are remembered; past it the source pauses.",
        )
        .default("2000000"),
        EVENT_BYTES_MAX,
    ],
    exactly_one_of: &[],
};
