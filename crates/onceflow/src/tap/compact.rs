//! `compact` through the socket: the run does it, the client shows how far it is.

use std::io::{self, BufRead as _, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use lake::compact::Compaction;
use serde::{Deserialize, Serialize};

use super::{Request, socket};
use crate::compactor::Counted;

/// Requests that wait at most; further ones are refused.
const WAITING_MAX: usize = 4;
/// How often the client hears how far it is.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// Somebody wants the tables to be brought up to date.
pub(crate) struct CompactRequest {
    /// How far it is.
    pub(crate) counted: Arc<Counted>,
    /// Where the answer goes.
    pub(crate) answer: Sender<Vec<TableAnswer>>,
}

/// The two ends of the way from the socket to whoever compacts.
#[derive(Clone)]
pub(crate) struct CompactRequests {
    ask: Sender<CompactRequest>,
    asked: Receiver<CompactRequest>,
}

impl Default for CompactRequests {
    fn default() -> Self {
        let (ask, asked) = bounded(WAITING_MAX);
        Self { ask, asked }
    }
}

impl CompactRequests {
    /// The next request, if one comes within `at_most`.
    pub(crate) fn next(&self, at_most: Duration) -> Option<CompactRequest> {
        self.asked.recv_timeout(at_most).ok()
    }
}

/// What became of one table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TableAnswer {
    /// The lake's folder.
    pub(crate) lake: PathBuf,
    /// What was done.
    pub(crate) done: Option<Compaction>,
    /// Why nothing was done.
    pub(crate) error: Option<String>,
}

/// A line of the answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CompactAnswer {
    /// How far it is: what is being done, how much of how much.
    Progress(String, u64, u64),
    /// The end.
    Tables(Vec<TableAnswer>),
    /// The run can't do it.
    Refused(String),
}

/// The run's end of a connection.
pub(super) fn serve(mut client: &UnixStream, requests: &CompactRequests) -> io::Result<()> {
    let counted = Arc::new(Counted::default());
    let (answer, answered) = bounded(1);
    let request = CompactRequest { counted: Arc::clone(&counted), answer };
    if requests.ask.try_send(request).is_err() {
        let busy = format!("{WAITING_MAX} requests to compact are waiting already");
        return send(&mut client, &CompactAnswer::Refused(busy));
    }
    loop {
        match answered.recv_timeout(TOLD_EVERY) {
            Ok(tables) => return send(&mut client, &CompactAnswer::Tables(tables)),
            Err(RecvTimeoutError::Timeout) => {
                if let Some((phase, done, total)) = counted.now() {
                    let progress = CompactAnswer::Progress(phase.to_string(), done, total);
                    send(&mut client, &progress)?;
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                let over = CompactAnswer::Refused("the run ends".to_owned());
                return send(&mut client, &over);
            }
        }
    }
}

fn send(client: &mut impl Write, answer: &CompactAnswer) -> io::Result<()> {
    let mut text = serde_json::to_vec(answer)?;
    text.push(b'\n');
    client.write_all(&text)
}

/// Asks the run that owns `data_dir`; `None` when nobody does. Each line goes to `heard`.
pub(crate) fn ask(data_dir: &Path, mut heard: impl FnMut(CompactAnswer)) -> io::Result<Option<()>> {
    let mut server = match socket::connect(data_dir) {
        Ok(server) => server,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
        Err(_) => return Ok(None),
    };
    let request = Request { compact: true, ..Request::default() };
    let mut text = serde_json::to_vec(&request)?;
    text.push(b'\n');
    server.write_all(&text)?;
    for line in BufReader::new(server).lines() {
        heard(serde_json::from_str(&line?)?);
    }
    Ok(Some(()))
}
