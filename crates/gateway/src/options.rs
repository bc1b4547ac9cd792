//! What can be set of a gateway, every limit with its name.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What can be set of a gateway.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Where to listen; loopback only. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Names beside `localhost`, `127.0.0.1` and `[::1]` that a request's `Host` may have (P8).
    pub host_names: Vec<String>,
    /// The region in ARNs.
    pub region: String,
    /// The account in ARNs and queue URLs.
    pub account: String,
    /// Threads that serve requests.
    pub threads: usize,
    /// Limits of HTTP.
    pub http: HttpLimits,
    /// Rates of each Kinesis shard; `None` switches them off.
    pub shard_limits: Option<ShardLimits>,
    /// How long a shard iterator lives.
    pub iterator_life: Duration,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 4566)),
            host_names: Vec::new(),
            region: "us-east-1".into(),
            account: "000000000000".into(),
            threads: 2,
            http: HttpLimits::default(),
            shard_limits: Some(ShardLimits::default()),
            iterator_life: Duration::from_secs(300),
        }
    }
}

/// Limits of HTTP. Past each of them a request or a connection is refused; others go on.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Connections at most. Past it, the one that is idle for longest is closed if it was idle for
    /// `idle_evict_min`; else the new one gets a 503.
    pub connections_max: usize,
    /// An idle connection may be closed for a new one after this time.
    pub idle_evict_min: Duration,
    /// A connection without a request is closed after this time.
    pub idle_timeout: Duration,
    /// From the first byte of a request to the end of its headers.
    pub header_read_timeout: Duration,
    /// Bytes of a request's headers, request line included; at least 8 KiB. Past it: 431.
    pub header_bytes_max: usize,
    /// From the end of the headers to the end of the body. Past it: 408.
    pub body_read_timeout: Duration,
    /// Bytes of a request's body. Past it: 413, and the connection is closed.
    pub request_bytes_max: usize,
    /// Bytes of all request and answer bodies that are held at one time. Past it: 503.
    pub in_flight_bytes_max: usize,
    /// How long a client may take none of its answer. Past it the connection is closed.
    pub answer_write_timeout: Duration,
    /// Requests at one time on an HTTP/2 connection.
    pub h2_streams_max: u32,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            idle_evict_min: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(120),
            header_read_timeout: Duration::from_secs(10),
            header_bytes_max: 64 << 10,
            body_read_timeout: Duration::from_secs(30),
            // Kinesis: 10 MiB of data, in base64, with keys.
            request_bytes_max: 16 << 20,
            in_flight_bytes_max: 128 << 20,
            answer_write_timeout: Duration::from_secs(30),
            h2_streams_max: 100,
        }
    }
}

/// Rates of one shard, as the service has them ("Quotas and limits" of Kinesis Data Streams). Each
/// saves up for one second at most.
#[derive(Clone, Debug)]
pub struct ShardLimits {
    /// Records in.
    pub records_in_per_s: u32,
    /// Bytes in, partition keys included.
    pub bytes_in_per_s: u32,
    /// Reads.
    pub reads_per_s: u32,
    /// Bytes out.
    pub bytes_out_per_s: u32,
}

impl Default for ShardLimits {
    fn default() -> Self {
        Self {
            records_in_per_s: 1_000,
            bytes_in_per_s: 1 << 20,
            reads_per_s: 5,
            bytes_out_per_s: 2 << 20,
        }
    }
}
