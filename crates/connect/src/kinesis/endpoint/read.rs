//! The task that reads one shard.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType;
use bytes::Bytes;
use event::source::ShardState;
use event::{Offset, ShardId};
use tokio::sync::Semaphore;

use super::super::StreamStart;
use super::super::filling::ShardCursor;
use super::manage::{Stream, wait};
use super::{Feed, News, Page, Record, Shared};
use crate::aws::{Backoff, Refusal, refusal};

/// Pages of a shard that are under way at most.
const PAGES_MAX: usize = 2;
/// Records of one call.
const RECORDS_MAX: i32 = 5_000;
/// A shard takes 5 reads a second from all its readers: the rest while there is nothing new.
const REST: Duration = Duration::from_millis(250);

/// A shard to be read.
pub(super) struct Begin {
    /// Its place in the order of starts.
    pub(super) number: usize,
    /// Its name.
    pub(super) name: String,
    /// Its name in the ledger.
    pub(super) id: ShardId,
    /// Where to begin without a position.
    pub(super) start: StreamStart,
}

/// From where a shard is read.
#[derive(Clone, Debug)]
enum From {
    Start(StreamStart),
    At(String),
    After(String),
}

/// A shard that the source knows of, to be read.
pub(super) struct Reader {
    begin: Begin,
    from: From,
    pages: Arc<Semaphore>,
    /// It goes on from a position.
    resumed: bool,
}

/// Tells the source of a shard. Shards are told of in the order of their numbers.
pub(super) fn announce(shared: &Shared, begin: Begin) -> Reader {
    let known = shared.state.get(&begin.id);
    let now_ms = shared.clock.now_ms();
    let (from, mark) = match known {
        Some(known) => (resume(known), None),
        // Recorded at once: a restart must not begin later than this.
        None if begin.start == StreamStart::Latest => {
            (From::Start(begin.start), Some(format!("t{now_ms}").into_bytes()))
        }
        None => (From::Start(begin.start), None),
    };
    let next = known.map_or(Offset::ZERO, |known| known.settled_through);
    let pages = Arc::new(Semaphore::new(PAGES_MAX));
    let cursor = ShardCursor::new(ShardId::clone(&begin.id), next);
    let feed = Feed { cursor, pages: Arc::clone(&pages), mark };
    let _ = shared.news.send(News::Shard(feed));
    let resumed = known.is_some_and(|known| known.settled_through > Offset::ZERO);
    Reader { begin, from, pages, resumed }
}

/// Reads a shard to its end; its name then.
pub(super) async fn run(
    shared: Arc<Shared>,
    stream: Arc<Stream>,
    reader: Reader,
) -> Result<String, Refusal> {
    let Reader { begin, mut from, pages, mut resumed } = reader;
    let mut iterator: Option<String> = None;
    let mut backoff = Backoff::new();
    loop {
        let Ok(permit) = pages.acquire().await else { return Ok(begin.name) };
        permit.forget();
        let page = match get(&shared, &begin.name, &from, &mut iterator).await {
            Ok(page) => page,
            Err(refused) if refused.is_missing() => return Err(refused),
            Err(refused) if refused.is_expired_iterator() => {
                iterator = None;
                pages.add_permits(1);
                continue;
            }
            Err(refused) if refused.is_invalid() => return Err(refused),
            Err(refused) => {
                wait(&shared, &refused, &mut backoff).await;
                pages.add_permits(1);
                continue;
            }
        };
        backoff.reset();
        iterator = page.next_shard_iterator;
        let behind_ms = page.millis_behind_latest.unwrap_or(0);
        let last = iterator.is_none();
        let records = page.records.into_iter().map(record).collect::<Result<Vec<_>, _>>()?;
        if let Some(newest) = records.last() {
            from = From::After(newest.offset.to_decimal());
        }
        if std::mem::take(&mut resumed) {
            warn_if_trimmed(&shared, &stream, &begin, behind_ms, records.first());
        }
        let rest = records.is_empty() && behind_ms == 0;
        let page = Page { records, behind_ms, last };
        if shared.news.send(News::Page(begin.number, page)).is_err() || last {
            return Ok(begin.name);
        }
        if rest {
            tokio::time::sleep(REST).await;
        }
    }
}

