//! Every key of the config: name, kind, bounds, default, what it is for, built or not.
//!
//! This is the only list. The checker, the JSON Schema and `docs/config.md` are made from it.

use std::time::Duration;

mod delivery;
mod http;
mod sink;
mod source;
mod store;

use self::delivery::{
    ARCHIVE, CIRCUIT, DEAD_LETTER, DEAD_LETTERS_MAX, ORDERS, PARK_AFTER, PARKED_BYTES_MAX, RETRY,
    ROUTE,
};
use self::http::ENRICH;
use self::sink::SINK;
use self::source::SOURCE;
use super::table::{Key, Kind, Table, Word};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

const fn seconds(min_s: u64, max_s: u64) -> Kind {
    Kind::Duration { min: Duration::from_secs(min_s), max: Duration::from_secs(max_s) }
}

const fn millis(min_ms: u64, max_s: u64) -> Kind {
    Kind::Duration { min: Duration::from_millis(min_ms), max: Duration::from_secs(max_s) }
}

const fn list(of: &'static Kind, min: usize, max: usize) -> Kind {
    Kind::List { of, min, max, or_one: false, or_text: None }
}

const fn one_or_list(of: &'static Kind, min: usize, max: usize) -> Kind {
    Kind::List { of, min, max, or_one: true, or_text: None }
}

const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 86_400;

/// Most characters of a program or template.
const PROGRAM_CHARS_MAX: usize = 65_536;

/// A pipe: one YAML document.
pub(crate) static PIPE: Table = Table {
    path: "",
    doc: "A pipe: one YAML document; several of them, divided by `---`, make a file.",
    keys: &[
        Key::new("pipe", Kind::Name, "The pipe's name, once per data folder.").required("app"),
        Key::new("source", Kind::OneOf(&SOURCE), "Where the pipe reads.")
            .required("{ file: { path: app.ndjson } }"),
        Key::new(
            "decode",
            one_or_list(&Kind::Word(DECODE_STEPS), 1, 8),
            "How payloads are unwrapped, step by step. The last step is the format.",
        )
        .default("[json]"),
        Key::new("batch", Kind::Map(&BATCH), "When a batch closes: whichever bound comes first."),
        Key::new(
            "envelope",
            Kind::Map(&ENVELOPE),
            "Which fields of an event say its id, type and time.",
        ),
        Key::new(
            "validate",
            Kind::Map(&VALIDATE),
            "What an event must look like; one that doesn't is rejected.",
        ),
        Key::new(
            "filter",
            Kind::Pattern,
            "An EventBridge event pattern. An event that doesn't match is `filtered`: counted, \
             and not delivered.",
        ),
        Key::new("filter_kind", Kind::Word(FILTER_KINDS), "Which operators `filter` may have.")
            .default("event_bridge"),
        Key::new("dedup", Kind::Map(&DEDUP), "What makes two events the same, and for how long."),
        Key::new(
            "enrich",
            list(&Kind::Map(&ENRICH), 1, 16),
            "What is added to each event, in this order, before `transform`.",
        ),
        Key::new(
            "transform",
            Kind::List {
                of: &Kind::OneOf(&TRANSFORM),
                min: 1,
                max: 64,
                or_one: false,
                or_text: Some(PROGRAM_CHARS_MAX),
            },
            "Changes to each event, in this order; a text is one VRL program. Without any, \
             payloads are written byte for byte as they came.",
        ),
        Key::new("sink", Kind::OneOf(&SINK), "Where the pipe delivers.")
            .example("{ file: { path: out.ndjson } }"),
        Key::new(
            "sinks",
            list(&Kind::OneOf(&SINK), 1, 48),
            "Where the pipe delivers, if to several places: each gets every event that its `match` \
             takes.",
        ),
        Key::new("route", Kind::Map(&ROUTE), "Which of the sinks an event goes to."),
        Key::new(
            "order",
            Kind::Word(ORDERS),
            "Which events must not overtake each other when one is tried again.",
        )
        .default("none"),
        Key::new(
            "order_by",
            Kind::FieldPath,
            "The field whose value is the partition key; `order: per_partition_key` goes without \
             saying then.",
        ),
        Key::new(
            "retry",
            Kind::Map(&RETRY),
            "When a failed delivery is tried again, at all sinks.",
        ),
        Key::new("circuit", Kind::Map(&CIRCUIT), "When a sink counts as down, for all sinks."),
        Key::new(
            "dead_letter",
            Kind::Map(&DEAD_LETTER),
            "Where events go that can't be delivered.",
        ),
        Key::new("archive", Kind::Map(&ARCHIVE), "What is kept of everything that came in.")
            .on_request(),
        Key::new("rejected", Kind::Map(&REJECTED), "Where rejected events are kept, whole."),
        Key::new("limits", Kind::Map(&LIMITS), "What keeps a pipe bounded."),
        Key::new(
            "tests",
            list(&Kind::Map(&TEST), 1, 1000),
            "What `onceflow test` tries: events go in, and what comes out is compared.",
        ),
        Key::new("alarms", Kind::Map(&ALARMS), "When to raise an alarm, and who is told."),
    ],
    exactly_one_of: &["sink", "sinks"],
};

