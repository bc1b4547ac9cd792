//! Keys of retries, dead letters, routes and the archive.

use super::super::table::{Key, Kind, Table, Word};
use super::{DAY_S, GIB, MIB, TIB, millis, seconds};

/// Where a key of a sink has the pipe's value.
const THE_PIPES: &str = "the pipe's";

const RETRY_DOC: &str = "When a failed delivery is tried again: what the receiver said no to for \
     now, or didn't answer. What it can never take isn't tried again.";

const ATTEMPTS_MAX: Key = Key::new(
    "attempts_max",
    Kind::Count { min: 1, max: 10_000 },
    "Attempts of an event at a sink, the first included; then it is a dead letter.",
)
.default("5");

const AGE_MAX: Key = Key::new(
    "age_max",
    seconds(1, 14 * DAY_S),
    "An event that failed and was received longer ago is a dead letter.",
)
.default("1d");

const BACKOFF: Key = Key::new(
    "backoff",
    Kind::Range {
        min: std::time::Duration::from_millis(1),
        max: std::time::Duration::from_secs(3600),
    },
    "The longest delay after the first failure, and after many: it doubles from one to the other. \
     A receiver's `Retry-After` is heeded where it is later.",
)
.default("200ms..30s");

const JITTER: Key =
    Key::new("jitter", Kind::Word(JITTERS), "How much of the delay is chance.").default("full");

const JITTERS: &[Word] = &[
    Word::new("full", "any delay up to the longest, so that retries don't come together"),
    Word::new("none", "always the longest"),
];

pub(super) static RETRY: Table = Table {
    path: "retry",
    doc: RETRY_DOC,
    keys: &[ATTEMPTS_MAX, AGE_MAX, BACKOFF, JITTER],
    exactly_one_of: &[],
};

pub(super) static SINK_RETRY: Table = Table {
    path: "sink.http.retry",
    doc: RETRY_DOC,
    keys: &[
        ATTEMPTS_MAX.inherited(THE_PIPES),
        AGE_MAX.inherited(THE_PIPES),
        BACKOFF.inherited(THE_PIPES),
        JITTER.inherited(THE_PIPES),
    ],
    exactly_one_of: &[],
};

const CIRCUIT_DOC: &str = "When a sink counts as down. Then the pipe waits and asks it with one \
     event now and then; no attempts are spent, and the source sees the back-pressure.";

const FAILURES_MAX: Key = Key::new(
    "failures_max",
    Kind::Count { min: 1, max: 10_000 },
    "Failures in a row, with no success between, after which it counts as down.",
)
.default("10");

const PAUSE: Key = Key::new(
    "pause",
    Kind::Range {
        min: std::time::Duration::from_millis(10),
        max: std::time::Duration::from_secs(3600),
    },
    "The first pause before it is asked, and the longest: it doubles from one to the other.",
)
.default("1s..30s");

pub(super) static CIRCUIT: Table =
    Table { path: "circuit", doc: CIRCUIT_DOC, keys: &[FAILURES_MAX, PAUSE], exactly_one_of: &[] };

pub(super) static SINK_CIRCUIT: Table = Table {
    path: "sink.http.circuit",
    doc: CIRCUIT_DOC,
    keys: &[FAILURES_MAX.inherited(THE_PIPES), PAUSE.inherited(THE_PIPES)],
    exactly_one_of: &[],
};

const DEAD_LETTER_DOC: &str = "Where events go that can't be delivered: whole, with their attempts. \
     `onceflow dead` lists, shows and replays them.";

const STORE: Key = Key::new("store", Kind::LocalPath, "The folder of the letters.")
    .default_in_words("`dead` in the data folder");

const QUEUE: Key = Key::new(
    "queue",
    Kind::Text { chars_max: 80 },
    "A queue of the embedded broker that gets each letter too, or a pointer to one that is too \
     large. It is made when it isn't there.",
);

const STORE_BYTES_MAX: Key = Key::new(
    "store_bytes_max",
    Kind::Size { min: MIB, max: 64 * TIB },
    "Bytes of all letters in the folder; past it the pipe stops, and nothing is dropped.",
)
.default("64GiB");

const AFTER_REPLAY: Key = Key::new(
    "after_replay",
    Kind::Word(AFTER_REPLAYS),
    "What becomes of a letter that was replayed and settled.",
)
.default("mark");

const AFTER_REPLAYS: &[Word] =
    &[Word::new("mark", "it stays, marked as processed"), Word::new("remove", "it is removed")];

const REPLAYS_MAX: Key = Key::new(
    "replays_max",
    Kind::Count { min: 1, max: 1000 },
    "How often an event may be replayed: the end of a loop of dying and replaying.",
)
.default("3");

