//! A queue behind an endpoint as a source, through the AWS SDK.
//!
//! Tasks on the shared runtime poll ([`receive`]), renew visibility ([`renew`]) and delete
//! ([`delete`]); what they know together is in [`shared`]. The pipe's threads see a plain source
//! and its acker.

mod client;
mod delete;
mod receive;
mod renew;
mod shared;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event::source::{
    Acker, BatchLimits, MemoryChange, Received, Source, SourceError, SourceStatus, Stop,
};
use event::{Batch, Clock};
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::filling::{Filling, Incoming, settled_ids};
use crate::aws::{Endpoint, runtime, sdk_config};
use shared::{Arrived, Shared};

/// How long a call waits for messages.
const IDLE_WAIT: Duration = Duration::from_millis(100);
/// Messages that were received and not handed over at most, in groups of one poll.
const POLLS_WAITING_MAX: usize = 64;
/// Tasks that poll side by side while messages come.
const RECEIVERS: usize = 4;
/// Tasks that delete.
const DELETERS: usize = 4;
/// How long an end waits for deletes and polls under way.
const END_MAX: Duration = Duration::from_secs(10);

/// What a source on a queue behind an endpoint needs to know.
#[derive(Clone, Debug)]
pub struct RemoteQueueOptions {
    /// The queue; it must exist.
    pub queue: String,
    /// Where.
    pub endpoint: Endpoint,
    /// For how long a message is hidden; renewed at half of it while an event is in flight.
    pub visibility_timeout: Duration,
    /// How long an id is remembered after its delete.
    pub redelivery_memory: Duration,
    /// Ids that are remembered at most; past them the source pauses.
    pub message_ids_max: usize,
}

/// Reads a queue behind an endpoint.
pub struct RemoteQueueSource {
    name: String,
    life: Arc<Life>,
    arrivals: Receiver<Vec<Arrived>>,
    /// Received, and without room in the last batch.
    waiting: std::vec::IntoIter<Arrived>,
    clock: Arc<dyn Clock>,
}

/// Keeps the tasks running. Source and acker hold it; when both are gone, what is settled is
/// deleted and what isn't is given back.
struct Life {
    shared: Arc<Shared>,
    receivers: Vec<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

impl RemoteQueueSource {
    /// Starts to connect; a queue that isn't there is an error of [`Source::receive`].
    /// `remembered` are the ids that the ledger knows as settled.
    ///
    /// # Errors
    /// [`SourceError`]: no thread for the network.
    pub fn open(
        options: RemoteQueueOptions,
        remembered: BTreeMap<u128, i64>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        let runtime = runtime()?;
        let name = format!("sqs:{}", options.queue);
        let config = runtime.block_on(sdk_config(&options.endpoint));
        let client = aws_sdk_sqs::Client::new(&config);
        let shared = Arc::new(Shared::new(client, options, remembered, Arc::clone(&clock)));
        let (sender, arrivals) = mpsc::channel(POLLS_WAITING_MAX);
        let receivers = (0..RECEIVERS)
            .map(|task| runtime.spawn(receive::run(Arc::clone(&shared), sender.clone(), task)))
            .collect();
        let mut others: Vec<JoinHandle<()>> =
            (0..DELETERS).map(|_| runtime.spawn(delete::run(Arc::clone(&shared)))).collect();
        others.push(runtime.spawn(renew::run(Arc::clone(&shared))));
        let life = Arc::new(Life { shared, receivers, others });
        Ok(Self { name, life, arrivals, waiting: Vec::new().into_iter(), clock })
    }

    /// Takes the messages of one poll, as far as they have room; waits for one until `until`.
    fn take(&mut self, filling: &mut Filling, until: Instant) -> Result<bool, SourceError> {
        if self.waiting.as_slice().is_empty() {
            let wait = until.saturating_duration_since(Instant::now());
            let next = match self.arrivals.try_recv() {
                Ok(messages) => Some(messages),
                Err(_) => {
                    let next = async { timeout(wait, self.arrivals.recv()).await };
                    runtime()?.block_on(next).ok().flatten()
                }
            };
            let Some(messages) = next else { return Ok(false) };
            self.waiting = messages.into_iter();
        }
        while !filling.is_full()
            && let Some(message) = self.waiting.next()
        {
            filling.push(Incoming {
                id: message.id,
                body: message.body.as_bytes(),
                sent_ms: message.sent_ms,
                attributes: message.attributes,
                group: message.group.as_deref(),
                is_settled: message.is_settled,
            });
        }
        Ok(true)
    }
}

impl Source for RemoteQueueSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn receive(&mut self, limits: &BatchLimits, stop: &Stop) -> Result<Received, SourceError> {
        let mut filling = Filling::new(*limits);
        let idle_until = Instant::now() + IDLE_WAIT;
        let mut until = idle_until;
        while !filling.is_full() && !stop.asked() {
            let was_empty = filling.is_empty();
            let came = self.take(&mut filling, until.min(Instant::now() + IDLE_WAIT))?;
            if was_empty && !filling.is_empty() {
                until = Instant::now() + limits.interval_max;
            }
            if !came && Instant::now() >= until {
                break;
            }
        }
        if filling.is_empty()
            && let Some((what, help)) = self.life.shared.fatal()
        {
            return Err(SourceError::Changed { what, help });
        }
        let received_ms = self.clock.now_ms();
        let (shard, retention_ms) = self.life.shared.queue();
        match filling.close(&shard, received_ms, received_ms.saturating_add(retention_ms)) {
            Some(batch) => Ok(Received::Batch(batch)),
            None => Ok(Received::Idle),
        }
    }

    fn acker(&self) -> Box<dyn Acker> {
        Box::new(RemoteQueueAcker(Arc::clone(&self.life)))
    }

    fn status(&self) -> Option<Arc<SourceStatus>> {
        Some(Arc::clone(&self.life.shared.status))
    }
}

/// Has settled messages deleted, in the background.
struct RemoteQueueAcker(Arc<Life>);

impl Acker for RemoteQueueAcker {
    fn settled(&mut self, batch: &Batch) -> Result<(), SourceError> {
        self.0.shared.settle(batch, settled_ids(batch));
        Ok(())
    }

    fn memory_changes(&mut self) -> Vec<MemoryChange> {
        self.0.shared.take_changes()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.shared.stop();
        let Ok(runtime) = runtime() else { return };
        let receivers = std::mem::take(&mut self.receivers);
        let shared = Arc::clone(&self.shared);
        runtime.block_on(async move {
            let ended = timeout(END_MAX, async {
                for receiver in receivers {
                    // Their polls bring messages that have to be given back as well.
                    let _ = receiver.await;
                }
                delete::rest(&shared).await;
                renew::give_back(&shared).await;
            });
            if ended.await.is_err() {
                tracing::warn!(
                    queue = shared.options.queue,
                    "the endpoint didn't take all deletes and returns in time: messages show \
                     again when their visibility ends"
                );
            }
        });
        for task in &self.others {
            task.abort();
        }
    }
}
