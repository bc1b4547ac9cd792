//! The task that lists shards and starts their readers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_kinesis::types::Shard;
use event::ShardId;
use tokio::task::JoinSet;

use super::super::StreamStart;
use super::read::{self, Begin};
use super::{News, Shared};
use crate::aws::{Backoff, Endpoint, Refusal, refusal};

/// Names of streams that an error lists at most.
const LISTED_MAX: usize = 20;
const HOUR_MS: u64 = 3_600_000;

/// What is known of the stream.
pub(super) struct Stream {
    /// Another one once it is made anew.
    created_ms: i64,
    /// How long it keeps records; ms.
    pub(super) retention_ms: u64,
}

/// Reads the stream until it ends or can't be read any more.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::new();
    let stream = loop {
        match describe(&shared).await {
            Ok(stream) => break Arc::new(stream),
            Err(refused) if refused.is_missing() => return missing(&shared, false).await,
            Err(refused) => wait(&shared, &refused, &mut backoff).await,
        }
    };
    shared.status.retention_ms.store(stream.retention_ms, Ordering::Relaxed);
    let mut started = BTreeMap::new();
    let mut ended = BTreeSet::new();
    let mut readers = JoinSet::new();
    let mut first = true;
    loop {
        let shards = match list(&shared).await {
            Ok(shards) => shards,
            Err(refused) if refused.is_missing() => return missing(&shared, true).await,
            Err(refused) => {
                wait(&shared, &refused, &mut backoff).await;
                continue;
            }
        };
        backoff.reset();
        let all: BTreeSet<&str> = shards.iter().map(Shard::shard_id).collect();
        for shard in &shards {
            let name = shard.shard_id();
            let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
            let blocked = parents
                .into_iter()
                .flatten()
                .any(|parent| all.contains(parent) && !ended.contains(parent));
            if blocked || started.contains_key(name) {
                continue;
            }
            let number = started.len();
            started.insert(name.to_owned(), number);
            // A shard that came later has everything to be read, whatever the start.
            let start = if first || parents.iter().all(Option::is_none) {
                shared.options.start
            } else {
                StreamStart::TrimHorizon
            };
            let id: ShardId =
                format!("{}/{name}@{}", shared.options.stream, stream.created_ms).into();
            let begin = Begin { number, name: name.to_owned(), id, start };
            let reader = read::announce(&shared, begin);
            readers.spawn(read::run(Arc::clone(&shared), Arc::clone(&stream), reader));
        }
        first = false;
        // Until a shard was read to its end: only then there may be others.
        match readers.join_next().await {
            Some(Ok(Ok(name))) => {
                ended.insert(name);
            }
            Some(Ok(Err(refused))) if refused.is_missing() => return missing(&shared, true).await,
            Some(Ok(Err(refused))) => {
                let what = format!("stream `{}`: {}", shared.options.stream, refused.text);
                let help = "The pipe can't go on where it stood".into();
                let _ = shared.news.send(News::Fatal(what, help));
                return;
            }
            Some(Err(error)) => {
                let what = format!("stream `{}`: a reader failed: {error}", shared.options.stream);
                let help = "This is a defect, please report it".into();
                let _ = shared.news.send(News::Fatal(what, help));
                return;
            }
            // Everything that is there is read; more may come.
            None => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

async fn describe(shared: &Shared) -> Result<Stream, Refusal> {
    let found = shared
        .client
        .describe_stream_summary()
        .stream_name(&shared.options.stream)
        .send()
        .await
        .map_err(|error| refusal(&error))?;
    let summary = found.stream_description_summary();
    let created = summary.map(|summary| *summary.stream_creation_timestamp());
    let hours = summary.map_or(24, |summary| summary.retention_period_hours());
    Ok(Stream {
        created_ms: created.and_then(|time| time.to_millis().ok()).unwrap_or(0),
        retention_ms: u64::try_from(hours).unwrap_or(24) * HOUR_MS,
    })
}

async fn list(shared: &Shared) -> Result<Vec<Shard>, Refusal> {
    let mut shards = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let call = shared.client.list_shards();
        let call = match token.take() {
            Some(token) => call.next_token(token),
            None => call.stream_name(&shared.options.stream),
        };
        let page = call.send().await.map_err(|error| refusal(&error))?;
        shards.extend(page.shards.unwrap_or_default());
        token = page.next_token;
        if token.is_none() {
            return Ok(shards);
        }
    }
}

/// The stream is not there: the pipe stops, and hears which are.
async fn missing(shared: &Shared, known: bool) {
    let listed = shared.client.list_streams().send().await;
    let existing = match listed {
        Err(error) => format!("Its streams can't be listed: {}", refusal(&error).text),
        Ok(listed) if listed.stream_names().is_empty() => "There are no streams at all".into(),
        Ok(listed) => {
            let names: Vec<&str> =
                listed.stream_names().iter().take(LISTED_MAX).map(String::as_str).collect();
            format!("Streams that exist: {}", names.join(", "))
        }
    };
    let place = match &shared.options.endpoint {
        Endpoint::Aws { .. } => "there",
        Endpoint::Url { url, .. } => url.as_str(),
    };
    let stream = &shared.options.stream;
    let what = if known { "was deleted while the pipe read it" } else { "does not exist" };
    let what = format!("stream `{stream}` {what} (endpoint: {place})");
    let help = format!("{existing}. Make the stream first, or correct its name");
    let _ = shared.news.send(News::Fatal(what, help));
}

/// Waits before the next try.
pub(super) async fn wait(shared: &Shared, refused: &Refusal, backoff: &mut Backoff) {
    shared.status.failed(refused.text.clone());
    let wait = backoff.failed();
    if backoff.is_worth_a_warning() {
        let (stream, error) = (shared.options.stream.as_str(), refused.text.as_str());
        let throttled = refused.is_throttled();
        tracing::warn!(stream, error, throttled, "can't read; trying again");
    }
    tokio::time::sleep(wait).await;
}
