//! `onceflow serve`, started, killed, and stopped.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::child::{cannot, command};
use super::folder::Folder;
use super::page::Metrics;
use super::sender::Senders;
use crate::exit::{Exit, Failure};
use crate::test_clock::pause;

/// What a server says once it listens.
const LISTENS: &str = "listening on http://";

/// A server that runs.
pub(super) struct Server {
    child: Child,
    says: BufReader<ChildStderr>,
    at: SocketAddr,
}

impl Server {
    /// Starts it, at the address that it had before if there is one.
    pub(super) fn start(folder: &Folder, at: Option<SocketAddr>) -> Result<Server, Failure> {
        let listen = at.map_or_else(|| "127.0.0.1:0".to_owned(), |at| at.to_string());
        // The limits of a shard would make the demo take minutes.
        let words = ["serve", "demo.yaml", "--listen", &listen, "--shard-records-in-per-s", "0"];
        let mut child = command(folder, &words)?.spawn().map_err(cannot)?;
        let says = child.stderr.take().ok_or_else(|| cannot("no pipe to it"))?;
        let mut says = BufReader::new(says);
        let mut said = String::new();
        loop {
            let from = said.len();
            if says.read_line(&mut said).map_err(cannot)? == 0 {
                let status = child.wait().map_err(cannot)?;
                return Err(Failure::new(
                    Exit::Failed,
                    format!("onceflow serve ended with {status}:\n{said}"),
                ));
            }
            let line = said.get(from..).unwrap_or_default();
            let address = line.strip_prefix(LISTENS).and_then(|rest| rest.split(',').next());
            if let Some(at) = address.and_then(|address| address.parse().ok()) {
                return Ok(Server { child, says, at });
            }
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.at
    }

    /// Kills it with SIGKILL as soon as so many events of the stream are settled; how many were.
    pub(super) fn kill_at(mut self, events: u64, senders: &Senders) -> Result<u64, Failure> {
        loop {
            let settled = Metrics::read(self.at).map_or(0, |page| page.settled("app-stream"));
            if settled >= events {
                self.child.kill().map_err(cannot)?;
                self.child.wait().map_err(cannot)?;
                return Ok(settled);
            }
            if senders.have_ended() {
                return Err(Failure::new(
                    Exit::Failed,
                    "everything was sent before the server could be killed; try more --events",
                ));
            }
            pause();
        }
    }

    /// Waits until stream, queue and file are read to their ends and settled.
    pub(super) fn wait_until_settled(&self, at_most: Duration) -> Result<(), Failure> {
        let until = Instant::now() + at_most;
        loop {
            if Metrics::read(self.at).is_some_and(|page| is_settled(&page)) {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(Failure::new(Exit::Failed, "the pipes don't settle what was sent"));
            }
            pause();
        }
    }

    /// Asks it to stop, and waits.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| cannot("it has no process id"))?;
        kill_process(pid, Signal::TERM).map_err(cannot)?;
        let mut said = String::new();
        let _ = self.says.read_to_string(&mut said); // only for the message
        let status = self.child.wait().map_err(cannot)?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::new(Exit::Failed, format!("onceflow serve ended with {status}:\n{said}")))
    }
}

impl Drop for Server {
    /// Whatever went wrong: no server stays behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_settled(page: &Metrics) -> bool {
    let put = page.sum("onceflow_stream_records_total", "stream=\"app-events\"");
    let there = page.sum("onceflow_queue_messages", "queue=\"app-events\"");
    let in_flight = page.sum("onceflow_events_in_flight", "pipe=");
    let file_ended = page.sum("onceflow_pipe_phase", "pipe=\"wikipedia\",phase=\"ended\"") == 1;
    page.settled("app-stream") >= put && there == 0 && in_flight == 0 && file_ended
}
