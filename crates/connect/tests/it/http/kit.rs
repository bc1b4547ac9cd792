//! A receiver that answers as a test wants, and events for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use connect::{HttpOptions, HttpSink};
use event::batch::{Batch, Event, Extent, Offsets, Span};
use event::sink::{Deliverer, Delivery, Failure, FailureKind, Rows};
use event::source::Stop;
use event::{BatchNumber, Offset, TestClock};

/// What the test's wall clock shows: Mon, 03 Nov 2025 10:00:00 GMT.
pub const NOW_MS: i64 = 1_762_164_000_000;

/// A call as the receiver saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub at: Instant,
    /// Which call on its connection, from 0.
    pub call: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The numbers of a body that is a JSON array of numbers.
    pub fn numbers(&self) -> Vec<u64> {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What a receiver does after it read a call.
pub enum Answer {
    /// Writes these bytes.
    Reply(Vec<u8>),
    /// Writes these bytes and closes the connection.
    Close(Vec<u8>),
    /// Nothing, until the other side gives up.
    Never,
    /// Writes these bytes one by one, so many ms apart.
    Drip(Vec<u8>, u64),
    /// Writes these bytes again and again, until the other side gives up.
    Endless(Vec<u8>),
}

/// An answer with a status, headers (`name: value\r\n`) and a body.
pub fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    format!("HTTP/1.1 {status} Status\r\ncontent-length: {len}\r\n{headers}\r\n{body}").into_bytes()
}

pub fn reply(status: u16) -> Answer {
    Answer::Reply(answer(status, "", ""))
}

pub fn reply_with(status: u16, body: &str) -> Answer {
    Answer::Reply(answer(status, "", body))
}

type Handler = dyn Fn(&Seen) -> Answer + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    tls: Option<Arc<rustls::ServerConfig>>,
    remembers: bool,
    seen: Mutex<Vec<Seen>>,
    closed: crossbeam_channel::Sender<usize>,
    ending: AtomicBool,
    connections: AtomicUsize,
}

/// A receiver on loopback.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Gets the number of each connection that the server closed, after it did.
    pub closed: crossbeam_channel::Receiver<usize>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub fn start(handler: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::with_tls(None, handler)
    }

    /// One that doesn't keep what it saw.
    pub fn forgetful(handler: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(None, false, handler)
    }

    pub fn with_tls(
        tls: Option<Arc<rustls::ServerConfig>>,
        handler: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::listen(tls, true, handler)
    }

    fn listen(
        tls: Option<Arc<rustls::ServerConfig>>,
        remembers: bool,
        handler: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (closed, told) = crossbeam_channel::unbounded();
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            tls,
            remembers,
            seen: Mutex::default(),
            closed,
            ending: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
        });
        let address = listener.local_addr().unwrap();
        let accepting = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.ending.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                let stream = stream.unwrap();
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || serve(&shared, stream, number));
            }
        });
        Self { address, shared, closed: told, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/events", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The calls so far, in the order in which they were read.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    pub fn options(&self) -> HttpOptions {
        HttpOptions::new(self.url())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().unwrap().join();
    }
}

fn serve(shared: &Shared, stream: TcpStream, number: usize) {
    stream.set_nodelay(true).unwrap();
    match &shared.tls {
        None => converse(shared, stream),
        Some(config) => {
            let connection = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
            converse(shared, rustls::StreamOwned::new(connection, stream));
        }
    }
    let _ = shared.closed.send(number);
}

fn converse(shared: &Shared, stream: impl Read + Write) {
    let mut stream = BufReader::new(stream);
    for call in 0.. {
        let Some(seen) = read_call(&mut stream, call) else { return };
        if shared.remembers {
            shared.seen.lock().unwrap().push(seen.clone());
        }
        let written = match (shared.handler)(&seen) {
            Answer::Reply(bytes) => stream.get_mut().write_all(&bytes),
            Answer::Close(bytes) => {
                let _ = stream.get_mut().write_all(&bytes);
                return;
            }
            Answer::Never => {
                let _ = stream.read(&mut [0]);
                return;
            }
            Answer::Drip(bytes, ms) => drip(stream.get_mut(), &bytes, ms),
            Answer::Endless(bytes) => loop {
                if let Err(error) = stream.get_mut().write_all(&bytes) {
                    break Err(error);
                }
            },
        };
        if written.is_err() {
            return;
        }
    }
}

