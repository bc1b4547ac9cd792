//! A receiver over HTTP that misbehaves when it is told to, and remembers what it took.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::outputs::Row;
use crate::exit::{Exit, Failure};

/// An answer that comes so late is too late.
const TOO_LATE: Duration = Duration::from_millis(400);
/// A body may have so many bytes.
const BODY_BYTES_MAX: usize = 64 << 20;

/// Takes calls as long as it lives. Clones share it.
#[derive(Clone)]
pub(super) struct Receiver(Arc<Shared>);

/// Era, idempotency key and body of each call.
type Calls = BTreeSet<(u64, String, Vec<u8>)>;

struct Shared {
    at: SocketAddr,
    misbehaves: AtomicBool,
    calls: AtomicU64,
    failed: AtomicU64,
    over: AtomicBool,
    era: AtomicU64,
    /// By path, those that were taken.
    taken: Mutex<HashMap<String, Calls>>,
}

impl Receiver {
    /// Listens on loopback.
    pub(super) fn start() -> Result<Receiver, Failure> {
        let cannot = |error| Failure::new(Exit::Failed, format!("cannot listen: {error}"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(cannot)?;
        let receiver = Receiver(Arc::new(Shared {
            at: listener.local_addr().map_err(cannot)?,
            misbehaves: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            over: AtomicBool::new(false),
            era: AtomicU64::new(0),
            taken: Mutex::new(HashMap::new()),
        }));
        let serving = receiver.clone();
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                if serving.0.over.load(Ordering::Relaxed) {
                    return;
                }
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(caller));
            }
        });
        Ok(receiver)
    }

    pub(super) fn at(&self) -> SocketAddr {
        self.0.at
    }

    /// From now on about half of the calls go wrong, or none.
    pub(super) fn misbehave(&self, misbehaves: bool) {
        self.0.misbehaves.store(misbehaves, Ordering::Relaxed);
    }

    /// Calls that it let go wrong.
    pub(super) fn failed(&self) -> u64 {
        self.0.failed.load(Ordering::Relaxed)
    }

    /// Forgets what it took.
    pub(super) fn clear(&self) {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// From now on it knows no key of before: their time is over.
    pub(super) fn forget_keys(&self) {
        self.0.era.fetch_add(1, Ordering::Relaxed);
    }

    /// Rows that were taken at `path`, those of a repeated call once.
    pub(super) fn rows(&self, path: &str) -> Vec<Row> {
        let taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.get(path).into_iter().flatten().flat_map(|(_, _, body)| events(body)).collect()
    }

    fn serve(&self, caller: TcpStream) {
        let _ = caller.set_read_timeout(Some(Duration::from_secs(10)));
        let Ok(reading) = caller.try_clone() else { return };
        let mut reading = BufReader::new(reading);
        let mut caller = caller;
        while let Some(call) = Call::read(&mut reading) {
            // Of when it came: one that is answered late was still sent in the era before.
            let era = self.0.era.load(Ordering::Relaxed);
            if !self.answer(&call, era, &mut caller) {
                return;
            }
        }
    }

    /// Whether the connection goes on.
    fn answer(&self, call: &Call, era: u64, caller: &mut TcpStream) -> bool {
        let number = self.0.calls.fetch_add(1, Ordering::Relaxed);
        let wrong = if self.0.misbehaves.load(Ordering::Relaxed) { number % 10 } else { 9 };
        if wrong < 6 {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
        }
        let answer = |caller: &mut TcpStream, status: &str| {
            let text = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            caller.write_all(text.as_bytes()).is_ok()
        };
        match wrong {
            0 | 1 => answer(caller, "500 Internal Server Error"),
            2 => answer(caller, "429 Too Many Requests\r\nretry-after: 0"),
            3 => false, // reset without an answer, and without having taken it
            4 => {
                // Taken, but the caller doesn't hear of it.
                self.take(call, era);
                false
            }
            5 => {
                std::thread::sleep(TOO_LATE);
                self.take(call, era);
                answer(caller, "200 OK")
            }
            _ => {
                self.take(call, era);
                answer(caller, "200 OK")
            }
        }
    }

    fn take(&self, call: &Call, era: u64) {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.0.calls.load(Ordering::Relaxed);
        // Without a key every call is one of its own.
        let key = call.key.clone().unwrap_or_else(|| format!("call {number}"));
        taken.entry(call.path.clone()).or_default().insert((era, key, call.body.clone()));
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // The listener's own handle and the caller's: the last one outside ends it.
        if Arc::strong_count(&self.0) <= 2 {
            self.0.over.store(true, Ordering::Relaxed);
            let _ = TcpStream::connect(self.0.at); // wakes the listener
        }
    }
}

struct Call {
    path: String,
    key: Option<String>,
    body: Vec<u8>,
}

impl Call {
    fn read(from: &mut BufReader<TcpStream>) -> Option<Call> {
        let mut first = String::new();
        from.read_line(&mut first).ok().filter(|bytes| *bytes > 0)?;
        let mut call =
            Call { path: first.split(' ').nth(1)?.to_owned(), key: None, body: Vec::new() };
        let (mut len, mut chunked) = (0, false);
        loop {
            let mut line = String::new();
            from.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => len = value.trim().parse::<usize>().ok()?,
                "transfer-encoding" => chunked = value.contains("chunked"),
                "idempotency-key" => call.key = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        if chunked {
            call.body = chunks(from)?;
        } else {
            call.body = vec![0; len.min(BODY_BYTES_MAX)];
            from.read_exact(&mut call.body).ok()?;
        }
        Some(call)
    }
}

fn chunks(from: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let len = usize::from_str_radix(line.trim(), 16).ok()?.min(BODY_BYTES_MAX);
        let mut chunk = vec![0; len + 2];
        from.read_exact(&mut chunk).ok()?;
        if len == 0 {
            return Some(body);
        }
        body.extend_from_slice(chunk.get(..len)?);
    }
}

/// The events of a body: itself, the items of an array, or lines.
fn events(body: &[u8]) -> Vec<Row> {
    if body.first() == Some(&b'[') {
        let items: Vec<Box<serde_json::value::RawValue>> =
            serde_json::from_slice(body).unwrap_or_default();
        return items.iter().map(|item| item.get().as_bytes().to_vec()).collect();
    }
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call that is answered late would count in two eras: in its own by its repetition, and in
    /// the next by itself.
    #[test]
    fn a_call_belongs_to_the_era_in_which_it_came() {
        let receiver = Receiver::start().unwrap();
        let mut caller = TcpStream::connect(receiver.at()).unwrap();
        let call = b"POST /a HTTP/1.1\r\nidempotency-key: k\r\ncontent-length: 3\r\n\r\n{}\n";
        receiver.0.calls.store(5, Ordering::Relaxed); // the answer that comes late
        receiver.misbehave(true);
        caller.write_all(call).unwrap();
        while receiver.0.failed.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        receiver.forget_keys();
        let mut answer = [0; 12];
        caller.read_exact(&mut answer).unwrap();
        receiver
            .take(&Call { path: "/a".into(), key: Some("k".into()), body: b"{}\n".to_vec() }, 0);
        assert_eq!(receiver.rows("/a").len(), 1);
    }
}