/// Where a shard with a position goes on. What is settled through is just behind the last record
/// of a batch, which the mark names, or an event that waited, which is a record of its own.
fn resume(known: &ShardState) -> From {
    let mark = known.mark.as_ref().map(|(end, mark)| (*end, String::from_utf8_lossy(mark)));
    match mark {
        Some((end, mark)) if end == known.settled_through => match mark.strip_prefix('t') {
            Some(ms) => match ms.parse() {
                Ok(ms) => From::Start(StreamStart::AtTimestamp(ms)),
                Err(_) => From::Start(StreamStart::TrimHorizon),
            },
            None => From::After(mark.into_owned()),
        },
        _ if known.settled_through == Offset::ZERO => From::Start(StreamStart::TrimHorizon),
        _ => From::At(known.settled_through.to_decimal()),
    }
}

async fn get(
    shared: &Shared,
    shard: &str,
    from: &From,
    iterator: &mut Option<String>,
) -> Result<GetRecordsOutput, Refusal> {
    let at = match iterator {
        Some(at) => at.clone(),
        None => {
            let call = shared
                .client
                .get_shard_iterator()
                .stream_name(&shared.options.stream)
                .shard_id(shard);
            let call = match from {
                From::Start(StreamStart::TrimHorizon) => {
                    call.shard_iterator_type(ShardIteratorType::TrimHorizon)
                }
                From::Start(StreamStart::Latest) => {
                    call.shard_iterator_type(ShardIteratorType::Latest)
                }
                From::Start(StreamStart::AtTimestamp(ms)) => call
                    .shard_iterator_type(ShardIteratorType::AtTimestamp)
                    .timestamp(DateTime::from_millis(*ms)),
                From::At(number) => call
                    .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                    .starting_sequence_number(number),
                From::After(number) => call
                    .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                    .starting_sequence_number(number),
            };
            let answer = call.send().await.map_err(|error| refusal(&error))?;
            answer.shard_iterator.unwrap_or_default()
        }
    };
    let call = shared.client.get_records().shard_iterator(&at).limit(RECORDS_MAX).send();
    *iterator = Some(at);
    call.await.map_err(|error| refusal(&error))
}

fn record(record: aws_sdk_kinesis::types::Record) -> Result<Record, Refusal> {
    let Some(offset) = Offset::from_decimal(&record.sequence_number) else {
        let text = format!("`{}` is no sequence number of 192 bits", record.sequence_number);
        return Err(Refusal { code: String::new(), text });
    };
    let arrived = record.approximate_arrival_timestamp;
    Ok(Record {
        offset,
        arrived_ms: arrived.and_then(|time| time.to_millis().ok()).unwrap_or(event::batch::NO_TIME),
        partition_key: record.partition_key.unwrap_or_default(),
        data: Bytes::from(record.data.into_inner()),
    })
}

/// Sequence numbers have gaps here, so what the retention took before a restart can't be counted:
/// it shows by the reader being about a whole retention behind.
fn warn_if_trimmed(
    shared: &Shared,
    stream: &Stream,
    begin: &Begin,
    behind_ms: i64,
    first: Option<&Record>,
) {
    let now_ms = shared.clock.now_ms();
    let age_ms = first.map_or(behind_ms, |record| now_ms.saturating_sub(record.arrived_ms));
    let retention_ms = i64::try_from(stream.retention_ms).unwrap_or(i64::MAX);
    if age_ms >= retention_ms - retention_ms / 100 {
        tracing::warn!(
            stream = shared.options.stream,
            shard = begin.name,
            age_ms,
            "the stream's retention has passed the pipe's position: records before the first one \
             that is left are lost, and how many isn't known"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(through: u64, mark: Option<(u64, &str)>) -> ShardState {
        ShardState {
            settled_through: through.into(),
            settled_beyond: Vec::new(),
            mark: mark.map(|(end, text)| (end.into(), text.as_bytes().to_vec())),
        }
    }

    #[test]
    fn a_restart_goes_on_behind_the_mark_or_at_the_event_that_waited() {
        let shown = |known: &ShardState| format!("{:?}", resume(known));
        assert_eq!(shown(&shard(8, Some((8, "7")))), r#"After("7")"#);
        assert_eq!(shown(&shard(5, Some((8, "7")))), r#"At("5")"#);
        assert_eq!(shown(&shard(0, Some((8, "7")))), "Start(TrimHorizon)");
        assert_eq!(shown(&shard(0, Some((0, "t99")))), "Start(AtTimestamp(99))");
    }
}