const FILTER_KINDS: &[Word] = &[
    Word::new("event_bridge", "every operator of event patterns"),
    Word::new("pipes", "those of EventBridge Pipes: no `wildcard`, no nested `anything-but`"),
];

const DECODE_LATER: &str = "payloads must be JSON so far: end with `json`";

const DECODE_STEPS: &[Word] = &[
    Word::new("url", "percent-encoding; a `+` stays a `+`"),
    Word::new("base64", "base64"),
    Word::new("gzip", "gzip"),
    Word::new("zstd", "Zstandard"),
    Word::new("json", "a JSON object; must be the last step"),
    Word::later("avro", DECODE_LATER),
    Word::later("protobuf", DECODE_LATER),
    Word::later("cloudevents", DECODE_LATER),
];

static BATCH: Table = Table {
    path: "batch",
    doc: "A batch is what one commit settles.",
    keys: &[
        Key::new("bytes_max", Kind::Size { min: 64 * KIB, max: 256 * MIB }, "Bytes of a batch.")
            .default_in_words("`16MiB`; `1MiB` for queues"),
        Key::new("events_max", Kind::Count { min: 1, max: 1_000_000 }, "Events of a batch.")
            .default_in_words("`65536`; `10000` for queues"),
        Key::new(
            "interval_max",
            millis(1, 60),
            "How long a batch waits for more events after its first.",
        )
        .default_in_words("`200ms`; `50ms` for queues"),
    ],
    exactly_one_of: &[],
};

static ENVELOPE: Table = Table {
    path: "envelope",
    doc: "The standard form of an event (CloudEvents 1.0). Each key names the field that holds \
          it.",
    keys: &[
        Key::new("id", Kind::FieldPath, "The event's id."),
        Key::new("source", Kind::FieldPath, "What the event comes from."),
        Key::new(
            "type",
            Kind::FieldPath,
            "The event's type: windows, counters and the report go by it, and it is part of the \
             key unless `dedup.across_types`.",
        ),
        Key::new(
            "time",
            Kind::MapOr(&ENVELOPE_TIME, "path"),
            "When the event happened. `time: $.at` is short for `time: { path: $.at }`.",
        ),
        Key::new("subject", Kind::FieldPath, "What the event is about."),
    ],
    exactly_one_of: &[],
};

static ENVELOPE_TIME: Table = Table {
    path: "envelope.time",
    doc: "The field with the event's time.",
    keys: &[
        Key::new("path", Kind::FieldPath, "The field.").required("$.created_at"),
        Key::new("format", Kind::Word(TIME_FORMATS), "How the time is written.").default("rfc3339"),
    ],
    exactly_one_of: &[],
};

const TIME_FORMATS: &[Word] = &[
    Word::new("rfc3339", "text like `2026-11-02T10:15:00Z`"),
    Word::new("epoch_seconds", "seconds since 1970"),
    Word::new("epoch_millis", "milliseconds since 1970"),
    Word::new("epoch_micros", "microseconds since 1970"),
    Word::new("epoch_nanos", "nanoseconds since 1970"),
];

