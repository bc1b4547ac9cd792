//! Connections: names that are looked up once in a while, whether a call got a new one, and answers
//! that come early.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport,
};

/// How long a name's addresses are kept. ureq looks a name up for every call, even one that gets
/// an open connection, and starts a thread for it.
const ADDRESSES_AGE_MAX: Duration = Duration::from_secs(5);

thread_local! {
    static CONNECTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `call` and says whether it got a connection that was used before, which the other side may
/// have closed in the same moment.
pub(super) fn noticing_reuse<T>(call: impl FnOnce() -> T) -> (T, bool) {
    CONNECTED.set(false);
    let result = call();
    (result, !CONNECTED.get())
}

/// Notices when a connection is made.
#[derive(Debug, Default)]
pub(super) struct NoticedConnector(DefaultConnector);

impl Connector<()> for NoticedConnector {
    type Out = Patient;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Patient>, ureq::Error> {
        CONNECTED.set(true);
        let made = self.0.connect(details, chained)?;
        Ok(made.map(|connection| Patient { connection: Box::new(connection), deaf: false }))
    }
}

/// A connection whose other side may answer before it heard all, and hang up: what it said is read
/// then. A receiver that says 413 to a long body does that, and ureq would report the hanging up.
#[derive(Debug)]
pub(super) struct Patient {
    connection: Box<dyn Transport>,
    /// The other side takes nothing more.
    deaf: bool,
}

impl Transport for Patient {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        if self.deaf {
            return Ok(());
        }
        match self.connection.transmit_output(amount, timeout) {
            Err(ureq::Error::Io(error))
                if matches!(
                    error.kind(),
                    ErrorKind::BrokenPipe
                        | ErrorKind::ConnectionReset
                        | ErrorKind::ConnectionAborted
                ) =>
            {
                self.deaf = true;
                Ok(())
            }
            sent => sent,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.connection.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        !self.deaf && self.connection.is_open()
    }

    fn is_tls(&self) -> bool {
        self.connection.is_tls()
    }
}

/// Host and port.
type Place = (String, Option<u16>);

/// Looks names up, and keeps what was found for a few seconds.
#[derive(Debug, Default)]
pub(super) struct CachedResolver {
    lookup: DefaultResolver,
    /// A client calls two at most: the receiver and where its tokens come from.
    found: Mutex<HashMap<Place, (Instant, Vec<SocketAddr>)>>,
}

impl Resolver for CachedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().or(match uri.scheme_str() {
            Some("https") => Some(443),
            Some("http") => Some(80),
            _ => None,
        });
        if let (Ok(ip), Some(port)) = (host.trim_matches(['[', ']']).parse::<IpAddr>(), port) {
            return Ok(self.list(&[SocketAddr::new(ip, port)]));
        }
        let key = (host.to_owned(), port);
        let lock = || self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(&key).filter(|(at, _)| at.elapsed() < ADDRESSES_AGE_MAX).cloned();
        if let Some((_, addresses)) = known {
            return Ok(self.list(&addresses));
        }
        let addresses = self.lookup.resolve(uri, config, timeout)?;
        lock().insert(key, (Instant::now(), addresses.to_vec()));
        Ok(addresses)
    }
}

impl CachedResolver {
    fn list(&self, addresses: &[SocketAddr]) -> ResolvedSocketAddrs {
        let mut list = self.empty();
        for address in addresses {
            list.push(*address);
        }
        list
    }
}
