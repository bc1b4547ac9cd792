//! The gateway: AWS wire protocols over HTTP, in front of the embedded broker.
//!
//! One port speaks HTTP/1.1 and HTTP/2 without TLS (prior knowledge). A request is read whole,
//! within limits that have names, routed by its `X-Amz-Target`, parsed in one pass, applied to the
//! broker and answered as the service would; nothing is acknowledged before it is durable.
//!
//! One folder per service (`sqs`, `kinesis`), one file per action: its parameters, what it
//! does, its answer. A new action is one file and one line in the service's `mod.rs`.
//!
//! It deliberately knows nothing of pipes, metrics and config; pages that others provide come in
//! through [`Pages`]. Signatures are not checked, so only loopback is served (P8).
//!
//! Start reading at [`Gateway`], then `http/route.rs` and `sqs/send_message.rs`.

mod error;
mod gateway;
mod http;
pub mod kinesis;
mod options;
mod pages;
mod sqs;
mod state;
mod wire;

pub use error::GatewayError;
pub use gateway::Gateway;
pub use options::{GatewayOptions, HttpLimits, ShardLimits};
pub use pages::{NoPages, Page, Pages};
