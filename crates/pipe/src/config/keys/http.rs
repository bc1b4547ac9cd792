//! Keys of calls over HTTP: the `http` sink and `enrich`.

use super::super::table::{Key, Kind, Table, Word};
use super::delivery::{MATCH, SINK_CIRCUIT, SINK_DEAD_LETTER_KEY, SINK_RETRY};
use super::sink::SINK_NAME;
use super::{DAY_S, KIB, MIB, millis};

const URL: Key =
    Key::new("url", Kind::Url, "Where it is called.").required("https://example.org/events");

const HEADERS: Key =
    Key::new("headers", Kind::Headers { max: 64 }, "Headers that go along with every call.");

const AUTH_KEY: Key = Key::new("auth", Kind::OneOf(&AUTH), "Who calls: exactly one of these.");

const RATE: Key = Key::new("rate", Kind::Rate { max: 1_000_000 }, "Calls in a second at most.")
    .default_in_words("no limit");

const CONNECTIONS_MAX: Key =
    Key::new("connections_max", Kind::Count { min: 1, max: 256 }, "Calls at the same time.")
        .default("16");

const TIMEOUT: Key = Key::new("timeout", millis(10, 300), "How long a call may take, in all.");

const CA_FILE: Key = Key::new(
    "ca_file",
    Kind::LocalPath,
    "A file of certificates (PEM) that are trusted beside the usual ones.",
);

pub(super) static HTTP_SINK: Table = Table {
    path: "sink.http",
    doc: "A receiver that is called for each event, or for several at once. An answer of 2xx means \
          that it has them; 408, 425, 429 and 5xx, a timeout and a broken connection are tried \
          again; other answers are for ever.",
    keys: &[
        URL,
        Key::new("method", Kind::Word(METHODS), "How it is called.").default("POST"),
        HEADERS,
        AUTH_KEY,
        RATE,
        CONNECTIONS_MAX,
        TIMEOUT.default("10s"),
        Key::new("batch", Kind::Map(&HTTP_BATCH), "Several events in one call."),
        Key::new(
            "idempotency_header",
            Kind::Text { chars_max: 128 },
            "The header that carries the event's key in hexadecimal, by which the receiver can \
             tell a repeat; `none`: no header.",
        )
        .default("Idempotency-Key"),
        CA_FILE,
        SINK_NAME,
        MATCH,
        Key::new("retry", Kind::Map(&SINK_RETRY), "When a failed delivery is tried again."),
        Key::new("circuit", Kind::Map(&SINK_CIRCUIT), "When it counts as down."),
        SINK_DEAD_LETTER_KEY,
    ],
    exactly_one_of: &[],
};

const METHODS: &[Word] = &[
    Word::new("POST", "the usual one"),
    Word::new("PUT", "for receivers that want it"),
    Word::new("PATCH", "for receivers that want it"),
];

const EVENTS_MAX: Key = Key::new(
    "events_max",
    Kind::Count { min: 1, max: 10_000 },
    "Events in one call. With 1 the body is the event itself.",
);

const BYTES_MAX: Key =
    Key::new("bytes_max", Kind::Size { min: KIB, max: 64 * MIB }, "Bytes of one call's body.")
        .default("1MiB");

static HTTP_BATCH: Table = Table {
    path: "sink.http.batch",
    doc: "Several events in one call. If it fails as a whole, its halves are tried alone.",
    keys: &[
        EVENTS_MAX.default("1"),
        BYTES_MAX,
        Key::new("body", Kind::Word(BODIES), "How several events make one body.").default("array"),
        Key::new(
            "failures",
            Kind::FieldPath,
            "Where the answer lists the events that failed, like `$.batchItemFailures`: an array \
             of indices, or of objects with `index` (or `itemIdentifier`) and `error`.",
        )
        .default_in_words("the answer's status holds for all"),
    ],
    exactly_one_of: &[],
};

const BODIES: &[Word] =
    &[Word::new("array", "a JSON array"), Word::new("ndjson", "one event a line")];

const SECRET: Kind = Kind::Secret { chars_max: 4096 };

static AUTH: Table = Table {
    path: "sink.http.auth",
    doc: "Exactly one of these. Secrets come from the environment: `password: ${PASSWORD}`.",
    keys: &[
        Key::new("basic", Kind::Map(&BASIC), "User and password."),
        Key::new("bearer", Kind::MapOr(&BEARER, "token"), "`Authorization: Bearer …`."),
        Key::new("api_key", Kind::Map(&API_KEY), "A header of any name."),
        Key::new("oauth", Kind::Map(&OAUTH), "OAuth 2 client credentials."),
        Key::new("hmac", Kind::Map(&HMAC), "A signature of time and body."),
    ],
    exactly_one_of: &[],
};

static BASIC: Table = Table {
    path: "sink.http.auth.basic",
    doc: "User and password (RFC 7617).",
    keys: &[
        Key::new("user", Kind::Text { chars_max: 256 }, "Who.").required("onceflow"),
        Key::new("password", SECRET, "Their secret.").required("${PASSWORD}"),
    ],
    exactly_one_of: &[],
};

