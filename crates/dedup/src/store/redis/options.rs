//! Where a Redis store is, and how it is to be used.

use std::fmt;
use std::path::PathBuf;

use super::super::{StoreError, StoreFault};

/// A password: never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// How a Redis or Valkey is reached, and how keys are kept there.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Addresses, the database and the user, from [`RedisOptions::parse`].
    pub servers: RedisServers,
    /// Certificates that are trusted instead of the system's, as a PEM file; for `rediss`.
    pub ca_file: Option<PathBuf>,
    /// What every key of ours begins with.
    pub prefix: String,
    /// For how long opening a connection may take; ms.
    pub connect_timeout_ms: u64,
    /// For how long an answer may take; ms.
    pub call_timeout_ms: u64,
    /// For how long a key is kept beyond its window, so that late events, and workers that lag
    /// behind each other, still meet it; ms. A leap of the server's clock of less does no harm.
    pub margin_ms: u64,
}

/// What a store's URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisServers {
    /// Host and port of each server that was named.
    pub addresses: Vec<(String, u16)>,
    /// Whether they are nodes of a cluster.
    pub cluster: bool,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// The database; 0 in a cluster.
    pub database: u32,
    /// The ACL user.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Password>,
}

impl RedisOptions {
    /// Reads `redis://[user[:password]@]host[:port][/database]`, `rediss://…`,
    /// `redis-cluster://[user[:password]@]host:port,host:port`, `rediss-cluster://…`, with all other
    /// options at their defaults. User and password are percent-decoded; `:password@` is the
    /// password of the default user.
    ///
    /// # Errors
    /// [`StoreFault::Refused`] if it is none of these; the message shows no password.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        let servers = RedisServers::parse(url).map_err(|what| {
            let scheme = url.split("://").next().filter(|scheme| scheme.len() < url.len());
            let place = format!("{}://…", scheme.unwrap_or("redis"));
            StoreError::new(StoreFault::Refused, &place, what)
        })?;
        Ok(Self {
            servers,
            ca_file: None,
            prefix: "onceflow".to_owned(),
            connect_timeout_ms: 2_000,
            call_timeout_ms: 5_000,
            margin_ms: 3_600_000,
        })
    }
}

impl RedisServers {
    fn parse(url: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err("it isn't a URL: redis://host:port/database is wanted".to_owned());
        };
        let (cluster, tls) = match scheme {
            "redis" | "valkey" => (false, false),
            "rediss" | "valkeys" => (false, true),
            "redis-cluster" | "valkey-cluster" => (true, false),
            "rediss-cluster" | "valkeys-cluster" => (true, true),
            other => {
                return Err(format!(
                    "{other:?} is none of redis, rediss, redis-cluster, rediss-cluster"
                ));
            }
        };
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (Some(login), rest),
            None => (None, rest),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let database = match path {
            "" => 0,
            number => number.parse().map_err(|_| "the database is a number".to_owned())?,
        };
        if cluster && database != 0 {
            return Err("a cluster has no databases".to_owned());
        }
        let addresses = hosts.split(',').map(address).collect::<Result<Vec<_>, _>>()?;
        if !cluster && addresses.len() > 1 {
            return Err("several servers are a cluster: redis-cluster://…".to_owned());
        }
        let (user, password) = match login.map(|login| login.split_once(':')) {
            None => (None, None),
            Some(None) => (login.map(decoded).transpose()?, None),
            Some(Some((user, password))) => (
                Some(decoded(user)?).filter(|user| !user.is_empty()),
                Some(Password(decoded(password)?)),
            ),
        };
        Ok(Self { addresses, cluster, tls, database, user, password })
    }

    /// The URL without user and password.
    #[must_use]
    pub fn place(&self) -> String {
        let scheme = match (self.cluster, self.tls) {
            (false, false) => "redis",
            (false, true) => "rediss",
            (true, false) => "redis-cluster",
            (true, true) => "rediss-cluster",
        };
        let hosts: Vec<_> = self.addresses.iter().map(|(host, port)| named(host, *port)).collect();
        let database =
            if self.database == 0 { String::new() } else { format!("/{}", self.database) };
        format!("{scheme}://{}{database}", hosts.join(","))
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub(super) fn named(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn address(text: &str) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err("a host is missing".to_owned());
    }
    let port = match port.filter(|port| !port.is_empty()) {
        None => 6379,
        Some(port) => port.parse().map_err(|_| format!("the port of {host} isn't a number"))?,
    };
    Ok((host.to_owned(), port))
}

fn decoded(text: &str) -> Result<String, String> {
    let wrong = || "user or password isn't percent-encoded UTF-8".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (hex, after) = rest.split_at_checked(2).ok_or_else(wrong)?;
        let hex = std::str::from_utf8(hex).map_err(|_| wrong())?;
        bytes.push(u8::from_str_radix(hex, 16).map_err(|_| wrong())?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> RedisServers {
        RedisOptions::parse(url).unwrap().servers
    }

    #[test]
    fn urls_are_read() {
        let plain = parse("redis://a.test");
        assert_eq!(plain.addresses, [("a.test".to_owned(), 6379)]);
        assert_eq!((plain.cluster, plain.tls, plain.database), (false, false, 0));
        let tls = parse("rediss://me:p%40ss@[::1]:7000/3");
        assert_eq!(tls.addresses, [("::1".to_owned(), 7000)]);
        assert_eq!((tls.tls, tls.database, tls.user.as_deref()), (true, 3, Some("me")));
        assert_eq!(tls.password, Some(Password("p@ss".to_owned())));
        assert_eq!(tls.place(), "rediss://[::1]:7000/3");
        let cluster = parse("redis-cluster://:secret@a:1,b:2");
        assert_eq!((cluster.cluster, cluster.addresses.len(), cluster.user), (true, 2, None));
    }

    #[test]
    fn a_password_is_never_shown() {
        let options = RedisOptions::parse("redis://me:geheim@a").unwrap();
        assert!(!format!("{options:?} {}", options.servers.place()).contains("geheim"));
        for wrong in [
            "redis://me:geheim@a/x",
            "redis://me:geheim@a:b",
            "redis://me:geheim%zz@a",
            "http://me:geheim@a",
            "redis-cluster://me:geheim@a/1",
            "redis://me:geheim@a,b",
            "redis://me:geheim@",
            "me:geheim@a",
        ] {
            let error = RedisOptions::parse(wrong).unwrap_err();
            assert_eq!(error.fault, StoreFault::Refused, "{wrong}");
            assert!(!format!("{error} {error:?}").contains("geheim"), "{wrong}: {error}");
        }
    }
}
