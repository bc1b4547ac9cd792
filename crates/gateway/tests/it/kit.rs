//! A gateway on a real broker, and clients that speak raw HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, BrokerOptions};
use event::{Clock, SystemClock, TestClock};
use gateway::{Gateway, GatewayOptions, Page, Pages};
use journal::{Disk, RealDisk};
use serde_json::Value;

/// Long enough for anything that is to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) gateway: Option<Gateway>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) port: u16,
    _dir: tempfile::TempDir,
}

struct Hello;

impl Pages for Hello {
    fn page(&self, path: &str) -> Option<Page> {
        (path == "/hello").then(|| Page {
            status: 200,
            content_type: "text/plain",
            body: b"hi".into(),
        })
    }
}

/// Small limits where a test would wait or send for long otherwise.
pub(crate) fn options() -> GatewayOptions {
    let mut options = GatewayOptions::default();
    options.listen.set_port(0);
    options
}

impl World {
    pub(crate) fn start() -> Self {
        Self::with(options())
    }

    pub(crate) fn with(options: GatewayOptions) -> Self {
        Self::with_clock(options, Arc::new(SystemClock))
    }

    /// With a clock that stands still.
    pub(crate) fn timed(options: GatewayOptions) -> (Self, TestClock) {
        let clock = TestClock::new(1_800_000_000_000);
        (Self::with_clock(options, Arc::new(clock.clone())), clock)
    }

    fn with_clock(options: GatewayOptions, clock: Arc<dyn Clock>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::default());
        let broker =
            Broker::open(&disk, &dir.path().join("broker"), BrokerOptions::default(), &clock);
        let broker = Arc::new(broker.unwrap());
        let gateway = Gateway::bind(options, Arc::clone(&broker), clock, Arc::new(Hello)).unwrap();
        let port = gateway.local_addr().port();
        Self { gateway: Some(gateway), broker, port, _dir: dir }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends `bytes` on a connection of its own, and reads one answer.
    pub(crate) fn raw(&self, bytes: impl AsRef<[u8]>) -> Reply {
        let mut stream = self.connect();
        stream.write_all(bytes.as_ref()).unwrap();
        Reply::read(&mut stream)
    }

    /// Calls an action of SQS.
    pub(crate) fn sqs(&self, action: &str, parameters: &Value) -> Reply {
        self.raw(self.post("AmazonSQS", action, &parameters.to_string()))
    }

    /// Calls an action of Kinesis.
    pub(crate) fn kinesis(&self, action: &str, parameters: &Value) -> Reply {
        self.raw(self.post("Kinesis_20131202", action, &parameters.to_string()))
    }

    /// The bytes of a call.
    pub(crate) fn post(&self, service: &str, action: &str, body: &str) -> String {
        format!(
            "POST / HTTP/1.1\r\nhost: localhost:{}\r\nx-amz-target: {service}.{action}\r\n\
             content-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        )
    }

    /// Sends all of a call but its last byte, and waits until the gateway reads its body.
    pub(crate) fn begin(&self, call: &str) -> TcpStream {
        let call = call.replacen("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n", 1);
        let mut stream = self.connect();
        stream.write_all(&call.as_bytes()[..call.len() - 1]).unwrap();
        let mut said = [0; 25];
        stream.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream
    }

    /// Shows that requests on a new connection are answered.
    pub(crate) fn assert_serves(&self) {
        let reply = self.sqs("ListQueues", &serde_json::json!({}));
        assert_eq!(reply.status, 200, "{reply:?}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.shutdown(Duration::from_secs(1));
        }
        let _ = self.broker.close();
    }
}

/// An answer, off the wire.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    /// Reads one answer with a content length; an end of the connection before it is status 0.
    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let mut piece = [0; 65536];
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let reply = Self::new(head, body);
                let length = reply.header("content-length").unwrap_or("0").parse().unwrap();
                if body.len() >= length {
                    return reply;
                }
            }
            match stream.read(&mut piece) {
                Ok(n) if n > 0 => bytes.extend_from_slice(&piece[..n]),
                Ok(_) => return Self::new("", ""),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Self::new("", "");
                }
                Err(error) => panic!("no answer: {error}; so far {text:?}"),
            }
        }
    }

    fn new(head: &str, body: &str) -> Self {
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.into(), body: body.into() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (this, value) = line.split_once(": ")?;
            this.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The answer of an action that went well.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The type of an error, without its namespace.
    pub(crate) fn error(&self) -> String {
        assert_ne!(self.status, 200, "{self:?}");
        let json = self.json();
        let kind = json["__type"].as_str().unwrap();
        kind.rsplit('#').next().unwrap().into()
    }
}

/// Whether the other side has closed the connection; waits for it.
pub(crate) fn is_closed(stream: &mut TcpStream) -> bool {
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return true,
            Err(_) => return false,
        }
    }
}
