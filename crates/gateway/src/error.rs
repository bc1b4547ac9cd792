//! Why a gateway doesn't start.

use std::net::SocketAddr;

/// The gateway can't start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// P8: nothing unauthenticated is stored.
    #[error(
        "{listen} is not a loopback address: signatures are not checked yet, so only 127.0.0.1 and [::1] can be listened on"
    )]
    NotLoopback {
        /// Where it should have listened.
        listen: SocketAddr,
    },
    /// The address is taken, or isn't there.
    #[error("cannot listen on {listen}: {cause}")]
    Listen {
        /// Where it should have listened.
        listen: SocketAddr,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The system gives no threads.
    #[error("cannot start the gateway's threads: {cause}")]
    Threads {
        /// What the system says.
        cause: std::io::Error,
    },
    /// An option is out of bounds.
    #[error("{name} {problem}")]
    Option {
        /// Its name in [`crate::GatewayOptions`].
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}
