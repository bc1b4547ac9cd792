//! Load over the wire: server CPU seconds and messages per second.
//!
//! The server is this program again, in a process of its own, so that what its clients cost isn't
//! counted. Eight connections, each a thread with raw HTTP; everything is on disk before it is
//! answered. `cargo bench -p gateway --bench load [seconds per case]`; the data folder is below
//! `CARGO_TARGET_TMPDIR`, which must be on the disk that is meant.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use broker::{Broker, BrokerOptions};
use event::{Clock, SystemClock};
use gateway::{Gateway, GatewayOptions, NoPages};
use journal::{Disk, RealDisk};

const CONNECTIONS: usize = 8;
const SERVER: &str = "--serve-in";

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let Some(at) = words.iter().position(|word| word == SERVER) {
        serve(&words[at + 1]);
        return;
    }
    let seconds = words.iter().find_map(|word| word.parse().ok()).unwrap_or(5);
    let span = Duration::from_secs(seconds);
    println!("| case | messages/s | server CPU s per 10,000 | of it user, system |");
    println!("| --- | --- | --- | --- |");
    let server = Server::start();
    server.call("AmazonSQS.CreateQueue", r#"{"QueueName":"q"}"#);
    let queue = format!(r#""QueueUrl":"http://localhost:{}/000000000000/q""#, server.port);
    server.case("SendMessageBatch of 10 × 1 KiB", span, |connection, sent| {
        send(connection, &queue);
        sent.fetch_add(10, Ordering::Relaxed);
    });
    server.case("ReceiveMessage of 10, DeleteMessageBatch", span, |connection, received| {
        let count = receive_and_delete(connection, &queue);
        if count == 0 {
            // It is empty; what is sent to go on counts on the server, too.
            send(connection, &queue);
        }
        received.fetch_add(count, Ordering::Relaxed);
    });
    drop(server);
    let server = Server::start();
    server.call("Kinesis_20131202.CreateStream", r#"{"StreamName":"s","ShardCount":4}"#);
    let records = records();
    server.case("PutRecords of 500 × 1 KiB", span, |connection, put| {
        let answer = connection.call("Kinesis_20131202.PutRecords", &records);
        assert!(answer.contains("\"FailedRecordCount\":0"), "{answer}");
        put.fetch_add(500, Ordering::Relaxed);
    });
}

fn body() -> String {
    let fields = r#"{\"id\":\"0123456789\",\"eventType\":\"IOT_EVENT\",\"body\":\""#;
    // 1 KiB as received; each quote above is escaped in the request.
    let quotes = fields.matches('\\').count();
    format!("{fields}{}\\\"}}", "x".repeat(1_024 - (fields.len() - quotes) - 2))
}

fn send(connection: &mut Connection, queue: &str) {
    let entries: Vec<_> =
        (0..10).map(|i| format!(r#"{{"Id":"{i}","MessageBody":"{}"}}"#, body())).collect();
    let answer = connection.call(
        "AmazonSQS.SendMessageBatch",
        &format!("{{{queue},\"Entries\":[{}]}}", entries.join(",")),
    );
    assert!(!answer.contains("Failed"), "{answer}");
}

fn receive_and_delete(connection: &mut Connection, queue: &str) -> u64 {
    let answer = connection
        .call("AmazonSQS.ReceiveMessage", &format!("{{{queue},\"MaxNumberOfMessages\":10}}"));
    let handles: Vec<&str> = answer
        .split("\"ReceiptHandle\":\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    if handles.is_empty() {
        return 0;
    }
    let entries: Vec<_> = handles
        .iter()
        .enumerate()
        .map(|(i, handle)| format!(r#"{{"Id":"{i}","ReceiptHandle":"{handle}"}}"#))
        .collect();
    let request = format!("{{{queue},\"Entries\":[{}]}}", entries.join(","));
    let answer = connection.call("AmazonSQS.DeleteMessageBatch", &request);
    assert!(!answer.contains("Failed"), "{answer}");
    handles.len() as u64
}

fn records() -> String {
    let data = base64_simd::STANDARD.encode_to_string([b'x'; 1_024]);
    let records: Vec<_> =
        (0..500).map(|i| format!(r#"{{"Data":"{data}","PartitionKey":"key-{i}"}}"#)).collect();
    format!(r#"{{"StreamName":"s","Records":[{}]}}"#, records.join(","))
}

/// A gateway in a process of its own.
struct Server {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(SERVER)
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, port: line.trim().parse().unwrap(), _dir: dir }
    }

    fn call(&self, target: &str, body: &str) -> String {
        Connection::open(self.port).call(target, body)
    }

    /// Clock ticks that the server has used, user and system.
    fn ticks(&self) -> (u64, u64) {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse().unwrap(), fields[12].parse().unwrap())
    }

    fn case(&self, name: &str, span: Duration, work: impl Fn(&mut Connection, &AtomicU64) + Sync) {
        let count = AtomicU64::new(0);
        let before = self.ticks();
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| {
                    let mut connection = Connection::open(self.port);
                    while began.elapsed() < span {
                        work(&mut connection, &count);
                    }
                });
            }
        });
        let elapsed = began.elapsed().as_secs_f64();
        let after = self.ticks();
        #[allow(clippy::cast_precision_loss)]
        let count = count.into_inner() as f64;
        #[allow(clippy::cast_precision_loss)]
        // A tick is a hundredth of a second on every Linux there is.
        let per = |ticks: u64| ticks as f64 / 100.0 / count * 10_000.0;
        let (user, system) = (per(after.0 - before.0), per(after.1 - before.1));
        println!(
            "| {name} | {:.0} | {:.3} | {user:.3}, {system:.3} |",
            count / elapsed,
            user + system
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Serves in `dir` until standard input ends.
fn serve(dir: &str) {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::default());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let dir = std::path::Path::new(dir).join("broker");
    let broker = Arc::new(Broker::open(&disk, &dir, BrokerOptions::default(), &clock).unwrap());
    let mut options = GatewayOptions::default();
    options.listen.set_port(0);
    options.shard_limits = None;
    let gateway = Gateway::bind(options, Arc::clone(&broker), clock, Arc::new(NoPages)).unwrap();
    println!("{}", gateway.local_addr().port());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    gateway.shutdown(Duration::from_secs(1));
    broker.close().unwrap();
}

/// A client's connection.
struct Connection {
    stream: TcpStream,
    port: u16,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, port, buffer: Vec::new() }
    }

    fn call(&mut self, target: &str, body: &str) -> String {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: localhost:{}\r\nx-amz-target: {target}\r\n\
             content-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).unwrap();
        self.buffer.clear();
        let mut piece = [0; 65_536];
        loop {
            let n = self.stream.read(&mut piece).unwrap();
            assert!(n > 0, "the server closed");
            self.buffer.extend_from_slice(&piece[..n]);
            let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
                continue;
            };
            let head = std::str::from_utf8(&self.buffer[..end]).unwrap();
            let length = head.split("content-length: ").nth(1).unwrap();
            let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
            if self.buffer.len() >= end + 4 + length {
                assert!(
                    head.starts_with("HTTP/1.1 200"),
                    "{}",
                    String::from_utf8_lossy(&self.buffer)
                );
                return String::from_utf8(self.buffer[end + 4..].to_vec()).unwrap();
            }
        }
    }
}
