//! Dead letters on the command line: what `dead list|show|replay|purge|hydrate` have in common.
//!
//! Looking works on the files alone, without anybody's lock. What changes something is done by
//! whoever owns the data folder ([`serve`]), or by the command itself while nobody does.

pub(crate) mod args;
pub(crate) mod filter;
pub(crate) mod hydrate;
pub(crate) mod purge;
pub(crate) mod replay;
pub(crate) mod stores;

use pipe::Session;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::tap::{Answers, Gone};
use filter::Filter;

/// Something to do in a data folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Forget letters for good.
    Purge {
        /// Of these pipes.
        pipes: Vec<String>,
        /// Which.
        filter: Filter,
    },
    /// Make letters out of a queue that another system filled.
    Hydrate(hydrate::Asked),
}

/// A line of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// How many letters are done so far.
    Progress(u64),
    /// A file that is no letter, or a letter that can't be used: its path, and why.
    Skipped(String, String),
    /// What became of a message.
    Message(hydrate::Told),
    /// All letters are done: how many.
    Done(u64),
    /// It can't go on: the exit code, and why.
    Failed(u8, String),
}

impl Answer {
    fn failed(failure: &Failure) -> Self {
        Self::Failed(failure.exit as u8, failure.message.clone())
    }
}

/// Does what a client asked for, in the folder of `session`.
pub(crate) fn serve(session: &Session, request: &Request, answers: &Answers) {
    let mut tell = |answer: Answer| answers.send(answer);
    let done = match request {
        Request::Purge { pipes, filter } => {
            purge::purge(session, pipes, filter, answers.stop(), &mut tell)
        }
        Request::Hydrate(asked) => hydrate::hydrate(session, asked, answers.stop(), &mut tell),
    };
    if let Err(failure) = done {
        let _ = answers.send(Answer::failed(&failure)); // whoever asked may have gone
    }
}

/// Where answers go.
pub(crate) type Tell<'a> = &'a mut dyn FnMut(Answer) -> Result<(), Gone>;