static VALIDATE: Table = Table {
    path: "validate",
    doc: "Checks each event before it is filtered.",
    keys: &[
        Key::new("schema", Kind::LocalPath, "A JSON Schema file.").required("schemas/event.json")
    ],
    exactly_one_of: &[],
};

static DEDUP: Table = Table {
    path: "dedup",
    doc: "Lets each key through once within its window. Without `dedup` every event passes.",
    keys: &[
        Key::new(
            "key",
            one_or_list(&Kind::KeyPart(&KEY_PART), 1, 16),
            "What makes two events the same, together with the event's type: a field or an \
             attribute, several of them, or the whole body. See [keys](dedup.md#keys).",
        )
        .required("$.event_id"),
        Key::new(
            "scope",
            Kind::Name,
            "Pipes that name one scope share their keys: an event that comes in through both is \
             one event. They must agree on the number of fields (or the word) of `key`, and on all \
             else but `key`, `window`, `windows` and `missing_key`.",
        )
        .default_in_words("the pipe's name"),
        Key::new("window", WINDOW, "How long a key is remembered.").default("1h"),
        Key::new(
            "windows",
            Kind::ByType { of: &WINDOW, max: 1000 },
            "Windows by envelope type: a name, or a pattern in which `*` stands for any \
             characters. The exact name wins, then the pattern with most other characters, then \
             `window`. Needs `envelope.type`. See [windows](dedup.md#windows).",
        ),
        Key::new(
            "across_types",
            Kind::Flag,
            "Whether events of different types with one key are the same.",
        )
        .default("false"),
        Key::new("clock", Kind::Word(CLOCKS), "Which time of an event counts for its window.")
            .default_in_words("`broker` where the source gives a time, else `received`"),
        Key::new(
            "lateness",
            millis(0, 30 * DAY_S),
            "How far behind the newest event one may be and still be in time.",
        )
        .default("10m"),
        Key::new("late", Kind::Word(LATES), "What becomes of a later one.").default("reject"),
        Key::new("refresh", Kind::Flag, "Whether a duplicate starts the window of its key anew.")
            .default("false"),
        Key::new("missing_key", Kind::Word(MISSING_KEYS), "What becomes of an event without key.")
            .default("reject"),
        Key::new(
            "on_other_body",
            Kind::Word(OTHER_BODIES),
            "What becomes of a duplicate whose body differs from the original's.",
        )
        .default("drop"),
        Key::new(
            "on_duplicate_of_dead",
            Kind::Word(DUPLICATES_OF_DEAD),
            "What becomes of a copy of an event that is a dead letter.",
        )
        .default("auto"),
        Key::new(
            "clock_ahead_max",
            millis(0, DAY_S),
            "How far ahead of this machine's clock an event's time may be and still count as the \
             newest.",
        )
        .default("5m"),
        Key::new(
            "source_idle_max",
            millis(100, DAY_S),
            "Without events for this long, time goes on by this machine's clock.",
        )
        .default("1m"),
        store::STORE,
        store::LEASE,
        Key::new(
            "memory_bytes_max",
            Kind::Size { min: 16 * MIB, max: TIB },
            "What the keys of the scope may take in memory.",
        )
        .default("1GiB"),
    ],
    exactly_one_of: &[],
};

const WINDOW: Kind =
    Kind::Window { min: Duration::from_millis(1), max: Duration::from_secs(400 * DAY_S) };

static KEY_PART: Table = Table {
    path: "dedup.key[]",
    doc: "An attribute of the message. Of a queue's messages: those that were sent along.",
    keys: &[Key::new("attribute", Kind::Text { chars_max: 256 }, "Its name.").required("event_id")],
    exactly_one_of: &[],
};

const CLOCKS: &[Word] = &[
    Word::new("received", "when Onceflow received it; never runs backwards"),
    Word::new(
        "broker",
        "when the broker got it: sent to the queue, put into the stream; a file has none",
    ),
    Word::new("event", "when it happened, by `envelope.time`"),
];

const LATES: &[Word] = &[
    Word::new("reject", "it goes to the rejected file"),
    Word::new("pass", "it is delivered without a look at its key, and marked"),
    Word::new("dead_letter", "it is a dead letter"),
];

