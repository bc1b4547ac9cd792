//! The places where a pipe's events leave it: the config's sinks, the archive, the dead-letter
//! stores with their queues, and the rejected file. Their order is that of the ledger's declaration.

use std::path::PathBuf;
use std::sync::Arc;

use connect::archive::{ArchiveOptions, ArchiveSink};
use connect::dead::{DeadQueue, DeadStore, DeadStoreOptions, LetterContext};
use connect::http::HttpSink;
use connect::{FileSink, FileSinkOptions, RejectedOptions, RejectedSink, SpoolOptions, StdoutSink};
use dedup::ledger::PipeLedger;
use event::sink::Sink;
use lake::{By, StagingOptions, StagingSink};

use super::{DEAD_SINK, REJECTED_SINK, Shared, source_name, to_usize};
use crate::broker_parts;
use crate::config::{ArchiveConfig, DeadLetterConfig, LakeTime, PipeConfig, SinkConfig, SinkKind};
use crate::engine::PipeError;
use crate::engine::outlet::{DeliveryPolicy, Outlet, Takes};
use crate::types::Types;

/// The sink that archives.
const ARCHIVE_SINK: &str = "archive.files";
/// The sink that sends the pipe's dead letters to a queue.
const DEAD_QUEUE: &str = "dead.queue";
/// Letters that wait for the broker at most; bytes.
const LETTER_SPOOL_BYTES_MAX: u64 = 1 << 30;

/// A dead-letter store of a pipe, with its name in the ledger.
struct Store<'a> {
    config: &'a DeadLetterConfig,
    /// Empty: the pipe's own.
    of_sink: &'a str,
}

impl Store<'_> {
    fn sink_name(&self, base: &str) -> String {
        if self.of_sink.is_empty() { base.to_owned() } else { format!("{base}.{}", self.of_sink) }
    }
}

/// The pipe's stores: its own first, then those of sinks that name another one.
fn stores(config: &PipeConfig) -> Vec<Store<'_>> {
    let mut stores = vec![Store { config: &config.dead_letter, of_sink: "" }];
    for sink in &config.sinks {
        if let Some(own) = sink.dead_letter.as_ref().filter(|own| **own != config.dead_letter) {
            stores.push(Store { config: own, of_sink: &sink.name });
        }
    }
    stores
}

/// The names of all outlets.
pub(super) fn names(config: &PipeConfig) -> Vec<String> {
    let mut names: Vec<String> = config.sinks.iter().map(|sink| sink.name.clone()).collect();
    if config.archive.is_some() {
        names.push(ARCHIVE_SINK.to_owned());
    }
    for store in stores(config) {
        names.push(store.sink_name(DEAD_SINK));
        if store.config.queue.is_some() {
            names.push(store.sink_name(DEAD_QUEUE));
        }
    }
    names.push(REJECTED_SINK.to_owned());
    names
}

/// All outlets, and which store takes the letters of each of the config's sinks.
pub(super) fn build(
    config: &PipeConfig,
    shared: &Shared<'_>,
    ledger: &PipeLedger,
    types: &Arc<Types>,
) -> Result<(Vec<Outlet>, Vec<u8>), PipeError> {
    let mut outlets = Vec::new();
    for (number, sink) in (0_u8..).zip(&config.sinks) {
        outlets.push(routed(number, sink, shared, ledger)?);
    }
    if let (Some(archive), Some(root)) = (&config.archive, config.archive_folder(shared.data_dir)) {
        let takes = if archive.after_filter { Takes::Wanted } else { Takes::Received };
        let sink = archive_sink(root, config, archive, shared, ledger);
        outlets.push(Outlet::staged(takes, sink));
    }
    let names = Arc::clone(types);
    let context = Arc::new(LetterContext {
        source: source_name(config),
        config: config.fingerprint,
        sinks: config.sinks.iter().map(|sink| sink.name.clone()).collect(),
        types: Arc::new(move |id| names.name(id)),
    });
    let stores = stores(config);
    for (letters, store) in (0_u8..).zip(&stores) {
        dead(letters, store, &context, shared, ledger, &mut outlets)?;
    }
    let path = config.rejected.path.clone().unwrap_or_else(|| {
        shared.data_dir.join("rejected").join(format!("{}.ndjson", config.pipe))
    });
    let rejected = RejectedSink::new(
        RejectedOptions { path, source: source_name(config) },
        ledger.identity(REJECTED_SINK),
        Arc::clone(shared.disk),
    );
    outlets.push(Outlet::staged(Takes::Rejected, Box::new(rejected)));
    let letters_of = |sink: &SinkConfig| {
        let place = stores.iter().position(|store| store.of_sink == sink.name);
        place.and_then(|place| u8::try_from(place).ok()).unwrap_or(0)
    };
    Ok((outlets, config.sinks.iter().map(letters_of).collect()))
}

