//! Accepting connections.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::connection;
use crate::state::State;

const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 51\r\nconnection: close\r\n\r\n\
    too many connections are open (connections_max)...\n";
/// Refused connections that are waited for, so that they get to read why.
const REFUSED_MAX: usize = 64;
/// After an accept that failed: most likely there are no descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until the gateway stops.
pub(crate) async fn listen(listener: TcpListener, state: Arc<State>) {
    let refused = Arc::new(Semaphore::new(REFUSED_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = state.stopped() => return,
        };
        match accepted {
            Ok((stream, _)) => admit(stream, &state, &refused),
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn admit(stream: TcpStream, state: &Arc<State>, refused: &Arc<Semaphore>) {
    // Without it a small answer may wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    if let Some(entry) = state.connections.admit() {
        tokio::spawn(connection::serve(stream, entry, Arc::clone(state)));
    } else if let Ok(permit) = Arc::clone(refused).try_acquire_owned() {
        tokio::spawn(async move {
            let _ = tokio::time::timeout(Duration::from_secs(1), refuse(stream)).await;
            drop(permit);
        });
    }
}

/// Says that there is no room. What the client sent meanwhile is read away: closing with something
/// unread would reset the connection, and the client might not see the answer.
async fn refuse(mut stream: TcpStream) {
    if stream.write_all(FULL).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let mut away = [0; 4096];
    while matches!(stream.read(&mut away).await, Ok(1..)) {}
}
