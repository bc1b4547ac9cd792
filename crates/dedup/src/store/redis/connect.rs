//! One connection to one server: opened, checked, fenced.

use std::net::ToSocketAddrs as _;
use std::time::Duration;

use redis::{
    Client, Connection, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo,
    TlsCertificates, Value,
};

use super::super::{StoreError, StoreFault};
use super::call::{Call, text};
use super::fault::{code_in, error_of, fault_of};
use super::options::{RedisOptions, named};

/// An open connection that was found fit.
pub(super) struct Conn {
    pub(super) connection: Connection,
    /// How the server names it: `ID n ADDR host:port`.
    pub(super) name: ConnName,
}

/// A connection, as its server names it. One that broke may have commands on their way, which the
/// server must not carry out any more once others were sent: it is told to drop it first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConnName {
    id: String,
    address: String,
}

/// What a server says of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerFacts {
    pub(super) kind: String,
    pub(super) version: String,
    pub(super) used_memory: u64,
    /// Whether it writes an append-only file.
    pub(super) append_only: bool,
}

impl Conn {
    /// Opens a connection and checks that the server can be relied on.
    pub(super) fn open(options: &RedisOptions, host: &str, port: u16) -> Result<Self, StoreError> {
        let place = named(host, port);
        let failed = |error: &redis::RedisError| error_of(&place, "connecting", error);
        let client = client(options, host, port)?;
        let timeout = Duration::from_millis(options.connect_timeout_ms.max(1));
        let connection = client.get_connection_with_timeout(timeout).map_err(|e| failed(&e))?;
        let wait = Some(Duration::from_millis(options.call_timeout_ms.max(1)));
        connection.set_read_timeout(wait).map_err(|e| failed(&e))?;
        connection.set_write_timeout(wait).map_err(|e| failed(&e))?;
        let name = ConnName { id: String::new(), address: String::new() };
        let mut conn = Self { connection, name };
        conn.check(options, &place)?;
        let info = conn.ask(&place, &["CLIENT", "INFO"])?;
        let field = |name: &str| {
            let mut fields = info.split_ascii_whitespace();
            fields.find_map(|field| field.strip_prefix(name)).unwrap_or_default().to_owned()
        };
        conn.name = ConnName { id: field("id="), address: field("addr=") };
        Ok(conn)
    }

    /// Sends one command and waits for its answer, a string.
    pub(super) fn ask(&mut self, place: &str, parts: &[&str]) -> Result<String, StoreError> {
        let doing = parts.first().copied().unwrap_or_default();
        let value = self.send(&Call::of(0, parts)).and_then(|()| self.connection.recv_response());
        match value.map_err(|error| error_of(place, doing, &error))? {
            Value::ServerError(error) => {
                let detail = error.details().unwrap_or_default();
                let fault = fault_of(code_in(error.code(), detail));
                let what = format_args!("{doing}: {} {detail}", error.code());
                Err(StoreError::new(fault, place, what))
            }
            Value::VerbatimString { text, .. } => Ok(text),
            Value::Int(number) => Ok(number.to_string()),
            value => Ok(text(&value).unwrap_or_default().to_owned()),
        }
    }

    /// Sends a command.
    pub(super) fn send(&mut self, call: &Call) -> redis::RedisResult<()> {
        self.connection.send_packed_command(&call.bytes)
    }

    /// Makes the server drop a connection that broke, with whatever it had not carried out yet.
    pub(super) fn fence(&mut self, place: &str, broken: &ConnName) -> Result<(), StoreError> {
        let parts = ["CLIENT", "KILL", "ID", &broken.id, "ADDR", &broken.address];
        self.ask(place, &parts).map(|_| ())
    }

    /// What the server says of itself.
    pub(super) fn facts(&mut self, place: &str) -> Result<ServerFacts, StoreError> {
        let info = self.ask(place, &["INFO"])?;
        let info = Info(&info);
        let valkey = info.field("valkey_version");
        Ok(ServerFacts {
            kind: if valkey.is_some() { "valkey" } else { "redis" }.to_owned(),
            version: valkey.or(info.field("redis_version")).unwrap_or("?").to_owned(),
            used_memory: info.field("used_memory").and_then(|n| n.parse().ok()).unwrap_or(0),
            append_only: info.field("aof_enabled") == Some("1"),
        })
    }

    fn check(&mut self, options: &RedisOptions, place: &str) -> Result<(), StoreError> {
        let info = self.ask(place, &["INFO"])?;
        let info = Info(&info);
        let refused = |what: String| Err(StoreError::new(StoreFault::Refused, place, what));
        let version = info.field("redis_version").unwrap_or_default();
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if (major, minor) < (6, 2) {
            return refused(format!("its version is {version:?}; 6.2 or later is needed"));
        }
        let policy = info.field("maxmemory_policy").unwrap_or("noeviction");
        if policy != "noeviction" {
            return refused(format!(
                "its maxmemory-policy is {policy}, which throws keys away when memory is short; \
                 set maxmemory-policy noeviction"
            ));
        }
        let clustered = info.field("cluster_enabled") == Some("1");
        if clustered != options.servers.cluster {
            return refused(if clustered {
                "it is a node of a cluster: redis-cluster:// is wanted".to_owned()
            } else {
                "it isn't a node of a cluster: redis:// is wanted".to_owned()
            });
        }
        if info.field("role") == Some("slave") && !clustered {
            let what = "it is a replica, which takes no writes; waiting until it is a primary";
            return Err(StoreError::new(StoreFault::Away, place, what));
        }
        if info.field("loading") == Some("1") {
            let what = "it is loading its data";
            return Err(StoreError::new(StoreFault::Away, place, what));
        }
        Ok(())
    }
}

/// An answer to INFO.
struct Info<'a>(&'a str);

impl<'a> Info<'a> {
    fn field(&self, name: &str) -> Option<&'a str> {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(field, _)| *field == name).map(|(_, value)| value.trim())
    }
}

fn client(options: &RedisOptions, host: &str, port: u16) -> Result<Client, StoreError> {
    let place = named(host, port);
    let failed = |error: &redis::RedisError| error_of(&place, "connecting", error);
    // Looked up by the library only after the certificates were read: say it by its name.
    (host, port).to_socket_addrs().map_err(|error| {
        StoreError::new(StoreFault::Away, &place, format_args!("its name isn't known: {error}"))
    })?;
    let servers = &options.servers;
    let address = if servers.tls {
        ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host.to_owned(), port)
    };
    let mut settings = RedisConnectionInfo::default()
        .set_db(i64::from(servers.database))
        .set_protocol(redis::ProtocolVersion::RESP2)
        .set_skip_set_lib_name();
    if let Some(user) = &servers.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &servers.password {
        settings = settings.set_password(&password.0);
    }
    let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
    let info = address
        .into_connection_info()
        .map_err(|e| failed(&e))?
        .set_redis_settings(settings)
        .set_tcp_settings(tcp);
    if !servers.tls {
        return Client::open(info).map_err(|e| failed(&e));
    }
    // The provider of TLS that everything here uses. Somebody may have said so before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let root_cert = match &options.ca_file {
        None => None,
        Some(path) => Some(std::fs::read(path).map_err(|error| {
            let what = format_args!("the certificates in {}: {error}", path.display());
            StoreError::new(StoreFault::Refused, &place, what)
        })?),
    };
    Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
        .map_err(|e| failed(&e))
}
