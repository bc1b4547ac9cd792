//! Queue and stream behind an endpoint, through the AWS SDK.

use std::collections::VecDeque;
use std::time::Duration;

use aws_sdk_kinesis::types::ShardIteratorType;
use bytes::Bytes;
use event::Offset;
use event::batch::NO_TIME;
use event::source::SourceError;

use super::{
    AgedOut, BatchInfo, DeadMessage, DeadMessages, Handle, HydrateError, StreamRecord,
    StreamRecords,
};
use crate::aws::{Backoff, Endpoint, Refusal, refusal, runtime, sdk_config};

/// So long is a message hidden while its records are fetched.
const HIDDEN_S: i32 = 3_600;
/// Messages of one call.
const MESSAGES_MAX: i32 = 10;
/// How long a call waits for messages: the service may have some on other hosts.
const WAIT_S: i32 = 2;
/// Records of one call.
const RECORDS_MAX: i32 = 5_000;
/// A shard takes 5 reads a second from all its readers.
const REST: Duration = Duration::from_millis(250);
/// How often a call that fails is tried again.
const TRIES_MAX: u32 = 8;
/// Empty pages in a row before the end of what is there; a stream's pages may be empty.
const EMPTY_PAGES_MAX: u32 = 20;

fn failed(what: &str, refused: &Refusal) -> SourceError {
    if refused.is_missing() {
        let help = "Correct its name, or look whether it was deleted".into();
        return SourceError::Changed { what: format!("{what} is not there"), help };
    }
    let error = std::io::Error::other(refused.text.clone());
    SourceError::Io { what: what.to_owned(), error }
}

/// A queue behind an endpoint.
pub struct RemoteMessages {
    client: aws_sdk_sqs::Client,
    what: String,
    url: String,
    waiting: VecDeque<DeadMessage>,
    /// Receipts of what was not deleted.
    held: Vec<String>,
    seen: std::collections::HashSet<String>,
}

impl RemoteMessages {
    /// Of a queue that must be there.
    ///
    /// # Errors
    /// [`SourceError`].
    pub fn open(endpoint: &Endpoint, queue: &str) -> Result<Self, SourceError> {
        let what = format!("queue `{queue}`");
        let runtime = runtime()?;
        let client = aws_sdk_sqs::Client::new(&runtime.block_on(sdk_config(endpoint)));
        let found = runtime.block_on(client.get_queue_url().queue_name(queue).send());
        let found = found.map_err(|error| failed(&what, &refusal(&error)))?;
        let url = found.queue_url().unwrap_or_default().to_owned();
        let (waiting, held, seen) = Default::default();
        Ok(Self { client, what, url, waiting, held, seen })
    }

    fn poll(&mut self) -> Result<(), SourceError> {
        let call = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(MESSAGES_MAX)
            .wait_time_seconds(WAIT_S)
            .visibility_timeout(HIDDEN_S);
        let answer = runtime()?.block_on(call.send());
        let answer = answer.map_err(|error| failed(&self.what, &refusal(&error)))?;
        for message in answer.messages.unwrap_or_default() {
            let handle = message.receipt_handle.unwrap_or_default();
            self.held.push(handle.clone());
            self.waiting.push_back(DeadMessage {
                id: message.message_id.unwrap_or_default(),
                body: Bytes::from(message.body.unwrap_or_default()),
                handle: Handle::Remote(handle),
            });
        }
        Ok(())
    }
}

