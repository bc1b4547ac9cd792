//! `tap`: settled events of a running pipe, through a socket in its data folder.
//!
//! One request (a JSON object in a line) opens a connection, events follow as JSON lines. Nobody
//! but the folder's owner may connect. While nobody listens it costs nothing.

mod client;
mod line;
mod server;
mod socket;

pub(crate) use client::tap;
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
}

impl Request {
    fn new(filter: &TapFilter) -> Request {
        let outcome = filter.outcome.map(|outcome| outcome.name().to_owned());
        Request { pipe: filter.pipe.clone(), outcome }
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
