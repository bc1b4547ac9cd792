//! Work through the socket: what changes a data folder is done by whoever owns it. The client
//! shows the answers, one JSON value a line; when it goes away, the work stops.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};
use event::source::Stop;
use pipe::Session;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Request, socket};

/// Jobs that wait at most; further ones are refused.
const WAITING_MAX: usize = 8;
/// Answers on their way to a client.
const ANSWERS_MAX: usize = 256;
/// How often a connection without answers says that it lives, so that a client that left is
/// noticed.
const QUIET: Duration = Duration::from_millis(200);
/// How often to look whether the run ends.
const LOOK: Duration = Duration::from_millis(100);

/// What a client wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobRequest {
    /// `dead purge|replay|hydrate`.
    Dead(Box<crate::dead::Request>),
    /// `dedup import`.
    Import(Box<crate::dedup::moving::Asked>),
    /// `dead replay`, `archive replay`.
    Replay(Box<crate::replay::Asked>),
}

/// Where a job's answers go. Gone when the client is, or when the run ends.
pub(crate) struct Answers {
    lines: Sender<Value>,
    stop: Stop,
}

/// Nobody waits for the answers any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl Answers {
    /// Answers that go to `lines`; the work ends soon after `stop` was asked.
    pub(crate) fn new(lines: Sender<Value>, stop: Stop) -> Self {
        Self { lines, stop }
    }

    /// Whether the work has to end.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.asked()
    }

    /// Asked when the work has to end.
    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Sends one answer.
    pub(crate) fn send(&self, answer: impl Serialize) -> Result<(), Gone> {
        let mut line = serde_json::to_value(answer).map_err(|_| Gone)?;
        while !self.stop.asked() {
            line = match self.lines.send_timeout(line, LOOK) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Timeout(line)) => line,
                Err(SendTimeoutError::Disconnected(_)) => {
                    self.stop.ask();
                    return Err(Gone);
                }
            };
        }
        Err(Gone)
    }
}

struct Job {
    request: JobRequest,
    lines: Sender<Value>,
    stop: Stop,
}

/// The two ends of the way from the socket to whoever does the work.
#[derive(Clone)]
pub(crate) struct Jobs {
    ask: Sender<Job>,
    asked: Receiver<Job>,
}

impl Default for Jobs {
    fn default() -> Self {
        let (ask, asked) = bounded(WAITING_MAX);
        Self { ask, asked }
    }
}

impl Jobs {
    /// Does what is asked, each job on a thread of its own, until `over`; then stops what is under
    /// way.
    pub(crate) fn run(&self, session: &Session, over: &AtomicBool) {
        std::thread::scope(|scope| {
            let mut under_way: Vec<Stop> = Vec::new();
            while !over.load(Ordering::Acquire) {
                if let Ok(Job { request, lines, stop }) = self.asked.recv_timeout(LOOK) {
                    under_way.retain(|stop| !stop.asked());
                    under_way.push(stop.clone());
                    scope.spawn(move || {
                        let answers = Answers::new(lines, stop.clone());
                        match request {
                            JobRequest::Dead(request) => {
                                crate::dead::serve(session, &request, &answers);
                            }
                            JobRequest::Import(asked) => {
                                crate::dedup::moving::serve(session, &asked, &answers);
                            }
                            JobRequest::Replay(asked) => {
                                crate::replay::serve(session, &asked, &answers);
                            }
                        }
                        stop.ask();
                    });
                }
            }
            under_way.iter().for_each(Stop::ask);
        });
    }
}

/// The run's end of a connection.
pub(super) fn serve(mut client: &UnixStream, jobs: &Jobs, request: JobRequest) -> io::Result<()> {
    let (lines, answers) = bounded(ANSWERS_MAX);
    let stop = Stop::default();
    if jobs.ask.try_send(Job { request, lines, stop: stop.clone() }).is_err() {
        let busy = format!("{WAITING_MAX} requests are waiting already");
        return write(&mut client, &serde_json::json!({ "refused": busy }));
    }
    let done = loop {
        let line = match answers.recv_timeout(QUIET) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => Value::Null,
            Err(RecvTimeoutError::Disconnected) => break Ok(()),
        };
        if let Err(error) = write(&mut client, &line) {
            break Err(error);
        }
    };
    stop.ask();
    done
}

fn write(client: &mut &UnixStream, line: &Value) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    client.write_all(&text)
}

/// Asks the run that owns `data_dir`; `None` when nobody does. Each answer goes to `heard`, until
/// the run is through, goes away, or `heard` says false.
pub(crate) fn ask_job(
    data_dir: &Path,
    request: JobRequest,
    mut heard: impl FnMut(Value) -> bool,
) -> io::Result<Option<()>> {
    let mut server = match socket::connect(data_dir) {
        Ok(server) => server,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
        Err(_) => return Ok(None),
    };
    let mut text = serde_json::to_vec(&Request { job: Some(request), ..Request::default() })?;
    text.push(b'\n');
    server.write_all(&text)?;
    for line in BufReader::new(server).lines() {
        let line: Value = serde_json::from_str(&line?)?;
        if !line.is_null() && !heard(line) {
            break;
        }
    }
    Ok(Some(()))
}
