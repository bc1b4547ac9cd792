//! Keys of a store that several workers share.

use super::super::table::{Key, Kind, Table};
use super::{HOUR_S, millis, seconds};

const STORE_DOC: &str = "Where keys are, when several workers share them: Redis or Valkey, or a \
     table in DynamoDB. Without it they are in the data folder. All pipes of a scope, in all \
     workers, name the same one.";

pub(super) const LEASE: Key = Key::new(
    "lease",
    seconds(1, HOUR_S),
    "With a `store`: for how long a worker that gave no sign of life keeps what it reserved. Then \
     others take it over.",
)
.default("1m");

pub(super) const STORE: Key =
    Key::new("store", Kind::MapOr(&TABLE, "url"), STORE_DOC).default_in_words("the data folder");

const URL: Key = Key::new(
    "url",
    Kind::Secret { chars_max: 2048 },
    "`redis://[user:password@]host[:port][/database]`, `rediss://…` with TLS, \
     `redis-cluster://host:port,host:port`, `rediss-cluster://…`.",
);

static TABLE: Table = Table {
    path: "dedup.store",
    doc: STORE_DOC,
    keys: &[
        URL,
        Key::new("redis", Kind::Map(&REDIS), "Redis or Valkey, with more than an address."),
        Key::new("dynamodb", Kind::Map(&DYNAMODB), "A table in DynamoDB."),
    ],
    exactly_one_of: &["url", "redis", "dynamodb"],
};

static REDIS: Table = Table {
    path: "dedup.store.redis",
    doc: "Redis from 6.2 on, or Valkey; one server or a cluster. Its `maxmemory-policy` must be \
          `noeviction`.",
    keys: &[
        Key { required: true, example: Some("redis://127.0.0.1:6379/0"), ..URL },
        Key::new("ca_file", Kind::LocalPath, "A PEM file with the certificates that are trusted.")
            .default_in_words("those of the system"),
        Key::new("user", Kind::Text { chars_max: 256 }, "The ACL user, instead of the address's."),
        Key::new(
            "password",
            Kind::Secret { chars_max: 1024 },
            "Its password; best as `${VARIABLE}`.",
        ),
        Key::new("prefix", Kind::Text { chars_max: 64 }, "What every key begins with.")
            .default("onceflow"),
        Key::new("timeout", millis(50, 60), "For how long an answer may take.").default("5s"),
    ],
    exactly_one_of: &[],
};

static DYNAMODB: Table = Table {
    path: "dedup.store.dynamodb",
    doc: "A table in DynamoDB; credentials come from where the AWS tools have theirs.",
    keys: &[
        Key::new("table", Kind::Text { chars_max: 255 }, "The table; scopes may share one.")
            .required("onceflow-keys"),
        Key::new("endpoint", Kind::Text { chars_max: 2048 }, "`aws`, or an address.")
            .default("aws"),
        Key::new("region", Kind::Text { chars_max: 64 }, "The region.")
            .default_in_words("that of the environment"),
        Key::new(
            "create_table",
            Kind::Flag,
            "Whether a table that isn't there is made: on demand, with TTL.",
        )
        .default("false"),
        Key::new("timeout", millis(50, 60), "For how long a call may go unanswered.")
            .default("10s"),
    ],
    exactly_one_of: &[],
};
