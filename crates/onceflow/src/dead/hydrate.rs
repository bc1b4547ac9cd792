//! Letters out of a queue that another system filled with metadata only.

use connect::Endpoint;
use connect::dead::hydrate::embedded::{EmbeddedMessages, EmbeddedRecords, SequenceForm};
use connect::dead::hydrate::remote::{RemoteMessages, RemoteRecords};
use connect::dead::hydrate::{
    DeadMessages, HydrateError, HydrateOptions, Hydrated, StreamRecords, hydrate as fetch,
};
use event::source::Stop;
use gateway::kinesis::LongSequenceNumber;
use pipe::Session;
use serde::{Deserialize, Serialize};

use super::{Answer, Tell, stores};
use crate::exit::{Exit, Failure};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// For whom letters are written.
    pub(crate) pipe: String,
    /// The queue.
    pub(crate) queue: String,
    /// `aws`, or an address; none: the broker of the data folder.
    pub(crate) endpoint: Option<String>,
    pub(crate) drop_aged_out: bool,
    pub(crate) dry_run: bool,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) message: String,
    pub(crate) letters: u64,
    /// `stream/shard: from … to …`
    pub(crate) aged_out: Option<String>,
    pub(crate) problem: Option<String>,
    pub(crate) deleted: bool,
}

impl From<&Hydrated> for Told {
    fn from(from: &Hydrated) -> Told {
        let aged_out = from.aged_out.as_ref().map(|gone| {
            let end = if gone.to_the_end { "to" } else { "up to, without," };
            format!("{}/{}: {} {end} {}", gone.stream, gone.shard, gone.from, gone.to)
        });
        Told {
            message: from.message.clone(),
            letters: from.letters,
            aged_out,
            problem: from.problem.clone(),
            deleted: from.deleted,
        }
    }
}

/// Reads the queue to its end.
pub(crate) fn hydrate(
    session: &Session,
    asked: &Asked,
    stop: &Stop,
    tell: Tell<'_>,
) -> Result<(), Failure> {
    let config = session.configs().iter().find(|config| config.pipe == asked.pipe);
    let config =
        config.ok_or_else(|| Failure::usage(format!("the run has no pipe `{}`", asked.pipe)))?;
    let stores = stores::of_pipe(config, session.data_dir(), session.disk());
    let Some(store) = stores.first() else { return Ok(()) };
    let options = HydrateOptions {
        pipe: asked.pipe.clone(),
        ledger_id: session.ledger().id(),
        store_bytes_max: store.store_bytes_max,
        drop_aged_out: asked.drop_aged_out,
        dry_run: asked.dry_run,
    };
    let failed = |error: HydrateError| Failure::new(Exit::Connector, error);
    let mut letters = 0;
    let mut work = |messages: &mut dyn DeadMessages, records: &mut dyn StreamRecords| {
        fetch(messages, records, &store.folder, &options, stop, &mut |one| {
            letters += one.letters;
            if tell(Answer::Message(one.into())).is_err() {
                stop.ask();
            }
        })
    };
    match &asked.endpoint {
        None => {
            let broker = session.broker().ok_or_else(|| {
                Failure::usage("this run has no broker; name the queue's --endpoint")
            })?;
            let mut messages = EmbeddedMessages::open(broker, &asked.queue)
                .map_err(|error| failed(error.into()))?;
            let mut records = EmbeddedRecords::new(broker, LONG);
            work(&mut messages, &mut records).map_err(failed)?;
        }
        Some(endpoint) => {
            let endpoint = match endpoint.as_str() {
                "aws" => Endpoint::Aws { region: None },
                url => Endpoint::Url { url: url.to_owned(), region: None },
            };
            let mut messages = RemoteMessages::open(&endpoint, &asked.queue)
                .map_err(|error| failed(error.into()))?;
            let mut records =
                RemoteRecords::open(&endpoint).map_err(|error| failed(error.into()))?;
            work(&mut messages, &mut records).map_err(failed)?;
        }
    }
    let _ = tell(Answer::Done(letters)); // whoever asked may have gone
    Ok(())
}

/// The front door's sequence numbers.
const LONG: SequenceForm = SequenceForm {
    read: |stream, text| {
        let long: LongSequenceNumber = text.parse().ok()?;
        long.is_of(stream, long.shard()).then(|| (long.shard(), long.sequence()))
    },
    show: |stream, shard, number| LongSequenceNumber::new(stream, shard, number).to_string(),
};