fn archive_sink(
    root: PathBuf,
    config: &PipeConfig,
    archive: &ArchiveConfig,
    shared: &Shared<'_>,
    ledger: &PipeLedger,
) -> Box<dyn Sink> {
    let options = ArchiveOptions {
        root,
        source: source_name(config),
        retention: archive.retention,
        file_bytes_max: archive.file_bytes_max,
        file_age_max: archive.file_age_max,
        level: archive.level,
    };
    let identity = ledger.identity(ARCHIVE_SINK);
    let clock = Arc::clone(shared.clock);
    Box::new(ArchiveSink::new(options, identity, Arc::clone(shared.disk), clock))
}

fn dead(
    letters: u8,
    store: &Store<'_>,
    context: &Arc<LetterContext>,
    shared: &Shared<'_>,
    ledger: &PipeLedger,
    outlets: &mut Vec<Outlet>,
) -> Result<(), PipeError> {
    let root = store.config.folder(shared.data_dir);
    let options = DeadStoreOptions {
        root: root.clone(),
        store_bytes_max: store.config.store_bytes_max,
        letters,
        context: Arc::clone(context),
    };
    let identity = ledger.identity(&store.sink_name(DEAD_SINK));
    let sink = DeadStore::new(options, identity, Arc::clone(shared.disk));
    outlets.push(Outlet::staged(Takes::Dead(letters), Box::new(sink)));
    if let Some(queue) = &store.config.queue {
        let spool = SpoolOptions {
            root: shared.data_dir.join("spool"),
            spool_bytes_max: LETTER_SPOOL_BYTES_MAX,
        };
        let sink = DeadQueue::new(
            spool,
            &root,
            letters,
            Arc::clone(context),
            ledger.identity(&store.sink_name(DEAD_QUEUE)),
            broker_parts::queue_target(queue, shared)?,
            Arc::clone(shared.disk),
        );
        outlets.push(Outlet::staged(Takes::Dead(letters), Box::new(sink)));
    }
    Ok(())
}

fn routed(
    number: u8,
    sink: &SinkConfig,
    shared: &Shared<'_>,
    ledger: &PipeLedger,
) -> Result<Outlet, PipeError> {
    let identity = ledger.identity(&sink.name);
    let disk = Arc::clone(shared.disk);
    let staged: Box<dyn Sink> = match &sink.kind {
        SinkKind::File(file) => {
            let options = FileSinkOptions { path: file.path.clone(), append: file.append };
            Box::new(FileSink::new(options, identity, disk))
        }
        SinkKind::Stdout => Box::new(StdoutSink::new(identity)),
        SinkKind::Lake(lake) => {
            let options = StagingOptions {
                by: match lake.by {
                    LakeTime::Arrival => By::Arrival,
                    LakeTime::EventTime => By::EventTime,
                },
                staging_files_open_max: to_usize(lake.staging_files_open_max),
                staging_file_bytes_max: lake.staging_file_bytes_max,
                ..StagingOptions::new(lake.path.clone())
            };
            Box::new(StagingSink::new(options, identity, disk, Arc::clone(shared.clock)))
        }
        SinkKind::Kinesis(kinesis) => broker_parts::stream_sink(kinesis, identity, shared)?,
        SinkKind::Sqs(sqs) => broker_parts::queue_sink(sqs, identity, shared)?,
        SinkKind::Http(http) => {
            let policy = DeliveryPolicy { retry: sink.retry, circuit: sink.circuit };
            let made = HttpSink::new(&sink.name, &identity.pipe, http, Arc::clone(shared.clock));
            let sink =
                made.map_err(|error| PipeError::Config(format!("sink `{}`: {error}", sink.name)))?;
            return Ok(Outlet::delivers(Takes::Routed(number), Box::new(sink), policy));
        }
    };
    Ok(Outlet::staged(Takes::Routed(number), staged))
}
