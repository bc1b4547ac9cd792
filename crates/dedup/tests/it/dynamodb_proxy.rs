//! Stands between a store and the server, and does to requests what networks do.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What happens to a request.
pub(crate) enum Fate {
    Pass,
    /// It takes effect, and nobody hears of it.
    LoseAnswer,
    /// It never gets there.
    LoseRequest,
    /// The answer's date is this.
    Date(&'static str),
    /// Answered by the proxy: status and body.
    Answer(u16, String),
}

/// A request on its way.
pub(crate) struct Request {
    /// `PutItem`, …
    pub(crate) action: String,
    pub(crate) body: String,
    /// How many came before it, through this proxy.
    pub(crate) number: usize,
}

type Rule = dyn Fn(&Request) -> Fate + Send + Sync;

/// Ends with the value.
pub(crate) struct Proxy {
    port: u16,
    ended: Arc<AtomicBool>,
    pub(crate) count: Arc<AtomicUsize>,
}

impl Proxy {
    /// In front of the server at `upstream` (`http://127.0.0.1:…`). Connections are served side by
    /// side, so a rule may wait for something that another request does.
    pub(crate) fn start(
        upstream: &str,
        rule: impl Fn(&Request) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (ended, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let rule: Arc<Rule> = Arc::new(rule);
        let (is_over, counted) = (Arc::clone(&ended), Arc::clone(&count));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let (upstream, rule, count) =
                    (upstream.clone(), Arc::clone(&rule), Arc::clone(&counted));
                std::thread::spawn(move || serve(client, &upstream, &*rule, &count));
            }
        });
        Self { port, ended, count }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

struct Message {
    head: Vec<String>,
    body: Vec<u8>,
}

impl Message {
    fn read(from: &mut impl BufRead) -> Option<Self> {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if from.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            head.push(line);
        }
        let mut message = Self { head, body: Vec::new() };
        let length = message.header("content-length").and_then(|length| length.parse().ok());
        message.body = vec![0; length.unwrap_or(0)];
        from.read_exact(&mut message.body).ok()?;
        Some(message)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.iter().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    fn write(&self, to: &mut TcpStream) -> Option<()> {
        let head = self.head.join("\r\n") + "\r\n\r\n";
        to.write_all(&[head.as_bytes(), &self.body].concat()).ok()
    }
}

/// One connection, until the client ends it or something is lost.
fn serve(mut client: TcpStream, upstream: &str, rule: &Rule, count: &AtomicUsize) -> Option<()> {
    let mut requests = BufReader::new(client.try_clone().ok()?);
    loop {
        let request = Message::read(&mut requests)?;
        let target = request.header("x-amz-target").unwrap_or_default();
        let seen = Request {
            action: target.rsplit('.').next().unwrap_or_default().to_owned(),
            body: String::from_utf8_lossy(&request.body).into_owned(),
            number: count.fetch_add(1, Ordering::Relaxed),
        };
        let fate = rule(&seen);
        match fate {
            Fate::LoseRequest => return None,
            Fate::Answer(status, body) => {
                let head = vec![
                    format!("HTTP/1.1 {status} Said"),
                    "content-type: application/x-amz-json-1.0".to_owned(),
                    format!("content-length: {}", body.len()),
                ];
                Message { head, body: body.into_bytes() }.write(&mut client)?;
                continue;
            }
            Fate::Pass | Fate::LoseAnswer | Fate::Date(_) => {}
        }
        let mut server = TcpStream::connect(upstream).ok()?;
        request.write(&mut server)?;
        let mut answer = Message::read(&mut BufReader::new(&mut server))?;
        match fate {
            Fate::LoseAnswer => return None,
            Fate::Date(date) => {
                answer.head.retain(|line| !line.to_ascii_lowercase().starts_with("date:"));
                answer.head.push(format!("date: {date}"));
            }
            _ => {}
        }
        answer.write(&mut client)?;
    }
}