const DUPLICATES_OF_DEAD: &[Word] = &[
    Word::new(
        "auto",
        "one with the same body is a duplicate while the event would die again under this config, \
         else it is admitted; one with another body is admitted, and marked",
    ),
    Word::new("admit", "it is admitted"),
    Word::new("suppress", "it is a duplicate"),
];

const MISSING_KEYS: &[Word] = &[
    Word::new("reject", "it goes to the rejected file"),
    Word::new("pass", "it is delivered without dedup, and marked"),
    Word::new("hash_body", "the whole body is its key, as with `key: body`"),
];

const OTHER_BODIES: &[Word] = &[
    Word::new("drop", "it is a duplicate like any other, counted apart"),
    Word::new("pass", "it is delivered, and marked as an update; its own repeats are duplicates"),
    Word::new("dead_letter", "it is a dead letter"),
];

static TRANSFORM: Table = Table {
    path: "transform[]",
    doc: "One step: exactly one of these. A field that is missing or `null` is left alone. An \
          event that a step can't be done on is rejected.",
    keys: &[
        Key::new("split", Kind::Map(&SPLIT), "Cuts a text into several fields."),
        Key::new("time", Kind::Map(&TIME), "Writes a time in another form."),
        Key::new("rename", Kind::Map(&RENAME), "Gives a field another name."),
        Key::new("drop", Kind::Map(&DROP), "Removes fields."),
        Key::new(
            "template",
            Kind::Text { chars_max: PROGRAM_CHARS_MAX },
            "Makes a new payload from an EventBridge input template: `{\"id\": \"<$.id>\"}`.",
        ),
        Key::new(
            "vrl",
            Kind::Text { chars_max: PROGRAM_CHARS_MAX },
            "Runs a program in the Vector Remap Language.",
        ),
    ],
    exactly_one_of: &[],
};

const FIELD_NAME: Kind = Kind::FieldName;

static SPLIT: Table = Table {
    path: "transform[].split",
    doc: "Cuts a text into new fields beside it; the text itself stays. Of more parts than names \
          the last name takes the rest; of fewer, the names left over aren't written.",
    keys: &[
        Key::new("field", Kind::FieldPath, "The text to cut.").required("$.event_name"),
        Key::new("at", Kind::Text { chars_max: 16 }, "Where to cut it.").required("\":\""),
        Key::new("into", list(&FIELD_NAME, 2, 16), "The names of the new fields.")
            .required("[event_type, event_subtype]"),
    ],
    exactly_one_of: &[],
};

static TIME: Table = Table {
    path: "transform[].time",
    doc: "Writes a time in another form.",
    keys: &[
        Key::new("field", Kind::FieldPath, "The time.").required("$.created_at"),
        Key::new("from", Kind::Word(TIME_FORMATS), "How it is written.").required("epoch_seconds"),
        Key::new("to", Kind::Word(TIME_FORMATS), "How it shall be written.").default("rfc3339"),
    ],
    exactly_one_of: &[],
};

static RENAME: Table = Table {
    path: "transform[].rename",
    doc: "Gives a field another name; it stays where it is.",
    keys: &[
        Key::new("from", Kind::FieldPath, "The field.").required("$.old_name"),
        Key::new("to", Kind::FieldName, "Its new name.").required("new_name"),
    ],
    exactly_one_of: &[],
};

static DROP: Table = Table {
    path: "transform[].drop",
    doc: "Removes fields: one of these keys.",
    keys: &[
        Key::new("field", Kind::FieldPath, "The field to remove.").example("$.name"),
        Key::new("fields", list(&Kind::FieldPath, 1, 256), "The fields to remove."),
    ],
    exactly_one_of: &["field", "fields"],
};

static REJECTED: Table = Table {
    path: "rejected",
    doc: "Events that can't be processed are kept whole, with the reason.",
    keys: &[Key::new("path", Kind::LocalPath, "The file.")
        .default_in_words("`rejected/<pipe>.ndjson` in the data folder")],
    exactly_one_of: &[],
};

