//! Letters out of a dead-letter queue that another system filled with metadata only.
//!
//! Each message names records of a stream. They are fetched from it and stored as letters of a
//! pipe, and only then is the message deleted: whatever crashes when, doing it again finishes it,
//! since a letter's id and name come from the record's position alone.

pub mod embedded;
mod info;
pub mod remote;

use bytes::Bytes;
use event::batch::NO_TIME;
use event::sink::SinkError;
use event::source::{SourceError, Stop};
use event::{LedgerId, Marks, Offset};

pub use info::{BatchInfo, NotABatch};

use super::id::letter_id;
use super::letter::Letter;
use super::read::DeadFolder;

/// Letters that are written together: by number …
const LETTERS_MAX: usize = 500;
/// … and by bytes.
const BYTES_MAX: usize = 16 << 20;

/// A message of the queue.
#[derive(Clone, Debug)]
pub struct DeadMessage {
    /// Its id, as the queue shows it.
    pub id: String,
    /// What it says.
    pub body: Bytes,
    /// For deleting it.
    pub(crate) handle: Handle,
}

/// Proof of a receive.
#[derive(Clone, Debug)]
pub(crate) enum Handle {
    Embedded(broker::queues::Receipt),
    Remote(String),
}

/// A queue that is read to its end.
pub trait DeadMessages {
    /// The next message; `None` when there is none just now. Each comes once.
    ///
    /// # Errors
    /// [`SourceError`].
    fn next(&mut self) -> Result<Option<DeadMessage>, SourceError>;

    /// Deletes a message for good.
    ///
    /// # Errors
    /// [`SourceError`]; it may come again.
    fn delete(&mut self, message: &DeadMessage) -> Result<(), SourceError>;

    /// Everything that was not deleted shows again.
    ///
    /// # Errors
    /// [`SourceError`]; it shows again later.
    fn give_back(&mut self) -> Result<(), SourceError>;
}

/// A record of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRecord {
    /// The shard, as a pipe's source calls it.
    pub shard: String,
    /// Its place there.
    pub offset: Offset,
    /// As put.
    pub partition_key: String,
    /// When it arrived; ms since the Unix epoch.
    pub arrived_ms: i64,
    /// As put.
    pub data: Bytes,
}

/// Records that the stream doesn't hold any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgedOut {
    /// The stream.
    pub stream: String,
    /// The shard.
    pub shard: String,
    /// Sequence number of the first of them.
    pub from: String,
    /// Up to this one: the first that is still there, or the batch's last.
    pub to: String,
    /// Whether `to` is gone too.
    pub to_the_end: bool,
}

/// Where records are fetched.
pub trait StreamRecords {
    /// Hands over the records of a batch, in order; answers with those that are gone.
    ///
    /// # Errors
    /// [`HydrateError`]: the stream can't be read, or what `take` said.
    fn fetch(
        &mut self,
        info: &BatchInfo,
        take: &mut dyn FnMut(StreamRecord) -> Result<(), HydrateError>,
    ) -> Result<Option<AgedOut>, HydrateError>;
}

