//! `onceflow generate`, which sends over the AWS SDK: a stream and a queue, and some events
//! through both.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::Child;
use std::sync::{Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_128;

use super::child::{cannot, command};
use super::folder::Folder;
use crate::exit::{Exit, Failure};

/// What is sent.
pub(super) struct Load {
    parts: [Part; 4],
}

struct Part {
    to: &'static str,
    events: u64,
    duplicates: &'static str,
    seed: &'static str,
    connections: &'static str,
}

/// Processes that send.
pub(super) struct Senders {
    running: Mutex<Vec<(String, Child)>>,
    acknowledged: Vec<std::path::PathBuf>,
    shared: u64,
}

/// What was sent and acknowledged.
pub(super) struct Sent {
    /// Events that the broker acknowledged, over stream and queue.
    pub(super) acknowledged: u64,
    /// Of those into the stream.
    pub(super) into_stream: u64,
    /// Different keys among them.
    pub(super) different: u64,
    /// Events that went through both.
    pub(super) shared: u64,
}

impl Load {
    /// A fifteenth goes through the queue. Seeds make the parts different from each other, but for
    /// the shared ones.
    pub(super) fn new(events: u64, shared: u64) -> Load {
        let part = |to, events, duplicates, seed, connections| Part {
            to,
            events,
            duplicates,
            seed,
            connections,
        };
        let queue = events / 15;
        Load {
            parts: [
                part("stream:app-events", events - queue, "10%", "1", "4"),
                part("queue:app-events", queue, "10%", "2", "4"),
                part("stream:app-events", shared, "0%", "3", "1"),
                part("queue:app-events", shared, "0%", "3", "1"),
            ],
        }
    }

    /// Events for the stream.
    pub(super) fn stream_events(&self) -> u64 {
        self.parts.iter().filter(|part| part.to.starts_with("stream")).map(|part| part.events).sum()
    }

    /// Starts to send.
    pub(super) fn send(&self, folder: &Folder, at: SocketAddr) -> Result<Senders, Failure> {
        let endpoint = format!("http://{at}");
        let mut running = Vec::new();
        let mut acknowledged = Vec::new();
        for (number, part) in self.parts.iter().enumerate() {
            let file = format!("acknowledged-{}.txt", number + 1);
            let events = part.events.to_string();
            let words = [
                "generate",
                "event_config.yml",
                "--events",
                &events,
                "--duplicates",
                part.duplicates,
                "--seed",
                part.seed,
                "--to",
                part.to,
                "--endpoint",
                &endpoint,
                "--connections",
                part.connections,
                "--acknowledged",
                &file,
            ];
            let child = command(folder, &words)?.spawn().map_err(cannot)?;
            running.push((words.join(" "), child));
            acknowledged.push(folder.path().join(file));
        }
        let shared = self.parts.last().map_or(0, |part| part.events);
        Ok(Senders { running: Mutex::new(running), acknowledged, shared })
    }
}

impl Senders {
    /// Whether all have ended.
    pub(super) fn have_ended(&self) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter_mut().all(|(_, child)| matches!(child.try_wait(), Ok(Some(_))))
    }

    /// Waits for all, and counts what they were told.
    pub(super) fn wait(self) -> Result<Sent, Failure> {
        let running = self.running.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (words, mut child) in running {
            let mut said = String::new();
            if let Some(stderr) = &mut child.stderr {
                let _ = stderr.read_to_string(&mut said); // only for the message
            }
            let status = child.wait().map_err(cannot)?;
            if !status.success() {
                let message = format!("onceflow {words} ended with {status}:\n{said}");
                return Err(Failure::new(Exit::Failed, message));
            }
        }
        let mut different = HashSet::new();
        let (mut acknowledged, mut into_stream) = (0, 0);
        for (number, path) in self.acknowledged.iter().enumerate() {
            let file = std::fs::File::open(path).map_err(cannot)?;
            for line in BufReader::new(file).lines() {
                acknowledged += 1;
                into_stream += u64::from(number % 2 == 0);
                different.insert(xxh3_128(line.map_err(cannot)?.as_bytes()));
            }
        }
        let different = different.len() as u64;
        Ok(Sent { acknowledged, into_stream, different, shared: self.shared })
    }
}