static BEARER: Table = Table {
    path: "sink.http.auth.bearer",
    doc: "`Authorization: Bearer …` (RFC 6750).",
    keys: &[Key::new("token", SECRET, "The token.").required("${TOKEN}")],
    exactly_one_of: &[],
};

static API_KEY: Table = Table {
    path: "sink.http.auth.api_key",
    doc: "A header of any name.",
    keys: &[
        Key::new("header", Kind::Text { chars_max: 128 }, "The header.").default("x-api-key"),
        Key::new("value", SECRET, "Its value.").required("${API_KEY}"),
    ],
    exactly_one_of: &[],
};

static OAUTH: Table = Table {
    path: "sink.http.auth.oauth",
    doc: "OAuth 2 client credentials (RFC 6749, 4.4): a token is asked for, kept until shortly \
          before it expires, and asked for again after a 401.",
    keys: &[
        Key::new("token_url", Kind::Url, "Where it is asked for.")
            .required("https://example.org/oauth/token"),
        Key::new("client_id", Kind::Text { chars_max: 256 }, "The client.").required("onceflow"),
        Key::new("client_secret", SECRET, "Its secret.").required("${CLIENT_SECRET}"),
        Key::new("scope", Kind::Text { chars_max: 1024 }, "Scopes, divided by blanks."),
    ],
    exactly_one_of: &[],
};

static HMAC: Table = Table {
    path: "sink.http.auth.hmac",
    doc: "A signature: `<header>: t=<unix seconds>,v1=<HMAC-SHA256 of \"<t>.<body>\", hexadecimal>`.",
    keys: &[
        Key::new("header", Kind::Text { chars_max: 128 }, "The header.")
            .default("x-onceflow-signature"),
        Key::new("secret", SECRET, "The secret, as bytes of its text.").required("${SECRET}"),
    ],
    exactly_one_of: &[],
};

pub(super) static ENRICH: Table = Table {
    path: "enrich[]",
    doc: "Adds to each event what is known elsewhere: `lookup` or `http`, and where it goes.",
    keys: &[
        Key::new("lookup", Kind::Map(&LOOKUP), "A table in a file.")
            .example("{ file: users.csv, key: $.user_id, on: id }"),
        Key::new("http", Kind::Map(&ENRICH_HTTP), "A call."),
        Key::new(
            "into",
            Kind::FieldPath,
            "The field that gets the answer; what stands there is replaced.",
        )
        .required("$.user"),
        Key::new("missing", Kind::Word(MISSINGS), "What becomes of an event without an answer.")
            .default("pass"),
    ],
    exactly_one_of: &["lookup", "http"],
};

const MISSINGS: &[Word] =
    &[Word::new("pass", "it goes on without"), Word::new("reject", "it goes to the rejected file")];

static LOOKUP: Table = Table {
    path: "enrich[].lookup",
    doc: "A table in memory, read again when the file changes.",
    keys: &[
        Key::new("file", Kind::LocalPath, "The table: `.csv` with a header, or `.ndjson`.")
            .required("users.csv"),
        Key::new("key", Kind::FieldPath, "The event's field that is looked up.")
            .required("$.user_id"),
        Key::new(
            "on",
            Kind::Text { chars_max: 256 },
            "The table's column, or field, that it is looked up in.",
        )
        .required("id"),
        Key::new("rows_max", Kind::Count { min: 1, max: 100_000_000 }, "Rows of the table.")
            .default("1000000"),
    ],
    exactly_one_of: &[],
};

static ENRICH_HTTP: Table = Table {
    path: "enrich[].http",
    doc: "A JSON array of the fields' values is posted; a JSON array of as many answers comes \
          back, `null` where there is none. The pipe waits while the service is away.",
    keys: &[
        URL,
        Key::new("key", Kind::FieldPath, "The event's field whose value is sent.")
            .required("$.user_id"),
        HEADERS,
        AUTH_KEY,
        RATE,
        CONNECTIONS_MAX,
        TIMEOUT.default("2s"),
        Key::new("batch", Kind::Map(&ENRICH_BATCH), "Several values in one call."),
        Key::new("cache", Kind::Map(&ENRICH_CACHE), "Answers that are remembered."),
        CA_FILE,
    ],
    exactly_one_of: &[],
};

static ENRICH_BATCH: Table = Table {
    path: "enrich[].http.batch",
    doc: "Several values in one call.",
    keys: &[
        Key::new("events_max", Kind::Count { min: 1, max: 10_000 }, "Values in one call.")
            .default("100"),
        BYTES_MAX,
    ],
    exactly_one_of: &[],
};

static ENRICH_CACHE: Table = Table {
    path: "enrich[].http.cache",
    doc: "Answers that are remembered, `null` too.",
    keys: &[
        Key::new("entries_max", Kind::Count { min: 0, max: 10_000_000 }, "How many; 0: none.")
            .default("100000"),
        Key::new("age_max", millis(0, 30 * DAY_S), "For how long.").default("10m"),
    ],
    exactly_one_of: &[],
};
