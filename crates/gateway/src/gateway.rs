//! The handle that owns a gateway's threads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use event::Clock;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};

use crate::error::GatewayError;
use crate::http::{Connections, HostCheck, listen, sweep};
use crate::kinesis::Rates;
use crate::options::GatewayOptions;
use crate::pages::Pages;
use crate::state::State;

/// Of each thread. JSON is skipped by recursion as deep as `wire::read` lets it, and a level takes
/// 40 KiB where nothing is optimised. Only what is touched takes memory.
const STACK_BYTES: usize = 8 << 20;

/// A running gateway. It serves on threads of its own until [`Gateway::shutdown`]; dropping it
/// ends it at once.
pub struct Gateway {
    local_addr: SocketAddr,
    state: Arc<State>,
    stop: watch::Sender<bool>,
    runtime: Option<Runtime>,
}

impl Gateway {
    /// Listens, and serves from then on.
    ///
    /// # Errors
    /// [`GatewayError`]: not on loopback, the address is taken, an option is out of bounds.
    pub fn bind(
        options: GatewayOptions,
        broker: Arc<Broker>,
        clock: Arc<dyn Clock>,
        pages: Arc<dyn Pages>,
    ) -> Result<Self, GatewayError> {
        check(&options)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.threads)
            .thread_name("gateway")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|cause| GatewayError::Threads { cause })?;
        let failed = |cause| GatewayError::Listen { listen: options.listen, cause };
        let listener =
            runtime.block_on(tokio::net::TcpListener::bind(options.listen)).map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let (stop, stopping) = watch::channel(false);
        let state = Arc::new(State {
            hosts: HostCheck::new(&options.host_names, local_addr.port()),
            connections: Connections::new(&options.http),
            bytes: Arc::new(Semaphore::new(options.http.in_flight_bytes_max)),
            rates: Rates::new(options.shard_limits.clone()),
            settings: tokio::sync::Mutex::new(()),
            options,
            broker,
            clock,
            pages,
            stopping,
        });
        runtime.spawn(listen(listener, Arc::clone(&state)));
        runtime.spawn(sweep(Arc::clone(&state)));
        Ok(Self { local_addr, state, stop, runtime: Some(runtime) })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops accepting, answers long polls, lets the requests that are under way end for at most
    /// `drain`, and closes. True when all of them ended. Not to be called from an async task.
    pub fn shutdown(mut self, drain: Duration) -> bool {
        self.stop.send_replace(true);
        let Some(runtime) = self.runtime.take() else { return true };
        self.state.connections.close_gracefully();
        let ended = runtime.block_on(async {
            tokio::time::timeout(drain, self.state.connections.all_closed()).await.is_ok()
        });
        runtime.shutdown_timeout(Duration::from_millis(100));
        ended
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn check(options: &GatewayOptions) -> Result<(), GatewayError> {
    if !options.listen.ip().is_loopback() {
        return Err(GatewayError::NotLoopback { listen: options.listen });
    }
    let bad = |name, problem| Err(GatewayError::Option { name, problem });
    if options.threads == 0 {
        return bad("threads", "must be at least 1");
    }
    if options.http.connections_max == 0 {
        return bad("connections_max", "must be at least 1");
    }
    if options.http.header_bytes_max < 8 << 10 {
        return bad("header_bytes_max", "must be at least 8 KiB");
    }
    let bytes = options.http.in_flight_bytes_max;
    if bytes < options.http.request_bytes_max || bytes > Semaphore::MAX_PERMITS {
        return bad("in_flight_bytes_max", "must be at least request_bytes_max");
    }
    if options.account.len() != 12 || !options.account.bytes().all(|byte| byte.is_ascii_digit()) {
        return bad("account", "must have 12 digits");
    }
    Ok(())
}