/// A slow receiver: nobody ever sends what it waits for.
fn drip(stream: &mut impl Write, bytes: &[u8], ms: u64) -> std::io::Result<()> {
    let never = crossbeam_channel::after(std::time::Duration::from_secs(3600));
    for byte in bytes {
        stream.write_all(&[*byte])?;
        let _ = never.recv_timeout(std::time::Duration::from_millis(ms));
    }
    Ok(())
}

fn read_call(stream: &mut impl BufRead, call: usize) -> Option<Seen> {
    let line = |stream: &mut dyn BufRead| {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line(stream)?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let len = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; len.map_or(0, |(_, len)| len.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    Some(Seen { method, path, headers, body, at: Instant::now(), call })
}

/// A receiver that talks no HTTP: `talk` gets each connection.
pub fn raw_server(talk: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().for_each(|stream| talk(stream.unwrap())));
    url
}

/// Events with these payloads, with keys from 1 on, of one shard.
pub fn batch_of(payloads: impl IntoIterator<Item = String>) -> Batch {
    let (mut buffer, mut batch) = (Vec::new(), Batch::default());
    for (key, payload) in (1..).zip(payloads) {
        let raw = Span { start: buffer.len() as u32, len: payload.len() as u32 };
        buffer.extend_from_slice(payload.as_bytes());
        batch.events.push(Event { raw, key, ..Event::default() });
    }
    batch.buffer = buffer.into();
    batch.extents.push(extent("shard-0", 0, (0..batch.events.len() as u64).collect()));
    batch
}

pub fn extent(shard: &str, first_event: u32, offsets: Vec<u64>) -> Extent {
    Extent {
        shard: shard.into(),
        first_event,
        events_received: offsets.len() as u32,
        received_ms: NOW_MS,
        broker_ms: vec![],
        start: Offset::ZERO,
        end: Offset::from(offsets.last().map_or(0, |last| last + 1)),
        offsets: Offsets::Listed(offsets.into_iter().map(Offset::from).collect()),
        mark: None,
    }
}

/// Events `0`, `1`, … whose payload is their number.
pub fn numbers(count: u64) -> Batch {
    batch_of((0..count).map(|number| number.to_string()))
}

pub fn sink(options: &HttpOptions) -> HttpSink {
    HttpSink::new("out", "pipe", options, Arc::new(TestClock::new(NOW_MS))).unwrap()
}

pub fn deliver_some(
    sink: &mut HttpSink,
    batch: &Batch,
    events: &[u32],
    stop: &Stop,
) -> Vec<Delivery> {
    let answers =
        sink.deliver(&Rows { batch, number: BatchNumber(1), events, now_ms: NOW_MS }, stop);
    assert_eq!(answers.len(), events.len());
    answers
}

pub fn deliver(sink: &mut HttpSink, batch: &Batch) -> Vec<Delivery> {
    let events: Vec<u32> = (0..batch.events.len() as u32).collect();
    deliver_some(sink, batch, &events, &Stop::default())
}

/// Delivers one event.
pub fn deliver_one(options: &HttpOptions) -> Delivery {
    deliver(&mut sink(options), &numbers(1)).remove(0)
}

/// Why one event wasn't delivered.
pub fn failure_of_one(options: &HttpOptions) -> Failure {
    match deliver_one(options) {
        Delivery::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

pub fn class_of(delivery: &Delivery) -> (&str, Option<FailureKind>) {
    match delivery {
        Delivery::Delivered => ("delivered", None),
        Delivery::NotTried => ("not tried", None),
        Delivery::Failed(failure) => (&failure.class, Some(failure.kind)),
    }
}

/// How many answers there are of each class.
pub fn counts(answers: &[Delivery]) -> std::collections::BTreeMap<&str, usize> {
    let mut counts = std::collections::BTreeMap::new();
    answers.iter().for_each(|answer| *counts.entry(class_of(answer).0).or_default() += 1);
    counts
}
