//! Builds `dedup.store`: a store of keys that several workers share.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use dedup::store::redis::RedisOptions;

use super::problem::Problems;
use super::section::Section;
use super::source::is_address;

/// What [`RedisConfig`] holds where only an address is given; as in the table of keys.
const PREFIX: &str = "onceflow";
const TIMEOUT: Duration = Duration::from_secs(5);

/// A store of keys that several workers share.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// Redis or Valkey.
    Redis(RedisConfig),
    /// A table in DynamoDB.
    Dynamo(DynamoConfig),
}

/// A Redis or Valkey, one server or a cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisConfig {
    /// As [`RedisOptions::parse`] reads it; may hold a password.
    pub url: String,
    /// Certificates that are trusted, as a PEM file.
    pub ca_file: Option<PathBuf>,
    /// The ACL user, instead of the URL's.
    pub user: Option<String>,
    /// Its password, likewise.
    pub password: Option<String>,
    /// What every key begins with.
    pub prefix: String,
    /// For how long an answer may take.
    pub timeout: Duration,
}

/// A table in DynamoDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamoConfig {
    /// Its name.
    pub table: String,
    /// `None`: the cloud's; else an address.
    pub endpoint: Option<String>,
    /// `None`: that of the environment.
    pub region: Option<String>,
    /// Whether a table that isn't there is made.
    pub create_table: bool,
    /// For how long a call may go unanswered.
    pub timeout: Duration,
}

impl fmt::Debug for StoreConfig {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

impl StoreConfig {
    /// Where it is, without user and password.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Redis(redis) => RedisOptions::parse(&redis.url)
                .map_or_else(|_| "redis".into(), |options| options.servers.place()),
            Self::Dynamo(dynamo) => {
                let endpoint = dynamo.endpoint.as_deref().unwrap_or("aws");
                format!("dynamodb table {} at {endpoint}", dynamo.table)
            }
        }
    }
}

/// Builds `store`. `Some(None)`: there is none, keys are in the data folder.
#[allow(clippy::option_option)] // the outer one: whether it is right
pub(crate) fn build(dedup: &Section, problems: &mut Problems<'_>) -> Option<Option<StoreConfig>> {
    if dedup.entry("store").is_none() {
        return Some(None);
    }
    let store = dedup.section("store")?;
    only_what_it_can(dedup, problems);
    if store.entry("dynamodb").is_some() {
        return dynamo(store.section("dynamodb")?, problems).map(StoreConfig::Dynamo).map(Some);
    }
    let redis = match store.entry("redis") {
        Some(_) => redis(store.section("redis")?, problems),
        None => plain(address(store, problems)?),
    };
    redis.map(StoreConfig::Redis).map(Some)
}

/// What stores that workers share know nothing of.
fn only_what_it_can(dedup: &Section, problems: &mut Problems<'_>) {
    if dedup.word("on_other_body").is_some_and(|word| word != "drop") {
        let what = "a shared store can't tell bodies apart for `on_other_body`";
        problems
            .add(dedup.place_of("on_other_body"), what)
            .help("take it out, or take `store` out: with one data folder it works");
    }
}

/// A server that is only named.
fn plain(url: String) -> Option<RedisConfig> {
    let (ca_file, user, password) = (None, None, None);
    let (prefix, timeout) = (PREFIX.to_owned(), TIMEOUT);
    Some(RedisConfig { url, ca_file, user, password, prefix, timeout })
}

fn address(section: &Section, problems: &mut Problems<'_>) -> Option<String> {
    let url = section.text("url")?.to_owned();
    if let Err(error) = RedisOptions::parse(&url) {
        problems.add(section.place_of("url"), format!("this is no store: {}", error.what)).help(
            "write `redis://host:6379/0`, `rediss://…` or `redis-cluster://host:port,host:port`",
        );
        return None;
    }
    Some(url)
}

fn redis(section: &Section, problems: &mut Problems<'_>) -> Option<RedisConfig> {
    let url = address(section, problems)?;
    let text = |key: &str| match section.entry(key) {
        Some(_) => section.text(key).map(|text| Some(text.to_owned())),
        None => Some(None),
    };
    Some(RedisConfig {
        url,
        ca_file: text("ca_file")?.map(|file| problems.source.base_dir.join(file)),
        user: text("user")?,
        password: text("password")?,
        prefix: section.text("prefix")?.to_owned(),
        timeout: section.duration("timeout")?,
    })
}

fn dynamo(section: &Section, problems: &mut Problems<'_>) -> Option<DynamoConfig> {
    let endpoint = match section.text("endpoint")? {
        "aws" => None,
        text if is_address(text) => Some(text.trim_end_matches('/').to_owned()),
        text => {
            problems
                .add(section.place_of("endpoint"), format!("`{text}` is no endpoint"))
                .help("write `aws`, or an address like `http://127.0.0.1:8000`");
            return None;
        }
    };
    let region = match section.entry("region") {
        Some(_) => Some(section.text("region")?.to_owned()),
        None => None,
    };
    Some(DynamoConfig {
        table: section.text("table")?.to_owned(),
        endpoint,
        region,
        create_table: section.flag("create_table")?,
        timeout: section.duration("timeout")?,
    })
}