pub(super) static DEAD_LETTER: Table = Table {
    path: "dead_letter",
    doc: DEAD_LETTER_DOC,
    keys: &[STORE, QUEUE, STORE_BYTES_MAX, AFTER_REPLAY, REPLAYS_MAX],
    exactly_one_of: &[],
};

static SINK_DEAD_LETTER: Table = Table {
    path: "sink.dead_letter",
    doc: DEAD_LETTER_DOC,
    keys: &[
        STORE.inherited(THE_PIPES),
        QUEUE.inherited(THE_PIPES),
        STORE_BYTES_MAX.inherited(THE_PIPES),
        AFTER_REPLAY.inherited(THE_PIPES),
        REPLAYS_MAX.inherited(THE_PIPES),
    ],
    exactly_one_of: &[],
};

/// What every kind of sink has.
pub(super) const MATCH: Key = Key::new(
    "match",
    Kind::Pattern,
    "Only events that this event pattern takes, as they stand after all transforms.",
)
.default_in_words("every event");

pub(super) const SINK_DEAD_LETTER_KEY: Key =
    Key::new("dead_letter", Kind::Map(&SINK_DEAD_LETTER), "Where its dead letters go.")
        .default_in_words("where the pipe's go");

const NO_RETRY: &str = "take it out: this sink takes whole batches, and waits where it can't; \
     single events are tried again at `http` only";

pub(super) const NO_RETRY_KEY: Key = Key::never("retry", NO_RETRY);
pub(super) const NO_CIRCUIT_KEY: Key = Key::never("circuit", NO_RETRY);

pub(super) static ROUTE: Table = Table {
    path: "route",
    doc: "Which sinks an event goes to, among those whose `match` takes it; a sink without `match` \
          takes every event. What no sink takes is `filtered`.",
    keys: &[
        Key::new("mode", Kind::Word(ROUTE_MODES), "How many of them get it.").default("all"),
        Key::new(
            "default",
            Kind::Name,
            "The name of the sink for events that no `match` takes; it has no `match` of its own \
             and gets nothing else.",
        )
        .default_in_words("none: they are `filtered`")
        .example("rest"),
    ],
    exactly_one_of: &[],
};

const ROUTE_MODES: &[Word] = &[
    Word::new("all", "every sink that takes the event"),
    Word::new("first", "the first sink, in the order of `sinks`, that takes it"),
];

pub(super) const ORDERS: &[Word] = &[
    Word::new("none", "events pass one that is tried again"),
    Word::new(
        "per_partition_key",
        "later events of the same partition key wait for it: the broker's, or that of `order_by`",
    ),
];

pub(super) static ARCHIVE: Table = Table {
    path: "archive",
    doc: "Keeps what the source gave, compressed and by time, for `onceflow archive replay`. \
          Without the key nothing is kept.",
    keys: &[
        Key::new("path", Kind::LocalPath, "The folder; each pipe has its own.")
            .default_in_words("`archive/<pipe>` in the data folder"),
        Key::new("events", Kind::Word(ARCHIVED), "What is kept.").default("received"),
        Key::new(
            "retention",
            seconds(60, 3650 * DAY_S),
            "Files whose newest event is older are removed.",
        )
        .default_in_words("none are"),
        Key::new(
            "file_bytes_max",
            Kind::Size { min: MIB, max: 4 * GIB },
            "A file is finished past this size.",
        )
        .default("256MiB"),
        Key::new("file_age_max", seconds(60, DAY_S), "A file is finished past this age.")
            .default("1h"),
        Key::new(
            "level",
            Kind::Count { min: 1, max: 19 },
            "How hard zstd tries: higher is smaller, and slower.",
        )
        .default("1"),
    ],
    exactly_one_of: &[],
};

const ARCHIVED: &[Word] = &[
    Word::new("received", "every event as it came"),
    Word::new("filtered", "without those that were filtered or rejected"),
];

pub(super) const PARK_AFTER: Key = Key::new(
    "park_after",
    millis(100, 3600),
    "An event that waits longer for its key or its next attempt is parked: kept whole in the \
     ledger, so that its source can forget it.",
)
.default("10s");

pub(super) const PARKED_BYTES_MAX: Key = Key::new(
    "parked_bytes_max",
    Kind::Size { min: MIB, max: 64 * GIB },
    "Bytes of parked events, before the source pauses.",
)
.default("256MiB");

pub(super) const DEAD_LETTERS_MAX: Key = Key::new(
    "dead_letters_max",
    Kind::Count { min: 1, max: 100_000_000 },
    "Dead letters that were neither replayed nor purged; past it the pipe stops. Their keys are \
     kept, whatever the window.",
)
.default("1000000");