static LIMITS: Table = Table {
    path: "limits",
    doc: "Past a limit the pipe slows its source or says so; it doesn't grow.",
    keys: &[
        Key::new(
            "unsettled_events_max",
            Kind::Count { min: 1, max: 10_000_000 },
            "Events that wait to be settled, before the source pauses.",
        )
        .default("100000"),
        Key::new(
            "unsettled_bytes_max",
            Kind::Size { min: MIB, max: 4 * GIB },
            "Their bytes, before the source pauses.",
        )
        .default("64MiB"),
        PARK_AFTER,
        PARKED_BYTES_MAX,
        DEAD_LETTERS_MAX,
        Key::new(
            "types_max",
            Kind::Count { min: 1, max: 100_000 },
            "Event types with counters of their own; further ones count as `other`.",
        )
        .default("1000"),
        Key::new(
            "counter_minutes_max",
            Kind::Count { min: 60, max: 43_200 },
            "Minutes that the ledger counts one by one; older ones fold into hours, then days.",
        )
        .default("1440"),
        Key::new(
            "sightings_bytes_max",
            Kind::Size { min: 0, max: TIB },
            "Bytes in which the data folder keeps what `dedup explain` shows of duplicates, the \
             oldest go first; of several pipes the largest value holds. `0`: nothing is kept.",
        )
        .default("256MiB"),
        Key::new(
            "storage_bytes_max",
            Kind::Size { min: MIB, max: 1024 * TIB },
            "The report warns when what the pipe wrote is more than this.",
        )
        .default_in_words("no warning"),
        Key::new(
            "drain_max",
            seconds(0, 3600),
            "How long a run that is asked to stop may take to settle what is in flight.",
        )
        .default("20s"),
    ],
    exactly_one_of: &[],
};

static TEST: Table = Table {
    path: "tests[]",
    doc: "Each test begins with nothing remembered. `onceflow test` runs the pipe's own steps in \
          memory: nothing is read, nothing written.",
    keys: &[
        Key::new("name", Kind::Text { chars_max: 200 }, "What it shows.")
            .default_in_words("its number"),
        Key::new(
            "given",
            list(&Kind::Json, 1, 10_000),
            "What comes in, in order: a map is an event as JSON; a text is sent as it is; \
             `{ $wait: 5m }` lets time pass.",
        )
        .required("[{ id: 1 }]"),
        Key::new(
            "expect",
            list(&Kind::Json, 0, 10_000),
            "What is delivered, in order, compared as JSON.",
        ),
        Key::new("outcomes", Kind::Map(&TEST_OUTCOMES), "How many events end as what."),
    ],
    exactly_one_of: &[],
};

const TEST_COUNT: Kind = Kind::Count { min: 0, max: 10_000 };

static TEST_OUTCOMES: Table = Table {
    path: "tests[].outcomes",
    doc: "Outcomes that aren't named aren't checked.",
    keys: &[
        Key::new("delivered", TEST_COUNT, "Events delivered."),
        Key::new("duplicate", TEST_COUNT, "Events whose key is remembered."),
        Key::new("filtered", TEST_COUNT, "Events that the filter didn't want."),
        Key::new("rejected", TEST_COUNT, "Events that broke a rule."),
        Key::new("dead", TEST_COUNT, "Events that could not be delivered."),
    ],
    exactly_one_of: &[],
};

static ALARMS: Table = Table {
    path: "alarms",
    doc: "Alarms go to the log of `run` and `serve`, and to a webhook where one is named. \
          `limits.storage_bytes_max` is one of them; an imbalance and the half of a source's \
          retention always are.",
    keys: &[
        Key::new(
            "webhook",
            Kind::Text { chars_max: 2048 },
            "An `http://` or `https://` address: a POST with JSON when an alarm is raised and when \
             it is over.",
        )
        .example("http://127.0.0.1:9000/alarm"),
        Key::new("lag_max", seconds(1, 30 * DAY_S), "How far behind its source the pipe may be.")
            .default("5m"),
        Key::new(
            "rejected_max",
            Kind::Count { min: 0, max: 1_000_000_000 },
            "Rejected events of an hour, before they are an alarm.",
        )
        .default("1000"),
    ],
    exactly_one_of: &[],
};