impl DeadMessages for RemoteMessages {
    fn next(&mut self) -> Result<Option<DeadMessage>, SourceError> {
        if self.waiting.is_empty() {
            self.poll()?;
        }
        // One that shows again was seen by this run: it is left for the next one.
        while let Some(message) = self.waiting.pop_front() {
            if self.seen.insert(message.id.clone()) {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    fn delete(&mut self, message: &DeadMessage) -> Result<(), SourceError> {
        let Handle::Remote(handle) = &message.handle else { return Ok(()) };
        let call = self.client.delete_message().queue_url(&self.url).receipt_handle(handle);
        let deleted = runtime()?.block_on(call.send());
        deleted.map_err(|error| failed(&self.what, &refusal(&error)))?;
        self.held.retain(|held| held != handle);
        Ok(())
    }

    fn give_back(&mut self) -> Result<(), SourceError> {
        for handle in std::mem::take(&mut self.held) {
            let call = self.client.change_message_visibility().queue_url(&self.url);
            let call = call.receipt_handle(handle).visibility_timeout(0);
            let back = runtime()?.block_on(call.send());
            back.map_err(|error| failed(&self.what, &refusal(&error)))?;
        }
        Ok(())
    }
}

/// Streams behind an endpoint.
pub struct RemoteRecords {
    client: aws_sdk_kinesis::Client,
}

/// A page of a shard.
struct Page {
    records: Vec<aws_sdk_kinesis::types::Record>,
    next: Option<String>,
    at_tip: bool,
}

impl RemoteRecords {
    /// Streams are looked up by the name in a batch's ARN.
    ///
    /// # Errors
    /// [`SourceError`]: no thread for the network.
    pub fn open(endpoint: &Endpoint) -> Result<Self, SourceError> {
        let config = runtime()?.block_on(sdk_config(endpoint));
        Ok(Self { client: aws_sdk_kinesis::Client::new(&config) })
    }

    /// When the stream was made: part of what its shards are called.
    fn created_ms(&self, info: &BatchInfo) -> Result<i64, SourceError> {
        let what = format!("stream `{}`", info.stream);
        let call = self.client.describe_stream_summary().stream_name(&info.stream);
        let found = runtime()?.block_on(call.send());
        let found = found.map_err(|error| failed(&what, &refusal(&error)))?;
        let summary = found.stream_description_summary();
        let created = summary.and_then(|all| all.stream_creation_timestamp().to_millis().ok());
        Ok(created.unwrap_or(0))
    }

    /// An iterator at the first record; `None`: the shard, or the place in it, is gone.
    fn iterator(&self, info: &BatchInfo) -> Result<Option<String>, SourceError> {
        let what = format!("shard {} of stream `{}`", info.shard, info.stream);
        let call = self.client.get_shard_iterator().stream_name(&info.stream);
        let call = call.shard_id(&info.shard).starting_sequence_number(&info.start);
        let call = call.shard_iterator_type(ShardIteratorType::AtSequenceNumber);
        match runtime()?.block_on(call.send()) {
            Ok(found) => Ok(found.shard_iterator),
            Err(error) => match refusal(&error) {
                refused if refused.is_missing() => Ok(None),
                refused => Err(failed(&what, &refused)),
            },
        }
    }

    fn page(&self, info: &BatchInfo, iterator: &str) -> Result<Page, SourceError> {
        let what = format!("shard {} of stream `{}`", info.shard, info.stream);
        let mut backoff = Backoff::new();
        let mut tries = 0;
        loop {
            let call = self.client.get_records().shard_iterator(iterator).limit(RECORDS_MAX);
            let refused = match runtime()?.block_on(call.send()) {
                Ok(page) => {
                    let at_tip = page.millis_behind_latest == Some(0);
                    let next = page.next_shard_iterator;
                    return Ok(Page { records: page.records, next, at_tip });
                }
                Err(error) => refusal(&error),
            };
            tries += 1;
            let for_ever = refused.is_missing() || refused.is_invalid();
            if for_ever || tries >= TRIES_MAX {
                return Err(failed(&what, &refused));
            }
            rest(backoff.failed())?;
        }
    }
}

fn rest(wait: Duration) -> Result<(), SourceError> {
    runtime()?.block_on(async { tokio::time::sleep(wait).await });
    Ok(())
}

impl StreamRecords for RemoteRecords {
    fn fetch(
        &mut self,
        info: &BatchInfo,
        take: &mut dyn FnMut(StreamRecord) -> Result<(), HydrateError>,
    ) -> Result<Option<AgedOut>, HydrateError> {
        let shard = format!("{}/{}@{}", info.stream, info.shard, self.created_ms(info)?);
        let place = |text: &str| Offset::from_decimal(text).unwrap_or(Offset::ZERO);
        let (start, end) = (place(&info.start), place(&info.end));
        let aged_out = |to: &str, to_the_end| AgedOut {
            stream: info.stream.clone(),
            shard: info.shard.clone(),
            from: info.start.clone(),
            to: to.to_owned(),
            to_the_end,
        };
        let mut gone = None;
        let (mut is_first, mut last, mut empty) = (true, None, 0);
        let mut iterator = self.iterator(info)?;
        while let Some(at) = iterator.take() {
            let page = self.page(info, &at)?;
            empty = if page.records.is_empty() { empty + 1 } else { 0 };
            for record in page.records {
                let offset = place(&record.sequence_number);
                if std::mem::take(&mut is_first) && offset > start {
                    let past_end = offset > end;
                    let to = if past_end { &info.end } else { &record.sequence_number };
                    gone = Some(aged_out(to, past_end));
                }
                if offset > end {
                    return Ok(gone);
                }
                let arrived = record.approximate_arrival_timestamp;
                last = Some(offset);
                take(StreamRecord {
                    shard: shard.clone(),
                    offset,
                    partition_key: record.partition_key.unwrap_or_default(),
                    arrived_ms: arrived.and_then(|at| at.to_millis().ok()).unwrap_or(NO_TIME),
                    data: Bytes::from(record.data.into_inner()),
                })?;
            }
            if last == Some(end) || empty > 0 && (page.at_tip || empty >= EMPTY_PAGES_MAX) {
                break;
            }
            iterator = page.next;
            if iterator.is_some() {
                rest(REST)?;
            }
        }
        match last {
            None => Ok(Some(aged_out(&info.end, true))),
            Some(_) => Ok(gone),
        }
    }
}