/// Hydration can't go on.
#[derive(Debug, thiserror::Error)]
pub enum HydrateError {
    /// The queue, or the stream, can't be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store takes nothing.
    #[error(transparent)]
    Store(#[from] SinkError),
}

/// For whom letters are written.
#[derive(Clone, Debug)]
pub struct HydrateOptions {
    /// The pipe.
    pub pipe: String,
    /// Its ledger.
    pub ledger_id: LedgerId,
    /// Of the pipe's store.
    pub store_bytes_max: u64,
    /// Messages are deleted although some of their records are gone for good.
    pub drop_aged_out: bool,
    /// Nothing is stored and nothing is deleted.
    pub dry_run: bool,
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hydrated {
    /// The message.
    pub message: String,
    /// Its records that are letters now.
    pub letters: u64,
    /// Its records that are gone.
    pub aged_out: Option<AgedOut>,
    /// Why nothing, or not everything, was done with it.
    pub problem: Option<String>,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// Reads the queue to its end; each message's fate goes to `heard`.
///
/// # Errors
/// [`HydrateError`]; what was stored stays, and the message is still in the queue.
pub fn hydrate(
    messages: &mut dyn DeadMessages,
    records: &mut dyn StreamRecords,
    store: &DeadFolder,
    options: &HydrateOptions,
    stop: &Stop,
    heard: &mut dyn FnMut(&Hydrated),
) -> Result<(), HydrateError> {
    let mut work = || {
        while !stop.asked() {
            let Some(message) = messages.next()? else { return Ok(()) };
            let mut hydrated = one(&message, records, store, options)?;
            let is_whole = hydrated.problem.is_none()
                && (hydrated.aged_out.is_none() || options.drop_aged_out);
            if is_whole && !options.dry_run {
                messages.delete(&message)?;
                hydrated.deleted = true;
            }
            heard(&hydrated);
        }
        Ok(())
    };
    let done = work();
    let given_back = messages.give_back();
    done.and(given_back.map_err(HydrateError::from))
}

fn one(
    message: &DeadMessage,
    records: &mut dyn StreamRecords,
    store: &DeadFolder,
    options: &HydrateOptions,
) -> Result<Hydrated, HydrateError> {
    let mut hydrated = Hydrated {
        message: message.id.clone(),
        letters: 0,
        aged_out: None,
        problem: None,
        deleted: false,
    };
    let info = match BatchInfo::parse(&message.body) {
        Ok(info) => info,
        Err(error) => {
            hydrated.problem = Some(error.to_string());
            return Ok(hydrated);
        }
    };
    let mut waiting: Vec<Letter> = Vec::new();
    let mut bytes = 0;
    let mut letters = 0;
    let fetched = records.fetch(&info, &mut |record| {
        letters += 1;
        bytes += record.data.len();
        waiting.push(letter(&info, record, options));
        if waiting.len() >= LETTERS_MAX || bytes >= BYTES_MAX {
            flush(&mut waiting, store, options)?;
            bytes = 0;
        }
        Ok(())
    });
    match fetched {
        Ok(aged_out) => hydrated.aged_out = aged_out,
        Err(HydrateError::Source(error)) => hydrated.problem = Some(error.to_string()),
        Err(error) => return Err(error),
    }
    flush(&mut waiting, store, options)?;
    hydrated.letters = letters;
    Ok(hydrated)
}

fn flush(
    letters: &mut Vec<Letter>,
    store: &DeadFolder,
    options: &HydrateOptions,
) -> Result<(), HydrateError> {
    if !letters.is_empty() && !options.dry_run {
        store.store(letters, options.store_bytes_max)?;
    }
    letters.clear();
    Ok(())
}

fn letter(info: &BatchInfo, record: StreamRecord, options: &HydrateOptions) -> Letter {
    let StreamRecord { shard, offset, partition_key, arrived_ms, data } = record;
    let died_ms = if info.died_ms > 0 { info.died_ms } else { arrived_ms };
    let arrived_ms = if arrived_ms == NO_TIME { died_ms } else { arrived_ms };
    Letter {
        id: letter_id(options.ledger_id, &options.pipe, &shard, offset, 0),
        pipe: options.pipe.clone(),
        source: format!("kinesis:{}", info.stream),
        shard,
        start: offset,
        end: offset.next(),
        partition_key: Some(partition_key.into_bytes()),
        event_type: String::new(),
        key: 0,
        body_hash: 0,
        recorded_ms: arrived_ms,
        window_ms: 0,
        received_ms: arrived_ms,
        broker_ms: Some(arrived_ms),
        event_ms: None,
        died_ms,
        marks: Marks::NONE,
        routes: Vec::new(),
        held_by: Vec::new(),
        stage: "elsewhere".into(),
        class: info.condition.clone(),
        message: info.message.clone(),
        deterministic: false,
        sink: String::new(),
        config: 0,
        attempts: Vec::new(),
        replay_count: 0,
        replay: String::new(),
        attributes: Vec::new(),
        body: data,
    }
}
