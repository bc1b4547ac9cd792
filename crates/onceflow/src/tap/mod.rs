//! The socket in a data folder: what a run answers while it owns the folder.
//!
//! One request (a JSON object in a line) opens a connection, JSON lines follow: settled events for
//! `tap`, progress and results for `compact`. Nobody but the folder's owner may connect. While
//! nobody listens it costs nothing.

mod client;
mod compact;
mod jobs;
mod line;
mod server;
mod socket;

pub(crate) use client::tap;
pub(crate) use compact::{CompactAnswer, CompactRequests, TableAnswer, ask};
pub(crate) use jobs::{Answers, Gone, JobRequest, Jobs, ask_job};
pub(crate) use server::{Server, serve};
pub(crate) use socket::is_running;

use event::Outcome;
use pipe::tap::TapFilter;
use serde::{Deserialize, Serialize};

/// What a client asks for.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// Only events of this pipe.
    pipe: Option<String>,
    /// Only events with this outcome.
    outcome: Option<String>,
    /// No events: the tables are brought up to date.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    compact: bool,
    /// No events: something is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<JobRequest>,
}

impl Request {
    fn new(filter: &TapFilter) -> Request {
        let outcome = filter.outcome.map(|outcome| outcome.name().to_owned());
        Request { pipe: filter.pipe.clone(), outcome, ..Request::default() }
    }

    fn filter(self) -> Result<TapFilter, String> {
        let outcome = match self.outcome {
            None => None,
            Some(name) => {
                let found = Outcome::ALL.into_iter().find(|outcome| outcome.name() == name);
                Some(found.ok_or_else(|| format!("`{name}` is no outcome"))?)
            }
        };
        Ok(TapFilter { pipe: self.pipe, outcome })
    }
}
