//! Sources and sinks on brokers, out of checked config.

use std::sync::Arc;

use broker::{Broker, BrokerError};
use connect::{
    QueueSource, QueueSourceOptions, QueueTarget, RemoteQueueOptions, RemoteQueueSource,
    RemoteStreamOptions, RemoteStreamSource, SpoolOptions, SpoolSink, StreamSource,
    StreamSourceOptions, StreamTarget, Target,
};
use dedup::ledger::PipeLedger;
use event::sink::{Sink, SinkIdentity};
use event::source::Source;

use crate::config::{
    Endpoint, KinesisSinkConfig, KinesisSourceConfig, SqsSinkConfig, SqsSourceConfig, StreamStart,
};
use crate::engine::PipeError;
use crate::plan::Shared;

fn embedded<'a>(shared: &Shared<'a>) -> Result<&'a Arc<Broker>, PipeError> {
    shared.broker.ok_or_else(|| PipeError::Config("the embedded broker isn't open".into()))
}

fn refused(error: BrokerError) -> PipeError {
    PipeError::Config(format!("the embedded broker: {error}"))
}

fn endpoint(endpoint: &Endpoint) -> connect::Endpoint {
    match endpoint {
        Endpoint::Url { url, region } => {
            connect::Endpoint::Url { url: url.clone(), region: region.clone() }
        }
        Endpoint::Aws { region } => connect::Endpoint::Aws { region: region.clone() },
        Endpoint::Embedded => connect::Endpoint::Aws { region: None },
    }
}

/// A stream to read.
pub(crate) fn stream_source(
    config: &KinesisSourceConfig,
    shared: &Shared<'_>,
    ledger: &PipeLedger,
) -> Result<Box<dyn Source>, PipeError> {
    let clock = Arc::clone(shared.clock);
    let start = match config.start {
        StreamStart::TrimHorizon => connect::StreamStart::TrimHorizon,
        StreamStart::Latest => connect::StreamStart::Latest,
        StreamStart::AtTimestamp(ms) => connect::StreamStart::AtTimestamp(ms),
    };
    let state = ledger.source_state();
    match &config.endpoint {
        Endpoint::Embedded => {
            let options =
                StreamSourceOptions { stream: config.stream.clone(), shards: config.shards, start };
            Ok(Box::new(StreamSource::open(embedded(shared)?, &options, &state, clock)?))
        }
        Endpoint::Aws { .. } | Endpoint::Url { .. } => {
            let endpoint = endpoint(&config.endpoint);
            let options = RemoteStreamOptions { stream: config.stream.clone(), endpoint, start };
            Ok(Box::new(RemoteStreamSource::open(options, state, clock)?))
        }
    }
}

/// A queue to read.
pub(crate) fn queue_source(
    config: &SqsSourceConfig,
    shared: &Shared<'_>,
    ledger: &PipeLedger,
) -> Result<Box<dyn Source>, PipeError> {
    let clock = Arc::clone(shared.clock);
    let remembered = ledger.message_ids();
    match &config.endpoint {
        Endpoint::Embedded => {
            let options = QueueSourceOptions { queue: config.queue.clone() };
            Ok(Box::new(QueueSource::open(embedded(shared)?, &options, &remembered, clock)?))
        }
        Endpoint::Aws { .. } | Endpoint::Url { .. } => {
            let options = RemoteQueueOptions {
                queue: config.queue.clone(),
                endpoint: endpoint(&config.endpoint),
                visibility_timeout: config.visibility_timeout,
                redelivery_memory: config.redelivery_memory,
                message_ids_max: usize::try_from(config.message_ids_max).unwrap_or(usize::MAX),
            };
            Ok(Box::new(RemoteQueueSource::open(options, remembered, clock)?))
        }
    }
}

/// A stream to put into.
pub(crate) fn stream_sink(
    config: &KinesisSinkConfig,
    identity: SinkIdentity,
    shared: &Shared<'_>,
) -> Result<Box<dyn Sink>, PipeError> {
    let partition_key = config.partition_key.clone();
    let target =
        StreamTarget::open(embedded(shared)?, &config.stream, config.shards, partition_key)
            .map_err(refused)?;
    Ok(spooled(Arc::new(target), config.spool_bytes_max, identity, shared))
}

/// A queue to send to.
pub(crate) fn queue_sink(
    config: &SqsSinkConfig,
    identity: SinkIdentity,
    shared: &Shared<'_>,
) -> Result<Box<dyn Sink>, PipeError> {
    let target = QueueTarget::open(embedded(shared)?, &config.queue).map_err(refused)?;
    Ok(spooled(Arc::new(target), config.spool_bytes_max, identity, shared))
}

/// A queue for dead letters.
pub(crate) fn queue_target(queue: &str, shared: &Shared<'_>) -> Result<Arc<dyn Target>, PipeError> {
    Ok(Arc::new(QueueTarget::open(embedded(shared)?, queue).map_err(refused)?))
}

fn spooled(
    target: Arc<dyn Target>,
    spool_bytes_max: u64,
    identity: SinkIdentity,
    shared: &Shared<'_>,
) -> Box<dyn Sink> {
    let options = SpoolOptions { root: shared.data_dir.join("spool"), spool_bytes_max };
    Box::new(SpoolSink::new(options, identity, target, Arc::clone(shared.disk)))
}
