//! What the store needs to know to be opened.

use std::time::Duration;

/// The longest name of a table that DynamoDB takes; characters.
pub(super) const TABLE_NAME_MAX: usize = 255;
const TABLE_NAME_MIN: usize = 3;

/// Which DynamoDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DynamoEndpoint {
    /// The cloud's.
    Aws,
    /// Whoever speaks the protocol at this address: `http://…` or `https://…`.
    Url(String),
}

/// How a [`super::DynamoStore`] is opened. Credentials come from the usual places of the AWS SDK
/// (environment, profile, web identity, instance); an address gets some that mean nothing where
/// there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamoOptions {
    /// Name of the table, 3 to 255 characters of `a-z A-Z 0-9 _ . -`. Scopes may share one.
    pub table: String,
    /// Where.
    pub endpoint: DynamoEndpoint,
    /// `None`: that of the environment; with an address, else `us-east-1`.
    pub region: Option<String>,
    /// Access key and secret instead of those of the environment: for tests.
    pub credentials: Option<(String, String)>,
    /// Whether a table that isn't there is made: on demand, with TTL.
    pub create_table: bool,
    /// One try of one request takes at most so long.
    pub attempt_max: Duration,
    /// A call fails as away when for so long not one of its requests was answered well.
    pub patience: Duration,
    /// Requests under way at a time, for all calls of the store together.
    pub requests_max: usize,
    /// How long after its window (counted from now, if that ended before) an entry may be deleted
    /// by TTL. It must be longer than any event can be late: what a queue or stream retains.
    pub margin: Duration,
}

impl DynamoOptions {
    /// The default for everything but the table's name.
    #[must_use]
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            endpoint: DynamoEndpoint::Aws,
            region: None,
            credentials: None,
            create_table: false,
            attempt_max: Duration::from_secs(3),
            patience: Duration::from_secs(10),
            requests_max: 64,
            margin: Duration::from_secs(15 * 86_400),
        }
    }

    /// Where, for messages.
    pub(super) fn place(&self) -> String {
        match &self.endpoint {
            DynamoEndpoint::Aws => format!("dynamodb:{}", self.table),
            DynamoEndpoint::Url(url) => {
                format!("dynamodb:{} at {}", self.table, without_credentials(url))
            }
        }
    }

    /// What is wrong with the table's name.
    pub(super) fn problem(&self) -> Option<String> {
        let fits = (TABLE_NAME_MIN..=TABLE_NAME_MAX).contains(&self.table.len());
        let plain =
            self.table.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        (!fits || !plain).then(|| {
            format!("a table's name has {TABLE_NAME_MIN} to {TABLE_NAME_MAX} characters of a-z A-Z 0-9 _ . -")
        })
    }
}

/// `http://user:password@host` → `http://host`.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    match path {
        Some(path) => format!("{scheme}://{host}/{path}"),
        None => format!("{scheme}://{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables_are_checked_before_anything_is_sent() {
        assert_eq!(DynamoOptions::new("keys.of-2_scopes").problem(), None);
        for name in ["", "ab", "with space", "käse", &"x".repeat(256)] {
            assert!(DynamoOptions::new(name).problem().is_some(), "{name}");
        }
    }

    #[test]
    fn messages_show_no_password() {
        let mut options = DynamoOptions::new("keys");
        options.endpoint = DynamoEndpoint::Url("http://me:secret@localhost:8000/x".into());
        assert_eq!(options.place(), "dynamodb:keys at http://localhost:8000/x");
    }
}
