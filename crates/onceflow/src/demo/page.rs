//! Reads the server's metrics, as any other program would.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The metrics, as a page of samples.
pub(super) struct Metrics(String);

impl Metrics {
    /// Asks the server; `None` when it doesn't answer.
    pub(super) fn read(at: SocketAddr) -> Option<Metrics> {
        let mut server = TcpStream::connect_timeout(&at, ANSWER_MAX).ok()?;
        server.set_read_timeout(Some(ANSWER_MAX)).ok()?;
        write!(server, "GET /metrics HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").ok()?;
        let mut page = String::new();
        server.read_to_string(&mut page).ok()?;
        page.starts_with("HTTP/1.1 200").then_some(Metrics(page))
    }

    /// The sum of a family's samples whose labels hold `label`.
    pub(super) fn sum(&self, family: &str, label: &str) -> u64 {
        let samples = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(family)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            (labels.starts_with('{') && labels.contains(label))
                .then(|| value.parse::<f64>().ok())?
        });
        samples.sum::<f64>() as u64
    }

    /// Events of a pipe that have an outcome, those that were given back apart.
    pub(super) fn settled(&self, pipe: &str) -> u64 {
        let pipe = format!("pipe=\"{pipe}\"");
        let all = self.sum("onceflow_events_total", &pipe);
        let of_pipe = |outcome: &str| {
            self.sum("onceflow_events_total", &format!("{pipe},outcome=\"{outcome}\""))
        };
        all - of_pipe("returned")
    }
}
