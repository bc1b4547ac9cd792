//! The gateway over the wire: raw sockets, the Rust SDK, boto3 and the AWS command line.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

mod bad_http;
mod hosts;
mod kinesis_sdk;
mod kinesis_wire;
mod kit;
mod limits;
mod python;
mod shutdown;
mod sqs_sdk;
mod sqs_wire;
