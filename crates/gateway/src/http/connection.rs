//! One connection: HTTP/1.1, or HTTP/2 without TLS.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;

use super::connections::{Closing, Entry};
use super::route::route;
use super::watched::Watched;
use crate::options::HttpLimits;
use crate::state::State;

/// HTTP/2 flow control: what a client may send ahead, per request and per connection.
const H2_STREAM_WINDOW_BYTES: u32 = 1 << 20;
const H2_CONNECTION_WINDOW_BYTES: u32 = 2 << 20;

/// Serves a connection until it is closed, by whichever side.
pub(super) async fn serve(stream: TcpStream, entry: Arc<Entry>, state: Arc<State>) {
    let _gone = Gone { entry: Arc::clone(&entry), state: Arc::clone(&state) };
    // A connection that was accepted while the gateway stopped has not been told so.
    if *state.stopping.borrow() {
        entry.close(Closing::Gracefully);
    }
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&entry)));
    let service = service_fn(|request| {
        let (entry, state) = (Arc::clone(&entry), Arc::clone(&state));
        async move { Ok::<_, Infallible>(route(&state, &entry, request).await) }
    });
    let builder = builder(&state.options.http);
    let connection = builder.serve_connection(io, service);
    tokio::pin!(connection);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!("a connection ended: {error}");
                }
                return;
            }
            how = entry.closing() => match how {
                Closing::Gracefully => connection.as_mut().graceful_shutdown(),
                Closing::Now => return,
            },
        }
    }
}

fn builder(limits: &HttpLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // Slow headers are this gateway's own affair (`connections.rs`): hyper's limit would count
    // the time between two requests, too.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams_max)
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(H2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES);
    builder
}

/// Takes the connection out of the list, however serving it ends.
struct Gone {
    entry: Arc<Entry>,
    state: Arc<State>,
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.state.connections.remove(&self.entry);
    }
}
